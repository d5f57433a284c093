package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// namedUses is the most deploys named beside a version.
const namedUses = 4

// showVersions serves GET /deployments/:deployment/versions: the retained versions
// and the time of expiry.
func (s *Server) showVersions(c echo.Context) error {
	var p views.VersionsPage
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		if p, err = versions(tx, sc, queryNumber(c, "before")); err != nil {
			return err
		}
		p.Frame, err = s.frameOf(c, tx, sc, "Bundle versions", sc.links().Versions)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.addCosts(c, &p); err != nil {
		return err
	}
	return render(c, http.StatusOK, views.Versions(p))
}

// addCosts adds to each version the bytes freed on expiry, and the time of
// expiry.
func (s *Server) addCosts(c echo.Context, p *views.VersionsPage) error {
	names := make([]slipway.Version, len(p.Rows))
	for i, row := range p.Rows {
		names[i] = row.Version
	}
	costs, err := s.engine.VersionCosts(c.Request().Context(), slipway.DeploymentID(c.Param("deployment")), names)
	if err != nil {
		return err
	}
	for i := range p.Rows {
		row := &p.Rows[i]
		cost := costs[row.Version]
		row.Frees, row.Hold, row.Expires = cost.Frees, cost.Retention.Hold, views.Moment{At: cost.Retention.Until, Now: s.store.Now()}
	}
	return nil
}

// versions returns a page of versions, newest first, below the deploy number
// before; 0 for the first page.
func versions(tx *store.Tx, sc scene, before int) (p views.VersionsPage, err error) {
	all, err := tx.BundleVersions(sc.ID, before, pageSize+1)
	if err != nil {
		return p, err
	}
	if len(all) > pageSize {
		all = all[:pageSize]
		p.Older = pageOf(sc.links().Versions, "before", all[len(all)-1].Number)
	}
	if before > 0 {
		p.Newer = sc.links().Versions
	}
	p.Keeps = views.RetentionText(sc.KeepDays, sc.KeepVersions)
	if sc.projected.MayDeploy(slipway.DAGOnly, sc.role, sc.by) == nil {
		p.DeployURL = sc.links().Overview + "#new-deploy"
	}
	for i, v := range all {
		row, err := versionRow(tx, sc, v)
		if err != nil {
			return p, err
		}
		if i+1 < len(all) {
			row.CompareURL = compareURL(sc.ID, all[i+1].Version, v.Version)
		}
		p.Rows = append(p.Rows, row)
	}
	return p, nil
}

// versionRow is the row of a version, with the deploys of the version.
func versionRow(tx *store.Tx, sc scene, v store.BundleVersion) (views.VersionRow, error) {
	path := versionPath(sc.ID, v.Version)
	row := views.VersionRow{
		Version: v.Version, URL: path, ArchiveURL: path + "/archive", At: sc.at(v.CreatedAt),
		Mounted: sc.Mounted && sc.Version == v.Version, Files: v.Files, Size: v.Size, Stored: v.Stored,
	}
	uses, err := tx.UsesOf(sc.ID, v.Version, namedUses+1)
	if err != nil {
		return row, err
	}
	for i, n := range uses {
		if i == namedUses {
			row.Uses = append(row.Uses, views.Link{Text: "…", URL: sc.links().Deploys})
			break
		}
		row.Uses = append(row.Uses, views.Link{Text: "#" + strconv.Itoa(n), URL: deployPath(sc.ID, n)})
	}
	return row, nil
}

// versionOf loads the version in the address.
func versionOf(c echo.Context, tx *store.Tx, sc scene) (store.BundleVersion, error) {
	v, ok := slipway.VersionOfDir(c.Param("version"))
	if !ok {
		return store.BundleVersion{}, slipway.Errorf(slipway.NotFound, views.NoVersion)
	}
	return tx.BundleVersion(sc.ID, v)
}

// loadVersion loads the version in the address, with the Deployment and the
// frame of the page.
func (s *Server) loadVersion(c echo.Context) (d slipway.Deployment, v store.BundleVersion, frame views.DeploymentFrame, err error) {
	err = s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		if v, err = versionOf(c, tx, sc); err != nil {
			return err
		}
		d = sc.Deployment
		frame, err = s.frameOf(c, tx, sc, "Version "+v.Version.Short(), "")
		return err
	})
	return d, v, frame, err
}

// imageVersion is the version name given to Airflow for runs with DAGs from the
// image; Airflow links to a version of this name.
const imageVersion = "image"

// showVersion serves GET /deployments/:deployment/versions/:version: a folder
// of the version.
func (s *Server) showVersion(c echo.Context) error {
	if c.Param("version") == imageVersion {
		return c.Redirect(http.StatusSeeOther, deploymentPath(slipway.DeploymentID(c.Param("deployment"))))
	}
	d, v, frame, err := s.loadVersion(c)
	if err != nil {
		return err
	}
	p := views.FolderPage{Frame: frame, Version: v.Version, VersionURL: versionPath(d.ID, v.Version)}
	p.Mounted, p.ArchiveURL = d.Mounted && d.Version == v.Version, p.VersionURL+"/archive"
	p.Sum = views.VersionSum(v.Files, v.Size, v.Number, v.CreatedAt)
	files, err := s.engine.Files(c.Request().Context(), d, p.Version)
	if err != nil {
		return err
	}
	dags, err := s.engine.Loaded(c.Request().Context(), d, p.Version)
	if err != nil {
		return err
	}
	folder := strings.Trim(c.QueryParam("path"), "/")
	p.Path, p.Folder = above(d.ID, p.Version, folder)
	if p.Entries = entries(d.ID, p.Version, files, dags, folder); len(p.Entries) == 0 && folder != "" {
		return slipway.Errorf(slipway.NotFound, views.NoFolder, folder)
	}
	return render(c, http.StatusOK, views.Folder(p))
}

// showVersionFile serves GET /deployments/:deployment/versions/:version/files/*:
// the text of a file, or with raw=1 a download.
func (s *Server) showVersionFile(c echo.Context) error {
	d, v, frame, err := s.loadVersion(c)
	if err != nil {
		return err
	}
	p := views.FilePage{Frame: frame, Version: v.Version, VersionURL: versionPath(d.ID, v.Version)}
	path, _ := strings.CutPrefix(c.Request().URL.Path, p.VersionURL+"/files/")
	if p.File, err = s.file(c, d, p.Version, path); err != nil {
		return err
	}
	if c.QueryParam("raw") == "1" {
		return s.sendFile(c, d, p.File)
	}
	dags, err := s.engine.Loaded(c.Request().Context(), d, p.Version)
	if err != nil {
		return err
	}
	_, p.IsDAG = slices.BinarySearch(dags, p.File.Path)
	if err := s.filePage(c, d, &p); err != nil {
		return err
	}
	if p.FixURL, err = s.fixURL(c, d, p.Version, p.File); err != nil {
		return err
	}
	return render(c, http.StatusOK, views.FileView(p))
}

// sendArchive serves GET /deployments/:deployment/versions/:version/archive: the
// version as tar.gz, written on the fly.
func (s *Server) sendArchive(c echo.Context) error {
	var d slipway.Deployment
	var v store.BundleVersion
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		d = sc.Deployment
		v, err = versionOf(c, tx, sc)
		return err
	})
	if err != nil {
		return err
	}
	h := c.Response().Header()
	attach(h, strings.NewReplacer("/", "-", `\`, "-").Replace(d.Name)+"-"+v.Version.Dir()+".tar.gz")
	h.Set(echo.HeaderContentType, "application/gzip")
	h.Set(echo.HeaderLastModified, v.CreatedAt.UTC().Format(http.TimeFormat))
	if err := s.engine.WriteArchive(c.Request().Context(), d, v.Version, c.Response()); err != nil {
		return s.breakOff(c, err)
	}
	return nil
}

// breakOff cuts the connection of a download that failed halfway: the client
// must not take the file for complete.
func (s *Server) breakOff(c echo.Context, err error) error {
	if !c.Response().Committed {
		c.Response().Header().Del(echo.HeaderContentDisposition)
		return err
	}
	s.log.Error("a download broke off", "request", requestID(c), "err", err)
	if err := http.NewResponseController(c.Response()).SetWriteDeadline(time.Unix(1, 0)); err != nil {
		return fmt.Errorf("break off: %w", err)
	}
	return nil
}

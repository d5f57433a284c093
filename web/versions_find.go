package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// maxFound is how many found files a page lists.
const maxFound = 200

// findFiles serves GET /deployments/:deployment/versions/:version/find?name=: the
// files of the version with a text in their path. A single one is shown itself.
func (s *Server) findFiles(c echo.Context) error {
	d, v, frame, err := s.loadVersion(c)
	if err != nil {
		return err
	}
	files, err := s.engine.Files(c.Request().Context(), d, v.Version)
	if err != nil {
		return err
	}
	text := c.QueryParam("name")
	found := slipway.FindFiles(files, text)
	if len(found) == 1 {
		return seeOther(c, filePath(d.ID, v.Version, found[0].Path))
	}
	p := views.FoundPage{Frame: frame, Version: v.Version, VersionURL: versionPath(d.ID, v.Version), Text: text, Files: len(files), Count: len(found)}
	edits, err := s.edits(c, v.Version)
	if err != nil {
		return err
	}
	for _, f := range found[:min(maxFound, len(found))] {
		row := views.FoundFile{Path: f.Path, URL: filePath(d.ID, v.Version, f.Path), Size: f.Size}
		if edits && f.Link == "" {
			row.EditURL = fixPath(d.ID, f.Path)
		}
		p.Found = append(p.Found, row)
	}
	return render(c, http.StatusOK, views.Found(p))
}

// edits reports whether the visitor may edit files of the version: of the
// mounted one alone.
func (s *Server) edits(c echo.Context, v slipway.Version) (may bool, err error) {
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		sc, err := s.sceneOf(c, tx)
		may = err == nil && sc.Mounted && sc.Version == v && sc.projected.MayDeploy(slipway.DAGOnly, sc.role, sc.by) == nil
		return err
	})
	return may, err
}

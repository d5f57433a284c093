package api

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// deployObject returns a deploy in JSON. The version and counts are present once the
// deploy was queued.
func deployObject(w slipway.Deploy) object {
	o := object{
		"id": w.ID, "number": w.Number, "deploymentId": w.Deployment, "organizationId": slipway.OrganizationID,
		"type": w.Kind, "status": strings.ToUpper(string(w.Status)), "description": w.Description, "reason": w.Reason, "note": w.Note,
		"imageTag": w.After.ImageTag, "runtimeVersion": w.After.Runtime, "isDagDeployEnabled": w.After.DAGDeploys,
		"createdAt": timeText(w.CreatedAt), "updatedAt": timeText(lastChange(w)), "liveAt": timeText(w.LiveAt), "finishedAt": timeText(w.EndedAt),
		"createdBy": actorObject(w.By),
	}
	if w.ReturnTo > 0 {
		o["returnTo"] = w.ReturnTo
	}
	if w.Folder != "" {
		o["folder"], o["merge"] = w.Folder, w.Merge
	}
	if w.Root != nil && !w.StagedAt.IsZero() {
		o["dagsPath"], o["dagsPathReason"] = slipway.RootChoice{Path: w.Root.Path}.Name(), w.Root.Why
	}
	if w.Image != nil {
		o["image"], o["imagePlatform"] = w.Image.Ref(), w.Image.Platform
	}
	if !w.QueuedAt.IsZero() {
		o["finalizedBy"] = actorObject(w.ConfirmedBy)
		if w.After.Version == w.Version { // otherwise the deploy leaves the DAGs unchanged
			o["dagTarballVersion"] = w.Version
		}
		o["counts"] = object{"added": w.Counts.Added, "changed": w.Counts.Changed, "removed": w.Counts.Removed, "modes": w.Counts.Modes, "files": w.Counts.Files}
	}
	if w.Git != (slipway.Git{}) {
		o["git"] = object{"commitSha": w.Git.Commit, "branch": w.Git.Branch, "repo": w.Git.Repository, "commitUrl": w.Git.URL, "authorName": w.Git.Author}
	}
	return o
}

// lastChange returns the time of the last step in a deploy's life.
func lastChange(w slipway.Deploy) time.Time {
	return slices.MaxFunc([]time.Time{w.CreatedAt, w.UploadedAt, w.StagedAt, w.QueuedAt, w.DeployingAt, w.EndedAt}, time.Time.Compare)
}

// actorObject returns a person or an API token in JSON.
func actorObject(a slipway.Actor) object {
	if a.Token != "" {
		return object{"id": a.Token, "apiTokenName": a.Name, "subjectType": "SERVICEKEY"}
	}
	return object{"id": a.User, "fullName": a.Name, "subjectType": "USER"}
}

// deploys serves the operations on deploys.
type deploys struct {
	*core
	uploads *uploads
}

// listDeploys serves GET …/deploys, the newest first.
func (e *deploys) listDeploys(c echo.Context) error {
	if _, err := filtersOf(c); err != nil {
		return err
	}
	p, err := pageOf(c)
	if err != nil {
		return err
	}
	var all []slipway.Deploy
	total := 0
	err = e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, _, err := tx.Deployment(deploymentID(c), Caller(c))
		if err != nil {
			return err
		}
		if total, err = tx.CountDeploys(d.ID); err != nil || p.offset >= total || p.limit == 0 {
			return err
		}
		all, err = tx.Deploys(d.ID, total-p.offset+1, p.limit) // numbers of deploys have no gaps
		return err
	})
	if err != nil {
		return err
	}
	items := []object{}
	for _, w := range all {
		items = append(items, deployObject(w))
	}
	return ok(c, object{"deploys": items, "totalCount": total, "limit": p.limit, "offset": p.offset})
}

// showDeploy serves GET …/deploys/:deploy.
func (e *deploys) showDeploy(c echo.Context) error {
	w, err := e.deployOf(c)
	if err != nil {
		return err
	}
	return ok(c, deployObject(w))
}

// finalize serves POST …/finalize: the API's confirmation of a deploy. Errors in
// the files are answered here, because the CLI shows this message to the user.
func (e *deploys) finalize(c echo.Context) error {
	w, err := e.deployOf(c)
	if err != nil {
		return err
	}
	b, err := readKnown[struct {
		Version slipway.Version `json:"dagTarballVersion"`
		Bundle  string          `json:"bundleTarballVersion"`
	}](c)
	if err != nil {
		return err
	}
	if b.Bundle != "" {
		return noBundles()
	}
	w, err = e.engine.Finalize(c.Request().Context(), w.Deployment, w.ID, Caller(c), deploy.Finish{Version: b.Version})
	if err != nil {
		return e.addReviewURL(c, err)
	}
	return ok(c, deployObject(w))
}

// addReviewURL adds the address of the confirmation page to a GuardedError. Other
// errors are returned unchanged.
func (e *deploys) addReviewURL(c echo.Context, err error) error {
	g, is := errors.AsType[*deploy.GuardedError](err)
	if !is {
		return err
	}
	address := e.deployPage(c, g.Deploy)
	if g.Deploy.ReturnTo > 0 {
		address += "/return"
	}
	_, text := slipway.Explain(err)
	return errors.Join(slipway.Errorf(slipway.Conflict, "%s Open %s", text, address), err)
}

// rollBack serves POST …/rollback: a new deploy returns to this deploy's state.
func (e *deploys) rollBack(c echo.Context) error {
	w, err := e.deployOf(c)
	if err != nil {
		return err
	}
	b, err := readKnown[struct {
		Description string `json:"description"`
	}](c)
	if err != nil {
		return err
	}
	w, err = e.engine.RollBack(c.Request().Context(), w.Deployment, w.ID, Caller(c), cleanText(b.Description))
	if err != nil {
		return e.addReviewURL(c, err)
	}
	return ok(c, deployObject(w))
}

// gitBody is the origin of the files in git, in the CLI's fields.
type gitBody struct {
	Provider   string `json:"provider"` // GITHUB or GENERIC
	Account    string `json:"account"`
	Repo       string `json:"repo"`
	RemoteURL  string `json:"remoteUrl"`
	Branch     string `json:"branch"`
	CommitSHA  string `json:"commitSha"`
	CommitURL  string `json:"commitUrl"`
	AuthorName string `json:"authorName"`
	Path       string `json:"path"`
}

// git returns g as stored with a deploy. The repository is account/repo, or
// else the remote URL.
func (g gitBody) git() slipway.Git {
	repository := g.RemoteURL
	if g.Repo != "" {
		repository = strings.TrimPrefix(g.Account+"/"+g.Repo, "/")
	}
	return slipway.Git{Commit: g.CommitSHA, Branch: g.Branch, Repository: repository, URL: g.CommitURL, Author: g.AuthorName}
}

// deployBody is the CLI's request for a new deploy.
type deployBody struct {
	Type        string  `json:"type"`
	Description string  `json:"description"`
	DagsPath    string  `json:"dagsPath"`
	Git         gitBody `json:"git"`
	BundleType  string  `json:"bundleType"` // of dbt, like the next field
	BundlePath  string  `json:"bundleMountPath"`
}

// noBundles is the refusal of bundles of dbt.
func noBundles() error {
	return slipway.Errorf(slipway.Invalid, "This portal does not take dbt bundles yet. Put the dbt project into the dags folder.")
}

// archiveName is the name on pages for an archive of the CLI.
const archiveName = "bundle.tar.gz"

// createDeploy serves POST …/deploys, and answers with the addresses for the
// archive and the image. The CLI checks some things only afterwards: not every
// deploy is finalized.
func (e *deploys) createDeploy(c echo.Context) error {
	b, err := readKnown[deployBody](c)
	if err != nil {
		return err
	}
	d, err := e.checkDeploy(c, slipway.DeployKind(b.Type))
	if err != nil {
		return err
	}
	if b.BundleType != "" || b.BundlePath != "" {
		return noBundles()
	}
	w, upload, err := e.beginDeploy(c, d, b)
	if err != nil {
		return err
	}
	o := deployObject(w)
	o["isDagDeployEnabled"], o["imageRepository"], o["imageTag"] = d.DAGDeploys, e.pushTarget(c, d), cmp.Or(w.Tag, d.ImageTag)
	if upload {
		if o["dagsUploadUrl"], err = e.uploads.uploadURL(c, w); err != nil {
			return err
		}
	}
	return ok(c, o)
}

// beginDeploy makes the deploy for b. upload reports whether an archive of DAGs
// follows.
func (e *deploys) beginDeploy(c echo.Context, d slipway.Deployment, b deployBody) (w slipway.Deploy, upload bool, err error) {
	ctx, by, kind := c.Request().Context(), Caller(c), slipway.DeployKind(b.Type)
	n := deploy.NewUpload{Name: archiveName, Root: b.DagsPath, Description: cleanText(b.Description), Git: b.Git.git()}
	if kind.HasImage() {
		w, err = e.engine.CreateImage(ctx, d.ID, by, deploy.NewImage{Kind: kind, Description: n.Description, Git: n.Git})
		if err != nil || kind == slipway.ImageOnly || !d.DAGDeploys {
			return w, false, err
		}
		n.To = w.Number
	}
	w, err = e.engine.BeginBlocks(ctx, d.ID, by, n)
	return w, true, err
}

// pushTarget returns the repository for images of d, with the portal's host as
// the client knows the host.
func (e *deploys) pushTarget(c echo.Context, d slipway.Deployment) string {
	_, host, _ := strings.Cut(e.portalURL(c), "://")
	return host + "/" + deploy.Repository(d)
}

// checkDeploy returns the projected Deployment, or an error if the caller may
// not make a deploy of kind.
func (e *deploys) checkDeploy(c echo.Context, kind slipway.DeployKind) (d slipway.Deployment, err error) {
	err = e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Projected(deploymentID(c), Caller(c)); err != nil {
			return err
		}
		if kind == "BUNDLE" {
			return noBundles()
		}
		return d.MayDeploy(kind, role, Caller(c))
	})
	return d, err
}

// maxDescription is the limit for a description, in characters. The CLI sends the
// commit message: a long message is cut, and the deploy is not refused.
const maxDescription = 1000

// cleanText cuts text to maxDescription, and removes control characters.
func cleanText(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if characters := []rune(text); len(characters) > maxDescription {
		return string(characters[:maxDescription-1]) + "…"
	}
	return text
}

// createNamedBundle serves the CLI's address for deploys to a DAG bundle by name,
// and refuses the deploy: a Deployment has one bundle, without a name.
func (e *deploys) createNamedBundle(c echo.Context) error {
	if _, err := e.checkDeploy(c, slipway.DAGOnly); err != nil {
		return err
	}
	return slipway.Errorf(slipway.Invalid, "A Deployment of this portal has one DAG bundle, without a name. Leave out --dag-bundle-name.")
}

// deployOf returns the deploy in the address.
func (e *deploys) deployOf(c echo.Context) (slipway.Deploy, error) {
	return e.engine.DeployOf(c.Request().Context(), deploymentID(c), slipway.DeployID(c.Param("deploy")), Caller(c))
}

package api

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// deployObject is a deploy as the API shows it.
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
	if w.Image != nil {
		o["image"], o["imagePlatform"] = w.Image.Ref(), w.Image.Platform
	}
	if !w.QueuedAt.IsZero() {
		o["finalizedBy"] = actorObject(w.ConfirmedBy)
		if w.After.Version == w.Version { // else it leaves the DAGs as they are
			o["dagTarballVersion"] = w.Version
		}
		o["counts"] = object{"added": w.Counts.Added, "changed": w.Counts.Changed, "removed": w.Counts.Removed, "files": w.Counts.Files}
	}
	if w.Git != (slipway.Git{}) {
		o["git"] = object{"commitSha": w.Git.Commit, "branch": w.Git.Branch, "repo": w.Git.Repository, "commitUrl": w.Git.URL, "authorName": w.Git.Author}
	}
	return o
}

func lastChange(w slipway.Deploy) time.Time {
	return slices.MaxFunc([]time.Time{w.CreatedAt, w.UploadedAt, w.StagedAt, w.QueuedAt, w.DeployingAt, w.EndedAt}, time.Time.Compare)
}

func actorObject(a slipway.Actor) object {
	if a.Token != "" {
		return object{"id": a.Token, "apiTokenName": a.Name, "subjectType": "SERVICEKEY"}
	}
	return object{"id": a.User, "fullName": a.Name, "subjectType": "USER"}
}

// deploys serves deploys.
type deploys struct {
	*core
	uploads *uploads
}

// listDeploys serves GET …/deploys, the newest first.
func (e *deploys) listDeploys(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	p, err := pageOf(c)
	if err != nil {
		return err
	}
	var all []slipway.Deploy
	total := 0
	err = e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, _, err := tx.Deployment(deploymentID(c), caller(c))
		if err != nil {
			return err
		}
		if total, err = tx.CountDeploys(d.ID); err != nil || p.offset >= total || p.limit == 0 {
			return err
		}
		all, err = tx.Deploys(d.ID, total-p.offset+1, p.limit) // their numbers have no gaps
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

// finalize serves POST …/finalize. What is wrong with the files is said here:
// it is where the CLI shows a message well.
func (e *deploys) finalize(c echo.Context) error {
	w, err := e.deployOf(c)
	if err != nil {
		return err
	}
	b, err := readBody[struct {
		Version slipway.Version `json:"dagTarballVersion"`
	}](c)
	if err != nil {
		return err
	}
	if err := LiftDeadlines(c); err != nil { // it waits for the files to be checked
		return err
	}
	w, err = e.engine.Finalize(c.Request().Context(), w.Deployment, w.ID, caller(c), deploy.Finish{Version: b.Version})
	if err != nil {
		return e.guarded(c, err)
	}
	return ok(c, deployObject(w))
}

// guarded adds to the refusal of a deploy that waits for a person where they
// can see to it.
func (e *deploys) guarded(c echo.Context, err error) error {
	g, is := errors.AsType[*deploy.GuardedError](err)
	if !is {
		return err
	}
	address := fmt.Sprintf("%s/deployments/%s/deploys/%d", e.base(c), g.Deploy.Deployment, g.Deploy.Number)
	if g.Deploy.ReturnTo > 0 {
		address += "/return"
	}
	_, text := slipway.Explain(err)
	return errors.Join(slipway.Errorf(slipway.Conflict, "%s Open %s", text, address), err)
}

// rollBack serves POST …/rollback: a new deploy that returns to this one.
func (e *deploys) rollBack(c echo.Context) error {
	w, err := e.deployOf(c)
	if err != nil {
		return err
	}
	b, err := readBody[struct {
		Description string `json:"description"`
	}](c)
	if err != nil {
		return err
	}
	w, err = e.engine.RollBack(c.Request().Context(), w.Deployment, w.ID, caller(c), shortened(b.Description))
	if err != nil {
		return e.guarded(c, err)
	}
	return ok(c, deployObject(w))
}

// gitBody is where the files came from, as the CLI says it.
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

func (g gitBody) git() slipway.Git {
	repository := g.RemoteURL
	if g.Repo != "" {
		repository = strings.TrimPrefix(g.Account+"/"+g.Repo, "/")
	}
	return slipway.Git{Commit: g.CommitSHA, Branch: g.Branch, Repository: repository, URL: g.CommitURL, Author: g.AuthorName}
}

// deployBody is what a deploy is made by.
type deployBody struct {
	Type        string  `json:"type"`
	Description string  `json:"description"`
	Git         gitBody `json:"git"`
}

// archiveName is what people read of an archive that the CLI packed.
const archiveName = "bundle.tar.gz"

// createDeploy serves POST …/deploys. Not every one is finalized: the CLI checks
// some things only then.
func (e *deploys) createDeploy(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	b, err := readBody[deployBody](c)
	if err != nil {
		return err
	}
	d, err := e.takesDeploy(c, slipway.DeployKind(b.Type))
	if err != nil {
		return err
	}
	w, slot, err := e.begun(c, d, b)
	if err != nil {
		return err
	}
	o := deployObject(w)
	o["isDagDeployEnabled"], o["imageRepository"], o["imageTag"] = d.DAGDeploys, e.pushTarget(c, d), cmp.Or(w.Tag, d.ImageTag)
	if slot {
		if o["dagsUploadUrl"], err = e.uploads.uploadURL(c, w); err != nil {
			return err
		}
	}
	return ok(c, o)
}

// begun makes the deploy that b asks for. slot says that it takes DAGs in.
func (e *deploys) begun(c echo.Context, d slipway.Deployment, b deployBody) (w slipway.Deploy, slot bool, err error) {
	ctx, by, kind := c.Request().Context(), caller(c), slipway.DeployKind(b.Type)
	n := deploy.NewUpload{Name: archiveName, Merge: slipway.ReplaceAll, Description: shortened(b.Description), Git: b.Git.git()}
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

// pushTarget returns where the image of a deploy of d is pushed to, as whoever
// asks reaches the portal.
func (e *deploys) pushTarget(c echo.Context, d slipway.Deployment) string {
	_, host, _ := strings.Cut(e.base(c), "://")
	return host + "/" + deploy.Repository(d)
}

// takesDeploy returns the Deployment as it will be, if a deploy of kind can be
// made on it.
func (e *deploys) takesDeploy(c echo.Context, kind slipway.DeployKind) (d slipway.Deployment, err error) {
	err = e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Projected(deploymentID(c), caller(c)); err != nil {
			return err
		}
		if kind == "BUNDLE" {
			return slipway.Errorf(slipway.Invalid, "This portal does not take dbt bundles yet. Put the dbt project into the dags folder.")
		}
		return d.MayDeploy(kind, role, caller(c))
	})
	return d, err
}

// maxDescription is how much is kept of a commit message, which the CLI sends
// as the description: a long one is no reason to refuse a deploy.
const maxDescription = 1000

// shortened returns text as a description: cut, and without control signs.
func shortened(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if letters := []rune(text); len(letters) > maxDescription {
		return string(letters[:maxDescription-1]) + "…"
	}
	return text
}

// createNamedBundle serves the address at which the CLI deploys to a DAG bundle
// by name. Airflow has one from us, so there is nothing to choose.
func (e *deploys) createNamedBundle(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	if _, err := e.takesDeploy(c, slipway.DAGOnly); err != nil {
		return err
	}
	return slipway.Errorf(slipway.Invalid, "A Deployment of this portal has one DAG bundle, without a name. Leave out --dag-bundle-name.")
}

// deployOf returns the deploy that a request is about.
func (e *deploys) deployOf(c echo.Context) (slipway.Deploy, error) {
	if err := inOrganization(c); err != nil {
		return slipway.Deploy{}, err
	}
	return e.engine.DeployOf(c.Request().Context(), deploymentID(c), slipway.DeployID(c.Param("deploy")), caller(c))
}

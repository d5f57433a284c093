package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"slipway"
	"slipway/deploy"
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
	if !w.QueuedAt.IsZero() {
		o["dagTarballVersion"], o["finalizedBy"] = w.Version, actorObject(w.ConfirmedBy)
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

// deployOf returns the deploy that a request is about.
func (s *Server) deployOf(c echo.Context) (slipway.Deploy, error) {
	if err := inOrganization(c); err != nil {
		return slipway.Deploy{}, err
	}
	return s.engine.DeployOf(c.Request().Context(), deploymentID(c), slipway.DeployID(c.Param("deploy")), caller(c))
}

// listDeploys serves GET …/deploys, the newest first.
func (s *Server) listDeploys(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	p, err := pageOf(c)
	if err != nil {
		return err
	}
	var all []slipway.Deploy
	total := 0
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
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
func (s *Server) showDeploy(c echo.Context) error {
	w, err := s.deployOf(c)
	if err != nil {
		return err
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
func (s *Server) createDeploy(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	b, err := read[deployBody](c)
	if err != nil {
		return err
	}
	d, err := s.takesDeploy(c, slipway.DeployKind(b.Type))
	if err != nil {
		return err
	}
	w, err := s.engine.BeginBlocks(c.Request().Context(), d.ID, caller(c), deploy.NewUpload{
		Name: archiveName, Merge: slipway.ReplaceAll, Description: shortened(b.Description), Git: b.Git.git(),
	})
	if err != nil {
		return err
	}
	address, err := s.uploadURL(c, w)
	if err != nil {
		return err
	}
	o := deployObject(w)
	o["dagsUploadUrl"], o["isDagDeployEnabled"] = address, d.DAGDeploys
	return ok(c, o)
}

// takesDeploy returns the Deployment as it will be, if a deploy of kind can be
// made on it.
func (s *Server) takesDeploy(c echo.Context, kind slipway.DeployKind) (d slipway.Deployment, err error) {
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Tail(deploymentID(c), caller(c)); err != nil {
			return err
		}
		switch kind {
		case "BUNDLE":
			return slipway.Errorf(slipway.Invalid, "This portal does not take dbt bundles yet. Put the dbt project into the dags folder.")
		case slipway.ImageOnly, slipway.ImageAndDAG:
			return errors.Join(d.MayDeploy(kind, role, caller(c)),
				slipway.Errorf(slipway.Invalid, "This portal does not take images yet. Deploy the DAGs alone: astro deploy %s --dags", d.ID))
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

// finalize serves POST …/finalize. What is wrong with the files is said here:
// it is where the CLI shows a message well.
func (s *Server) finalize(c echo.Context) error {
	w, err := s.deployOf(c)
	if err != nil {
		return err
	}
	b, err := read[struct {
		Version slipway.Version `json:"dagTarballVersion"`
	}](c)
	if err != nil {
		return err
	}
	if err := unhurried(c); err != nil { // it waits for the files to be checked
		return err
	}
	w, err = s.engine.Finalize(c.Request().Context(), w.Deployment, w.ID, caller(c), deploy.Finish{Version: b.Version})
	if err != nil {
		return s.guarded(c, err)
	}
	return ok(c, deployObject(w))
}

// guarded adds to the refusal of a deploy that waits for a person where they
// can see to it.
func (s *Server) guarded(c echo.Context, err error) error {
	g, is := errors.AsType[*deploy.Guarded](err)
	if !is {
		return err
	}
	address := fmt.Sprintf("%s/deployments/%s/deploys/%d", s.base(c), g.Deploy.Deployment, g.Deploy.Number)
	if g.Deploy.ReturnTo > 0 {
		address += "/return"
	}
	_, text := slipway.Explain(err)
	return errors.Join(slipway.Errorf(slipway.Conflict, "%s Open %s", text, address), err)
}

// rollBack serves POST …/rollback: a new deploy that returns to this one.
func (s *Server) rollBack(c echo.Context) error {
	w, err := s.deployOf(c)
	if err != nil {
		return err
	}
	b, err := read[struct {
		Description string `json:"description"`
	}](c)
	if err != nil {
		return err
	}
	w, err = s.engine.RollBack(c.Request().Context(), w.Deployment, w.ID, caller(c), shortened(b.Description))
	if err != nil {
		return s.guarded(c, err)
	}
	return ok(c, deployObject(w))
}

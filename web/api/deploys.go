package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	if err := Unhurried(c); err != nil { // it waits for the files to be checked
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

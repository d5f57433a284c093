package web

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// showDeployments serves GET /workspaces/:workspace: the list of Deployments.
func (s *Server) showDeployments(c echo.Context) error {
	var p views.DeploymentsPage
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		if p, err = s.deployments(c, tx); err != nil {
			return err
		}
		p.Page, _, err = s.frameIn(c, tx, "Deployments", workspaceID(c), views.Deployments)
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.DeploymentsList(p))
}

// deployments returns the list without the frame.
func (s *Server) deployments(c echo.Context, tx *store.Tx) (p views.DeploymentsPage, err error) {
	w, role, err := tx.Workspace(workspaceID(c), actorOf(c))
	if err != nil {
		return p, err
	}
	p.LiveURL = workspacePath(w.ID) + "/live"
	if role.May(slipway.ManageDeployments) == nil {
		p.NewURL = workspacePath(w.ID) + "/deployments/new"
	}
	all, err := tx.Deployments(w.ID)
	if err != nil {
		return p, err
	}
	for _, d := range all {
		row, err := s.deploymentRow(tx, d, role, actorOf(c))
		if err != nil {
			return p, err
		}
		p.Rows = append(p.Rows, row)
	}
	return p, nil
}

// deploymentRow is the row of a Deployment, with health and last deploy. An author
// gets a link to the first deploy.
func (s *Server) deploymentRow(tx *store.Tx, d slipway.Deployment, role slipway.Role, by slipway.Actor) (views.DeploymentRow, error) {
	row := views.DeploymentRow{
		Name: d.Name, URL: deploymentPath(d.ID), Namespace: d.Namespace, Local: d.Local, NeedsImage: d.NeedsImage,
		ImageTag: views.ImageTag(d.State), Runtime: d.Runtime,
	}
	if d.Mounted {
		row.Version, row.VersionURL = d.Version, versionPath(d.ID, d.Version)
	}
	running, isRunning, err := tx.RunningDeploy(d.ID)
	if err != nil {
		return row, err
	}
	row.Health, row.Reason = d.Health(s.engine.Components(d.ID), s.engine.Refused(d.ID), only(running, isRunning), tx.Now)
	last, exists, err := tx.LastDeploy(d.ID)
	if err != nil {
		return row, err
	}
	if exists {
		row.Last = &views.DeployLine{
			Number: last.Number, URL: deployPath(d.ID, last.Number), At: views.Moment{At: last.CreatedAt, Now: tx.Now},
			By: last.By.Title(), Description: last.Description, Status: last.Status,
		}
		return row, err
	}
	if row.Reason == "" {
		row.Reason = "nothing deployed yet"
	}
	if d.MayDeploy(slipway.DAGOnly, role, by) == nil {
		row.DeployURL = deploymentPath(d.ID) + "#new-deploy"
	}
	return row, nil
}

// only returns a pointer to v, or nil if v is absent.
func only[T any](v T, there bool) *T {
	if !there {
		return nil
	}
	return &v
}

// workspaceID returns the Workspace's id in the address.
func workspaceID(c echo.Context) slipway.WorkspaceID {
	return slipway.WorkspaceID(c.Param("workspace"))
}

// showNewDeployment serves GET /workspaces/:workspace/deployments/new.
func (s *Server) showNewDeployment(c echo.Context) error {
	return s.newDeploymentForm(c, http.StatusOK, views.NewDeploymentPage{})
}

// newDeploymentForm renders the form with the fields of p. Roles without
// ManageDeployments are refused.
func (s *Server) newDeploymentForm(c echo.Context, status int, p views.NewDeploymentPage) error {
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		var role slipway.Role
		if p.Page, role, err = s.frameIn(c, tx, "New Deployment", workspaceID(c), views.Deployments); err != nil {
			return err
		}
		p.Page.Class = "narrow"
		p.CancelURL = workspacePath(workspaceID(c))
		p.Action = p.CancelURL + "/deployments/new"
		return role.May(slipway.ManageDeployments)
	})
	if err != nil {
		return err
	}
	return render(c, status, views.NewDeployment(p))
}

// addDeployment serves POST /workspaces/:workspace/deployments/new. A refused form
// is shown again.
func (s *Server) addDeployment(c echo.Context) error {
	typed := views.NewDeploymentPage{
		Name: c.FormValue("name"), Description: c.FormValue("description"), Elsewhere: c.FormValue("where") == "elsewhere",
	}
	d, err := slipway.NewDeployment(workspaceID(c), typed.Name, !typed.Elsewhere)
	if err == nil {
		d.Description, err = slipway.CheckDescription(typed.Description)
	}
	if err == nil {
		d, err = s.engine.Create(c.Request().Context(), d, actorOf(c))
	}
	if typed.Error = correctable(err); typed.Error != "" {
		status, _ := explain(err)
		return s.newDeploymentForm(c, status, typed)
	}
	if err != nil {
		return err
	}
	return s.done(c, deploymentPath(d.ID), views.DoneDeployment, d.Name)
}

// correctable returns the sentence of an error that another input in the same
// form would avoid; "" for other errors.
func correctable(err error) string {
	if err == nil {
		return ""
	}
	switch kind, text := slipway.Explain(err); kind {
	case slipway.Invalid, slipway.Conflict:
		return text
	}
	return ""
}

// showDeployment serves GET /deployments/:deployment: the Overview.
func (s *Server) showDeployment(c echo.Context) error {
	return s.overviewPage(c, http.StatusOK, func(n *views.NewDeploy) {
		n.Folder = strings.Trim(c.QueryParam("folder"), "/")
	})
}

// overviewPage renders the Overview after edit has changed the form.
func (s *Server) overviewPage(c echo.Context, status int, edit func(*views.NewDeploy)) error {
	var o views.Overview
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		if o, err = s.overview(c, tx, sc); err != nil {
			return err
		}
		o.Frame, err = s.frameOf(c, tx, sc, sc.Name, sc.links().Overview)
		return err
	})
	if err != nil {
		return err
	}
	edit(&o.Form)
	o.Frame.Page.Uploads = o.Form.Refusal == ""
	return render(c, status, views.OverviewPage(o))
}

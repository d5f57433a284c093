package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

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

// deployments returns the list without the frame, as filtered in the address.
func (s *Server) deployments(c echo.Context, tx *store.Tx) (p views.DeploymentsPage, err error) {
	w, role, err := tx.Workspace(workspaceID(c), actorOf(c))
	if err != nil {
		return p, err
	}
	q := deploymentsQueryOf(c)
	p = views.DeploymentsPage{URL: workspacePath(w.ID), LiveURL: q.path(workspacePath(w.ID) + "/live"), Text: q.text, Showing: q.show, Orders: views.DeploymentOrders(string(q.order))}
	if role.May(slipway.ManageDeployments) == nil {
		p.NewURL = workspacePath(w.ID) + "/deployments/new"
	}
	found, toConfirm, err := s.listedIn(tx, w.ID, q)
	if err != nil {
		return p, err
	}
	if p.Filtered = q.text != "" || q.show != ""; !p.Filtered {
		p.None = len(found) == 0
	} else if len(found) == 0 {
		n, err := tx.CountIn(w.ID)
		if p.None = n.Deployments == 0; err != nil {
			return p, err
		}
	}
	p.Shown = q.shown(p.URL, found)
	found = slices.DeleteFunc(found, func(d listed) bool { return !q.shows(d.standing) })
	slices.SortFunc(found, func(a, b listed) int { return q.order.Compare(a.standing, b.standing) })
	l := store.Listing{Offset: (q.page - 1) * pageSize}
	p.Part = listPartAt(l, len(found), func(page int) string {
		at := q
		at.page = page
		return at.path(p.URL)
	})
	for _, d := range found[min(l.Offset, len(found)):min(l.Offset+pageSize, len(found))] {
		row, err := s.deploymentRow(tx, d, role, actorOf(c), toConfirm[d.ID])
		if err != nil {
			return p, err
		}
		p.Rows = append(p.Rows, row)
	}
	return p, nil
}

// listed is a Deployment of the list, with what decides its place.
type listed struct {
	store.ListedDeployment
	standing slipway.Standing
}

// listedIn returns the Deployments of a Workspace that have the words of q, and their
// deploys to confirm.
func (s *Server) listedIn(tx *store.Tx, w slipway.WorkspaceID, q deploymentsQuery) ([]listed, map[slipway.DeploymentID]store.ToConfirm, error) {
	all, err := tx.ListDeployments(w, strings.Fields(q.text))
	if err != nil {
		return nil, nil, err
	}
	toConfirm, err := tx.ToConfirm(w)
	found := make([]listed, 0, len(all))
	for _, d := range all {
		d.SeenAt = s.engine.SeenAt(d.ID)
		health, _ := d.Health(s.engine.Components(d.ID), s.engine.Refused(d.ID), only(slipway.Deploy{}, d.Running), tx.Now)
		found = append(found, listed{d, slipway.Standing{
			Name: d.Name, Health: health, NeedsImage: d.NeedsImage, Failed: d.Last == slipway.Failed, ToConfirm: toConfirm[d.ID].Count, LiveAt: d.LiveAt,
		}})
	}
	return found, toConfirm, err
}

// deploymentRow is the row of a Deployment. An author gets a link to the first
// deploy.
func (s *Server) deploymentRow(tx *store.Tx, d listed, role slipway.Role, by slipway.Actor, waits store.ToConfirm) (row views.DeploymentRow, err error) {
	row = views.DeploymentRow{
		Name: d.Name, URL: deploymentPath(d.ID), Namespace: d.Namespace, Local: d.Local, NeedsImage: d.NeedsImage,
		ImageTag: views.ImageTag(d.State), Runtime: d.Runtime, Switched: !d.DAGDeploys, ToConfirm: waits.Count, ConfirmURL: deployPath(d.ID, waits.First),
	}
	if waits.Count > 1 {
		row.ConfirmURL = deploymentPath(d.ID) + "/deploys?status=" + string(slipway.Staged)
	}
	if d.Mounted {
		row.Version, row.VersionURL = d.Version, versionPath(d.ID, d.Version)
		at, _ := d.Version.Time()
		row.VersionAt = views.Moment{At: at, Now: tx.Now}
	}
	running, isRunning, err := tx.RunningDeploy(d.ID)
	if err != nil {
		return row, err
	}
	d.SeenAt = s.engine.SeenAt(d.ID)
	row.Health, row.Reason = d.Health(s.engine.Components(d.ID), s.engine.Refused(d.ID), only(running, isRunning), tx.Now)
	days, err := lastDays(tx, d.ID, tx.Now)
	if err != nil {
		return row, err
	}
	row.Spark = views.NewSpark(days)
	if !d.LiveAt.IsZero() {
		live, _, err := tx.LiveDeploy(d.ID)
		if err != nil {
			return row, err
		}
		row.Live = deployLine(tx, live, live.LiveAt)
	}
	if d.Last == slipway.Failed {
		last, _, err := tx.LastDeploy(d.ID)
		if err != nil {
			return row, err
		}
		row.Failed = deployLine(tx, last, last.EndedAt)
	}
	if d.Last == "" && d.MayDeploy(slipway.DAGOnly, role, by) == nil {
		row.DeployURL = deploymentPath(d.ID) + "#new-deploy"
	}
	return row, nil
}

// deployLine names w, with a moment of its life.
func deployLine(tx *store.Tx, w slipway.Deploy, at time.Time) *views.DeployLine {
	return &views.DeployLine{
		Number: w.Number, URL: deployPath(w.Deployment, w.Number), At: views.Moment{At: at, Now: tx.Now},
		By: w.By.Title(), Description: w.Description, Status: w.Status,
	}
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

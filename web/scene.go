package web

import (
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// scene is the state of a Deployment for one request.
type scene struct {
	slipway.Deployment // as recorded now
	projected          slipway.Deployment
	role               slipway.Role
	by                 slipway.Actor
	queue              []slipway.Turn
	components         []slipway.Component
	live               slipway.Deploy // the deploy with the desired state; zero before the first
	now                time.Time
	refused            slipway.Refused
	trouble            string // for which the queue waits; "" for none
}

// deploymentID returns the Deployment's id in the address.
func deploymentID(c echo.Context) slipway.DeploymentID {
	return slipway.DeploymentID(c.Param("deployment"))
}

// number returns the deploy number in the address.
func number(c echo.Context) (int, error) {
	n, err := strconv.Atoi(c.Param("number"))
	if err != nil || n < 1 {
		return 0, slipway.Errorf(slipway.NotFound, views.NoDeploy)
	}
	return n, nil
}

// sceneOf loads the Deployment in the address.
func (s *Server) sceneOf(c echo.Context, tx *store.Tx) (sc scene, err error) {
	sc.by, sc.now = actorOf(c), tx.Now
	if sc.Deployment, sc.role, err = tx.Deployment(deploymentID(c), sc.by); err != nil {
		return sc, err
	}
	if sc.queue, err = tx.Queue(sc.ID); err != nil {
		return sc, err
	}
	if sc.live, _, err = tx.LiveDeploy(sc.ID); err != nil {
		return sc, err
	}
	sc.projected = sc.Projected(sc.queue)
	sc.SeenAt = s.engine.SeenAt(sc.ID)
	sc.components, sc.refused, sc.trouble = s.engine.Components(sc.ID), s.engine.Refused(sc.ID), s.engine.Trouble(sc.ID)
	return sc, nil
}

// viewScene loads the Deployment in the address and calls more, in one View.
func (s *Server) viewScene(c echo.Context, more func(*store.Tx, scene) error) error {
	return s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		sc, err := s.sceneOf(c, tx)
		if err != nil {
			return err
		}
		return more(tx, sc)
	})
}

// at returns t as shown at the time of the request.
func (sc scene) at(t time.Time) views.Moment { return views.Moment{At: t, Now: sc.now} }

// links are the addresses of the Deployment's pages.
func (sc scene) links() views.DeploymentLinks {
	path := deploymentPath(sc.ID)
	return views.DeploymentLinks{
		Workspace: workspacePath(sc.Workspace),
		Overview:  path, Deploys: path + "/deploys", Versions: path + "/versions", Insights: path + "/insights", Settings: path + "/settings",
	}
}

// workspacePath is the address of the list of Deployments in a Workspace.
func workspacePath(id slipway.WorkspaceID) string { return "/workspaces/" + string(id) }

// deploymentPath is the address of the Overview, and the start of the addresses
// of all pages of the Deployment.
func deploymentPath(id slipway.DeploymentID) string { return "/deployments/" + string(id) }

// deployPath is the address of the page of a deploy.
func deployPath(of slipway.DeploymentID, number int) string {
	return deploymentPath(of) + "/deploys/" + strconv.Itoa(number)
}

// versionPath is the address of the page of a version.
func versionPath(of slipway.DeploymentID, v slipway.Version) string {
	return deploymentPath(of) + "/versions/" + v.Dir()
}

// filePath is the page of a file in a version, safe for every path.
func filePath(of slipway.DeploymentID, v slipway.Version, path string) string {
	return versionPath(of, v) + "/files/" + (&url.URL{Path: path}).EscapedPath()
}

// frameOf returns the frame of a page of the Deployment; tab is the address of
// the open tab.
func (s *Server) frameOf(c echo.Context, tx *store.Tx, sc scene, title, tab string) (f views.DeploymentFrame, err error) {
	f = views.DeploymentFrame{ID: sc.ID, Name: sc.Name, Links: sc.links(), Tab: tab, AirflowURL: sc.AirflowURL}
	if title != sc.Name {
		title += " · " + sc.Name
	}
	if f.Page, _, err = s.frameIn(c, tx, title, sc.Workspace, views.Deployments); err != nil {
		return f, err
	}
	f.Banner, err = s.banner(tx, sc)
	return f, err
}

// banner is the banner of a Deployment in need of an image deploy, or with an
// image that is not known to run; else the zero Banner.
func (s *Server) banner(tx *store.Tx, sc scene) (b views.Banner, err error) {
	if sc.ToRun != "" {
		b.Run = &views.ImageToRun{Ref: s.engine.PullRef(sc.State), Digest: sc.ToRun}
		if sc.MayStateRuns(sc.role) == nil {
			b.Run.Action = deploymentPath(sc.ID) + "/image/runs"
		}
	}
	if !sc.NeedsImage {
		return b, nil
	}
	turned, err := tx.Switches(sc.ID, 1)
	if err != nil {
		return b, err
	}
	b.Text = views.BannerText(sc.Deployment, nil)
	if len(turned) > 0 {
		b.Text, b.At = views.BannerText(sc.Deployment, &turned[0]), sc.at(turned[0].AppliedAt)
	}
	b.On = sc.projected.DAGDeploys
	if sc.projected.MaySwitchSafely(b.On, sc.role) == nil {
		b.SafeURL = deploymentPath(sc.ID) + "/switch"
	}
	if sc.projected.MayDeploy(slipway.ImageAndDAG, sc.role, sc.by) == nil {
		b.DeployURL = kindPath(sc.ID, slipway.ImageAndDAG)
	}
	if sc.projected.SwitchesBack() && sc.projected.MaySwitch(!sc.projected.DAGDeploys, sc.role) == nil {
		b.SwitchURL = switchPath(sc.ID, !sc.projected.DAGDeploys)
	}
	return b, nil
}

// switchPath is the address of the page to confirm a switch.
func switchPath(id slipway.DeploymentID, on bool) string {
	return deploymentPath(id) + "/switch?to=" + slipway.OnOff(on)
}

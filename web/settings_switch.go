package web

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// recentWindow is the period of deploys that name the people affected by a
// switch.
const recentWindow = 30 * 24 * time.Hour

// showSwitch serves GET /deployments/:deployment/switch?to=on|off: the page to
// confirm a switch.
func (s *Server) showSwitch(c echo.Context) error {
	if c.QueryParam("to") == "" {
		return s.switchPage(c, http.StatusOK, nil, unchanged)
	}
	on, err := switchedTo(c.QueryParam("to"))
	if err != nil {
		return err
	}
	return s.switchPage(c, http.StatusOK, &on, unchanged)
}

// unchanged is the edit of a page without a refused input.
func unchanged(*views.SwitchPage) {}

// switchedTo reads a position of the switch: "on" or "off".
func switchedTo(word string) (bool, error) {
	if word != "on" && word != "off" {
		return false, slipway.Errorf(slipway.NotFound, views.ChooseOnOff)
	}
	return word == "on", nil
}

// switchPage asks to confirm the switch to on; a nil on means the opposite of
// the present position. edit changes the page.
func (s *Server) switchPage(c echo.Context, status int, on *bool, edit func(*views.SwitchPage)) error {
	var p views.SwitchPage
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		if err := sc.role.May(slipway.Switch); err != nil {
			return err
		}
		to := !sc.projected.DAGDeploys
		if on != nil {
			to = *on
		}
		if p, err = s.switchQuestion(tx, sc, to); err != nil {
			return err
		}
		if p.Frame, err = s.frameOf(c, tx, sc, "DAG-only deploys", ""); err != nil {
			return err
		}
		p.Frame.Page.Class = "narrow"
		return nil
	})
	if err != nil {
		return err
	}
	p.AtHand = c.FormValue("at_hand") == "yes"
	edit(&p)
	return render(c, status, views.Switch(p))
}

// switchQuestion describes the effects of turning DAG-only deploys on or off.
func (s *Server) switchQuestion(tx *store.Tx, sc scene, on bool) (p views.SwitchPage, err error) {
	p = views.SwitchPage{
		Action: deploymentPath(sc.ID) + "/switch", On: on, SupportURL: s.cfg.SupportURL, CancelURL: settingsPath(sc.ID, views.SettingsDeploys),
		Restores: sc.projected.SwitchesBack() && sc.projected.DAGDeploys != on, Changes: switchChanges(sc.projected, on),
		DeployURL: kindPath(sc.ID, slipway.ImageAndDAG),
	}
	if sc.Mounted {
		p.Mounted = sc.Version
	}
	if err := sc.projected.MaySwitch(on, sc.role); err != nil {
		_, p.Refusal = slipway.Explain(err)
	}
	if n := len(sc.queue); n > 0 {
		p.Waits = views.SwitchQueued(n)
	}
	if p.Restores || p.Refusal != "" {
		return p, nil
	}
	if err := sc.projected.MaySwitchSafely(on, sc.role); err != nil {
		_, p.NoImage = slipway.Explain(err)
	}
	p.Promise, p.SelfPromise = views.SwitchPromise(sc.projected, on, sc.AppliesImages(sc.components, sc.now))
	if sc.MayRegister(sc.role) == nil {
		p.Register = registerCard(sc, slipway.OnOff(on))
	}
	if p.FollowUp, err = followUp(tx, sc.projected, on); err != nil || on {
		return p, err
	}
	recent, err := tx.RecentDeployers(sc.ID, tx.Now.Add(-recentWindow))
	if err != nil {
		return p, err
	}
	for _, w := range recent {
		p.Refused = append(p.Refused, views.Deployer{Name: w.By.Name, Token: w.By.Token != "", At: sc.at(w.CreatedAt)})
	}
	return p, nil
}

// followUp describes Slipway's own follow-up to the switch.
func followUp(tx *store.Tx, d slipway.Deployment, on bool) (string, error) {
	if on || !d.Mounted {
		return views.SwitchFollowUp(d, on, 0), nil
	}
	v, err := tx.BundleVersion(d.ID, d.Version)
	if errors.Is(err, slipway.ErrNotFound) { // the version of a deploy in the queue
		v, err = store.BundleVersion{}, nil
	}
	return views.SwitchFollowUp(d, on, v.Files), err
}

// switchChanges lists the effects of the switch to on.
func switchChanges(d slipway.Deployment, on bool) []string {
	if d.SwitchesBack() && d.DAGDeploys != on {
		return views.SwitchRestores(on)
	}
	return views.SwitchChanges(on)
}

// turnSwitch serves POST /deployments/:deployment/switch: the switch alone, or
// with follow=auto the switch with a deploy.
func (s *Server) turnSwitch(c echo.Context) error {
	on, err := switchedTo(c.FormValue("to"))
	if err != nil {
		return err
	}
	of := deploymentID(c)
	if c.FormValue("follow") == "auto" {
		return s.switchSafely(c, on)
	}
	waits, err := s.engine.Switch(c.Request().Context(), of, on, actorOf(c), c.FormValue("at_hand") == "yes")
	if text := correctable(err); text != "" {
		status, _ := explain(err)
		return s.switchPage(c, status, &on, func(p *views.SwitchPage) { p.Error = text })
	}
	if err != nil {
		return err
	}
	if waits {
		return s.done(c, deploymentPath(of), views.DoneSwitchWaits, slipway.OnOff(on))
	}
	return s.done(c, deploymentPath(of), views.DoneSwitched, slipway.OnOff(on))
}

// switchSafely prepares the switch with the deploy to follow. The page of the
// deploy shows the files and asks for a confirmation.
func (s *Server) switchSafely(c echo.Context, on bool) error {
	var w slipway.Deploy
	var err error
	if c.FormValue("at_hand") != "yes" {
		err = slipway.Errorf(slipway.Invalid, views.TickAtHand)
	} else {
		w, err = s.engine.SwitchSafely(c.Request().Context(), deploymentID(c), on, actorOf(c))
	}
	if text := correctable(err); text != "" {
		status, _ := explain(err)
		return s.switchPage(c, status, &on, func(p *views.SwitchPage) { p.Error = text })
	}
	if err != nil {
		return err
	}
	return seeOther(c, deployPath(w.Deployment, w.Number))
}

// cancelSwitch serves POST /deployments/:deployment/switch/:id/cancel, for a
// switch waiting in the queue.
func (s *Server) cancelSwitch(c echo.Context) error {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return slipway.Errorf(slipway.NotFound, views.NoSwitch)
	}
	of := deploymentID(c)
	if err := s.engine.CancelSwitch(c.Request().Context(), of, id, actorOf(c)); err != nil {
		return err
	}
	return s.done(c, deploymentPath(of), views.DoneSwitchCancelled)
}

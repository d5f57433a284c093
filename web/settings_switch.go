package web

import (
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

// showSwitch serves GET /deployments/:deployment/switch?to=on|off.
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

func unchanged(*views.SwitchPage) {}

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
		p.Frame, err = s.frameOf(c, tx, sc, "DAG-only deploys", "")
		p.Frame.Page.Class = "narrow"
		return err
	})
	if err != nil {
		return err
	}
	p.AtHand, p.Self = c.FormValue("at_hand") == "yes", c.FormValue("follow") == "self"
	edit(&p)
	return render(c, status, views.Switch(p))
}

// switchQuestion describes the effects of turning DAG-only deploys on or off.
func (s *Server) switchQuestion(tx *store.Tx, sc scene, on bool) (p views.SwitchPage, err error) {
	p = views.SwitchPage{
		Action: deploymentPath(sc.ID) + "/switch", On: on, SupportURL: s.cfg.SupportURL, CancelURL: sc.links().Settings,
		Restores: sc.projected.SwitchesBack() && sc.projected.DAGDeploys != on, Changes: switchChanges(sc, on),
		DeployURL: kindPath(sc.ID, slipway.ImageAndDAG),
	}
	if sc.Mounted {
		p.Mounted = sc.Version
	}
	if err := sc.projected.MaySwitch(on, sc.role); err != nil {
		_, p.Refusal = slipway.Explain(err)
	}
	if n := len(sc.queue); n > 0 {
		p.Waits = "The switch waits its turn behind " + plural(n, "deploy") + " in the queue; until then it can be called back."
	}
	if p.Restores || p.Refusal != "" {
		return p, nil
	}
	if err := sc.projected.MaySwitchSafely(on, sc.role); err != nil {
		_, p.NoImage = slipway.Explain(err)
	}
	if sc.MayRegister(sc.role) == nil {
		p.Register = registerCard(sc, onOff(on))
	}
	if p.DoesIt, err = followUp(tx, sc, on); err != nil || on {
		return p, err
	}
	recent, err := tx.RecentDeployers(sc.ID, tx.Now.Add(-recentWindow))
	for _, w := range recent {
		p.Refused = append(p.Refused, views.Deployer{Name: w.By.Name, Token: w.By.Token != "", At: sc.at(w.CreatedAt)})
	}
	return p, err
}

// followUp describes Slipway's own follow-up to the switch.
func followUp(tx *store.Tx, sc scene, on bool) (string, error) {
	d := sc.projected
	switch tag := imageTag(d.State); {
	case tag == "":
		return "Slipway makes the deploy that has to follow.", nil
	case on && d.Mounted:
		return "Deploy " + tag + " again, with the DAGs that are mounted.", nil
	case on:
		return "Read the DAGs out of " + tag + ", publish them as a DAG bundle, and deploy the image again with it.", nil
	case !d.Mounted:
		return "Deploy " + tag + " again: it carries the DAGs already.", nil
	}
	files := "the files"
	v, err := tx.BundleVersion(sc.ID, d.Version)
	if kind, _ := slipway.Explain(err); err == nil {
		files = "the " + plural(v.Files, "file")
	} else if kind == slipway.NotFound { // of a deploy still in the queue
		err = nil
	}
	return "Put " + files + " of version " + d.Version.Short() + " into " + imageTag(d.State) + " and deploy the result.", err
}

func switchChanges(sc scene, on bool) []string {
	switch {
	case sc.projected.SwitchesBack() && sc.projected.DAGDeploys != on && on:
		return []string{
			"No image deploy has followed yet: this restores everything as it was before the switch.",
			"DAGs can be deployed on their own again. Nothing restarts.",
		}
	case sc.projected.SwitchesBack() && sc.projected.DAGDeploys != on:
		return []string{
			"No image deploy has followed yet: this restores everything as it was before the switch.",
			"Deploys of DAGs alone are refused again. Nothing restarts.",
		}
	case on:
		return []string{
			"DAGs are deployed on their own from now on: in seconds, without a restart.",
			"An image deploy no longer changes DAGs.",
			"Airflow reads the DAGs of the image until Image and DAGs have been deployed, then those of the DAG bundle.",
			"All components restart with that deploy. " + graceWords,
		}
	}
	return []string{
		"DAGs travel inside the project image from now on; every DAG change needs an image deploy.",
		"Deploys of DAGs alone and of the image alone are refused.",
		"The DAG bundle version no longer changes; Airflow reads the DAGs from the image once it runs.",
		"All components restart with that image. " + graceWords,
	}
}

// turnSwitch serves POST /deployments/:deployment/switch.
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
		return s.done(c, deploymentPath(of), views.DoneSwitchWaits, onOff(on))
	}
	return s.done(c, deploymentPath(of), views.DoneSwitched, onOff(on))
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

// cancelSwitch serves POST /deployments/:deployment/switch/:id/cancel.
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

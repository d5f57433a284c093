package web

import (
	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/views"
)

// registerCard is the form to register the running image. After the form, the
// page to turn the switch to the position to follows; "" for Settings.
func registerCard(sc scene, to string) *views.RegisterCardProps {
	return &views.RegisterCardProps{Action: deploymentPath(sc.ID) + "/image", To: to}
}

// registerImage serves POST /deployments/:deployment/image.
func (s *Server) registerImage(c echo.Context) error {
	of, ref := deploymentID(c), c.FormValue("ref")
	i, err := s.engine.RegisterImage(c.Request().Context(), of, actorOf(c), ref)
	if text := imageRefusal(err); text != "" {
		return s.registerAgain(c, err, text)
	}
	if err != nil {
		return err
	}
	next := settingsPath(of, views.SettingsImages)
	if on, err := switchedTo(c.FormValue("to")); err == nil {
		next = switchPath(of, on)
	}
	return s.done(c, next, views.DoneRegistered, i.Title())
}

// stateImageRuns serves POST /deployments/:deployment/image/runs.
func (s *Server) stateImageRuns(c echo.Context) error {
	of, digest := deploymentID(c), c.FormValue("digest")
	if err := s.engine.StateImageRuns(c.Request().Context(), of, digest, actorOf(c)); err != nil {
		return err
	}
	return s.done(c, deploymentPath(of), views.DoneImageRuns, views.ShortDigest(digest))
}

// registerAgain shows the page of the form again, with the reason for the
// refusal.
func (s *Server) registerAgain(c echo.Context, err error, text string) error {
	status, _ := explain(err)
	refill := func(r *views.RegisterCardProps) {
		if r != nil {
			r.Error, r.Ref = text, c.FormValue("ref")
		}
	}
	if on, err := switchedTo(c.FormValue("to")); err == nil {
		return s.switchPage(c, status, &on, func(p *views.SwitchPage) { refill(p.Register) })
	}
	return s.settingsPage(c, views.SettingsImages, status, func(p *views.SettingsPage) { refill(p.Register) })
}

// applyCard is the form to choose the command that applies images; nil for an
// Airflow on another machine.
func (s *Server) applyCard(sc scene) *views.ApplyCardProps {
	if !sc.Local {
		return nil
	}
	card := views.ApplyCardProps{Action: deploymentPath(sc.ID) + "/apply-command", Names: s.engine.ApplyNames(), Chosen: sc.ApplyCommand}
	if err := sc.role.May(slipway.SetApplyCommands); err != nil {
		_, card.Refusal = slipway.Explain(err)
	}
	return &card
}

// setApplyCommand serves POST /deployments/:deployment/apply-command.
func (s *Server) setApplyCommand(c echo.Context) error {
	of, name := deploymentID(c), c.FormValue("command")
	if err := s.engine.SetApplyCommand(c.Request().Context(), of, actorOf(c), name); err != nil {
		return err
	}
	if name == "" {
		return s.done(c, settingsPath(of, views.SettingsImages), views.DoneNoApplyCommand)
	}
	return s.done(c, settingsPath(of, views.SettingsImages), views.DoneApplyCommand, name)
}

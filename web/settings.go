package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// showSettings serves GET /deployments/:deployment/settings.
func (s *Server) showSettings(c echo.Context) error {
	return s.settingsPage(c, http.StatusOK, func(*views.SettingsPage) {})
}

// settingsPage renders the page after edit, which adds a refused input and the
// reason.
func (s *Server) settingsPage(c echo.Context, status int, edit func(*views.SettingsPage)) error {
	var p views.SettingsPage
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		p = views.SettingsPage{
			Action: sc.links().Settings, Settings: sc.Settings, Apply: s.applyCard(sc),
			KeepDays: strconv.Itoa(sc.KeepDays), KeepVersions: strconv.Itoa(sc.KeepVersions),
			Switch: switchCard(sc), Connect: s.connect(sc),
		}
		if p.Agents, err = s.agentsCard(c, tx, sc); err != nil {
			return err
		}
		if sc.MayRegister(sc.role) == nil {
			p.Register = registerCard(sc, "")
		}
		if err := sc.role.May(slipway.ManageDeployments); err != nil {
			_, p.Refusal = slipway.Explain(err)
		} else if p.Delete, err = s.deleteCard(tx, sc); err != nil {
			return err
		}
		p.Frame, err = s.frameOf(c, tx, sc, "Settings", sc.links().Settings)
		return err
	})
	if err != nil {
		return err
	}
	edit(&p)
	return render(c, status, views.Settings(p))
}

// switchCard is the part of Settings about DAG-only deploys: the switch, or the
// waiting switch.
func switchCard(sc scene) views.SwitchCard {
	card := views.SwitchCard{On: sc.DAGDeploys, Text: views.SwitchText(sc.DAGDeploys)}
	for i, t := range sc.queue {
		if t.Switch != nil {
			row := switchTurn(sc, *t.Switch, i)
			card.Waiting = &row
		}
	}
	if err := sc.role.May(slipway.Switch); err != nil {
		_, card.Refusal = slipway.Explain(err)
	} else if card.Waiting == nil {
		card.URL = switchPath(sc.ID, !sc.DAGDeploys)
	}
	return card
}

// deleteCard lists the losses of a deletion.
func (s *Server) deleteCard(tx *store.Tx, sc scene) (*views.DeleteCard, error) {
	versions, err := tx.CountVersions(sc.ID)
	if err != nil {
		return nil, err
	}
	deploys, err := tx.CountDeploys(sc.ID)
	if err != nil {
		return nil, err
	}
	mount := ""
	if sc.Local {
		mount = s.engine.MountDir(sc.Deployment)
	}
	return &views.DeleteCard{Action: deploymentPath(sc.ID) + "/delete", Name: sc.Name, Lost: views.Losses(versions, deploys, mount)}, nil
}

// saveSettings serves POST /deployments/:deployment/settings. A refused form is
// shown again.
func (s *Server) saveSettings(c echo.Context) error {
	wanted, err := settingsForm(c)
	if err == nil {
		_, err = s.engine.Edit(c.Request().Context(), deploymentID(c), actorOf(c), wanted)
	}
	if text := correctable(err); text != "" {
		status, _ := explain(err)
		return s.settingsPage(c, status, func(p *views.SettingsPage) {
			p.Settings, p.Error = wanted, text
			p.KeepDays, p.KeepVersions = c.FormValue("keep_days"), c.FormValue("keep_versions")
		})
	}
	if err != nil {
		return err
	}
	return s.done(c, deploymentPath(deploymentID(c))+"/settings", views.DoneSettings)
}

// settingsForm reads the form. Beside an error, the fields read before are
// returned.
func settingsForm(c echo.Context) (w slipway.Settings, err error) {
	w = slipway.Settings{
		Name: c.FormValue("name"), Description: c.FormValue("description"),
		AirflowURL: c.FormValue("airflow_url"), DagsPath: strings.TrimSpace(c.FormValue("dags_path")),
		CICDEnforced: c.FormValue("cicd_enforced") == "yes", GuardAPI: c.FormValue("guard_api") == "yes",
		ImageRole: slipway.Author, Platform: strings.TrimSpace(c.FormValue("platform")),
	}
	if c.FormValue("image_role") != "" {
		if w.ImageRole, err = slipway.RoleOf(c.FormValue("image_role")); err != nil {
			return w, err
		}
	}
	if w.KeepDays, err = wholeNumber(c, "keep_days", views.KeepDays); err != nil {
		return w, err
	}
	w.KeepVersions, err = wholeNumber(c, "keep_versions", views.KeepVersions)
	return w, err
}

// wholeNumber reads a field as a number. label is the field's name on the page.
func wholeNumber(c echo.Context, field, label string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(c.FormValue(field)))
	if err != nil {
		return 0, slipway.Errorf(slipway.Invalid, views.NotNumber, label)
	}
	return n, nil
}

// deleteDeployment serves POST /deployments/:deployment/delete. The form must
// repeat the Deployment's name.
func (s *Server) deleteDeployment(c echo.Context) error {
	var name string
	var workspace slipway.WorkspaceID
	err := s.viewScene(c, func(_ *store.Tx, sc scene) error {
		name, workspace = sc.Name, sc.Workspace
		return nil
	})
	if err != nil {
		return err
	}
	err = s.engine.Delete(c.Request().Context(), deploymentID(c), actorOf(c), c.FormValue("typed"))
	if text := correctable(err); text != "" {
		status, _ := explain(err)
		return s.settingsPage(c, status, func(p *views.SettingsPage) {
			if p.Delete != nil {
				p.Delete.Typed, p.Delete.Error = c.FormValue("typed"), text
			}
		})
	}
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return s.done(c, workspacePath(workspace), "%s is deleted.", name)
}

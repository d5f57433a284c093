package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// settingsPath is the address of a section of Settings.
func settingsPath(of slipway.DeploymentID, section string) string {
	return deploymentPath(of) + "/settings" + section
}

// showSettings serves GET /deployments/:deployment/settings and …/settings/:section.
// The address of a card, as after a refused form, leads to the section.
func (s *Server) showSettings(c echo.Context) error {
	section := views.SettingsGeneral
	if c.Param("section") != "" {
		section = "/" + c.Param("section")
	}
	if card, is := settingsCards[c.Param("section")]; is && card.section != section {
		return seeOther(c, settingsPath(deploymentID(c), card.section))
	}
	return s.settingsPage(c, section, http.StatusOK, func(*views.SettingsPage) {})
}

// settingsPage renders a section after edit, which adds a refused input and the
// reason.
func (s *Server) settingsPage(c echo.Context, section string, status int, edit func(*views.SettingsPage)) error {
	title := views.SettingsTitle(section)
	if title == "" {
		return slipway.Errorf(slipway.NotFound, views.NoAddress)
	}
	var p views.SettingsPage
	err := s.viewScene(c, func(tx *store.Tx, sc scene) (err error) {
		p = views.SettingsPage{
			Section: section, Path: sc.links().Settings, Settings: sc.Settings, Namespace: sc.Namespace,
			KeepDays: strconv.Itoa(sc.KeepDays), KeepVersions: strconv.Itoa(sc.KeepVersions),
		}
		if err := sc.role.May(slipway.ManageDeployments); err != nil {
			_, p.Refusal = slipway.Explain(err)
		}
		if err := s.fillSection(c, tx, sc, &p); err != nil {
			return err
		}
		p.Frame, err = s.frameOf(c, tx, sc, title, sc.links().Settings)
		return err
	})
	if err != nil {
		return err
	}
	edit(&p)
	return render(c, status, views.Settings(p))
}

// fillSection adds the cards of p's section alone.
func (s *Server) fillSection(c echo.Context, tx *store.Tx, sc scene, p *views.SettingsPage) (err error) {
	switch p.Section {
	case views.SettingsDeploys:
		p.Switch, p.TokenURL = switchCard(sc), newTokenPath(sc.Deployment)
	case views.SettingsAirflow:
		p.Connect = s.connect(sc)
	case views.SettingsAgents:
		p.Agents, err = s.agentsCard(c, tx, sc)
	case views.SettingsImages:
		p.Apply, p.ImageName = s.applyCard(sc), sc.ImageName
		if sc.MayRegister(sc.role) == nil {
			p.Register = registerCard(sc, "")
		}
	case views.SettingsDanger:
		if p.Delete.Refusal = p.Refusal; p.Refusal == "" {
			p.Delete, err = s.deleteCard(tx, sc)
		}
	default:
		var m store.Measure
		m, err = tx.Measures(sc.ID)
		p.Created, p.Kept = views.CreatedText(sc.CreatedAt, sc.Creator), views.KeptText(m.Versions, m.Stored)
	}
	return err
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
func (s *Server) deleteCard(tx *store.Tx, sc scene) (d views.DeleteCard, err error) {
	versions, err := tx.CountVersions(sc.ID)
	if err != nil {
		return d, err
	}
	deploys, err := tx.CountDeploys(sc.ID)
	if err != nil {
		return d, err
	}
	mount := ""
	if sc.Local {
		mount = s.engine.MountDir(sc.Deployment)
	}
	return views.DeleteCard{Action: deploymentPath(sc.ID) + "/delete", Name: sc.Name, Lost: views.Losses(versions, deploys, mount)}, nil
}

// settingsCard is a form of Settings. read puts the typed fields of the form
// into w; beside an error, the fields before are read.
type settingsCard struct {
	section string
	read    func(c echo.Context, w *slipway.Settings) error
}

// settingsCards are the forms by the end of their addresses.
var settingsCards = map[string]settingsCard{
	views.CardGeneral:  {views.SettingsGeneral, readGeneral},
	views.CardVersions: {views.SettingsGeneral, readRetention},
	views.CardRules:    {views.SettingsDeploys, readRules},
	views.CardImages:   {views.SettingsImages, readImages},
}

// saveSettings serves POST /deployments/:deployment/settings/:section, where the
// section is a card. A refused form is shown again. All other settings stay as
// they are in the moment of the change.
func (s *Server) saveSettings(c echo.Context) error {
	name := c.Param("section")
	card, is := settingsCards[name]
	if !is {
		return slipway.Errorf(slipway.NotFound, views.NoAddress)
	}
	of := deploymentID(c)
	_, err := s.engine.Edit(c.Request().Context(), of, actorOf(c), func(w *slipway.Settings) error { return card.read(c, w) })
	if text := correctable(err); text != "" {
		status, _ := explain(err)
		return s.settingsPage(c, card.section, status, func(p *views.SettingsPage) {
			p.Failed, p.Error = name, text
			_ = card.read(c, &p.Settings) // the reason is in text already
			if name == views.CardVersions {
				p.KeepDays, p.KeepVersions = c.FormValue("keep_days"), c.FormValue("keep_versions")
			}
		})
	}
	if err != nil {
		return err
	}
	return s.done(c, settingsPath(of, card.section), views.DoneSettings)
}

func readGeneral(c echo.Context, w *slipway.Settings) error {
	w.Name, w.Description, w.AirflowURL = c.FormValue("name"), c.FormValue("description"), c.FormValue("airflow_url")
	return nil
}

func readRules(c echo.Context, w *slipway.Settings) (err error) {
	w.CICDEnforced, w.GuardAPI = c.FormValue("cicd_enforced") == "yes", c.FormValue("guard_api") == "yes"
	w.ImageRole, err = slipway.RoleOf(cmp.Or(c.FormValue("image_role"), slipway.Author.String()))
	return err
}

func readImages(c echo.Context, w *slipway.Settings) error {
	w.DagsPath, w.Platform = strings.TrimSpace(c.FormValue("dags_path")), strings.TrimSpace(c.FormValue("platform"))
	return nil
}

func readRetention(c echo.Context, w *slipway.Settings) (err error) {
	if w.KeepDays, err = wholeNumber(c, "keep_days", views.KeepDays); err != nil {
		return err
	}
	w.KeepVersions, err = wholeNumber(c, "keep_versions", views.KeepVersions)
	return err
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
		return s.settingsPage(c, views.SettingsDanger, status, func(p *views.SettingsPage) {
			p.Delete.Typed, p.Delete.Error = c.FormValue("typed"), text
		})
	}
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return s.done(c, workspacePath(workspace), "%s is deleted.", name)
}

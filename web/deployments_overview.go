package web

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// newest is the number of deploys on the Overview.
const newest = 8

// overview returns the Overview of a Deployment without the frame.
func (s *Server) overview(c echo.Context, tx *store.Tx, sc scene) (o views.Overview, err error) {
	o.Running, o.AllURL = components(sc), sc.links().Deploys
	if o.Facts, err = facts(tx, sc); err != nil {
		return o, err
	}
	if o.Live, err = liveDeploy(tx, sc); err != nil {
		return o, err
	}
	deploys, err := tx.Deploys(sc.ID, 0, newest)
	if err != nil {
		return o, err
	}
	if o.Waiting, err = waiting(tx, sc); err != nil {
		return o, err
	}
	if o.Newest, err = newestRows(tx, sc, deploys); err != nil {
		return o, err
	}
	if o.Form, err = s.newDeploy(c, tx, sc); err != nil {
		return o, err
	}
	if !sc.Answered(sc.components, s.engine.Marked(sc.Deployment)) {
		connect := s.connect(sc)
		connect.Folded = sc.live.Number > 0 && sc.now.Sub(sc.CreatedAt) > 24*time.Hour
		o.Connect = &connect
	}
	live := url.Values{"view": {"overview"}, "form": {formKey(o.Form)}, "kind": {string(requestedKind(c))}}
	if o.Form.Image != nil {
		live.Set("ticked", o.Form.Image.Pushed.Chosen)
	}
	o.LiveURL = deploymentPath(sc.ID) + "/live?" + live.Encode()
	return o, nil
}

// newestRows are the rows of the newest deploys of a Deployment.
func newestRows(tx *store.Tx, sc scene, deploys []slipway.Deploy) ([]views.HistoryRow, error) {
	shown := times{until: tx.Now.Add(time.Minute)}
	if len(deploys) == newest {
		shown.from = deploys[newest-1].CreatedAt
	}
	all, err := rows(tx, sc, deploys, shown)
	return foldDiscarded(all), err
}

// facts are the present health, version, image and switch.
func facts(tx *store.Tx, sc scene) (f views.Facts, err error) {
	f = views.Facts{ImageTag: views.ImageTag(sc.State), ImageRef: sc.ImageRef(), ImageNote: views.RuntimeNote(sc.Runtime), On: sc.DAGDeploys, SwitchNote: views.SwitchNote(sc.Deployment)}
	f.Health, f.Reason = sc.Health(sc.components, sc.refused, slipway.RunningDeploy(sc.queue), sc.now)
	if sc.trouble != "" && len(sc.queue) > 0 {
		f.Reason = sc.trouble
	}
	if sc.role.May(slipway.Switch) == nil {
		f.SwitchURL = switchPath(sc.ID, !sc.projected.DAGDeploys)
	}
	var v store.BundleVersion
	if sc.Version != "" {
		f.Version, f.VersionURL = sc.Version, versionPath(sc.ID, sc.Version)
		if v, err = tx.BundleVersion(sc.ID, sc.Version); err != nil && !errors.Is(err, slipway.ErrNotFound) {
			return f, err
		}
	}
	f.VersionNote = views.VersionNote(sc.Deployment, v.Files, v.Size)
	return f, nil
}

// waiting lists the deploys and switches in wait for a confirmation or a turn.
func waiting(tx *store.Tx, sc scene) (all []views.WaitingRow, err error) {
	staged, err := tx.StagedFor(sc.ID, sc.by.User)
	if err != nil {
		return nil, err
	}
	for _, w := range staged {
		all = append(all, views.WaitingRow{
			Title: "What deploy #" + strconv.Itoa(w.Number) + " will do", URL: deployPath(sc.ID, w.Number), Status: w.Status,
			Text: views.StagedText(w), CancelURL: cancelURL(sc, w), CancelText: "Discard",
		})
	}
	for i, t := range sc.queue {
		switch {
		case t.Switch != nil:
			all = append(all, switchTurn(sc, *t.Switch, i))
		case t.Deploy.Status == slipway.Queued:
			all = append(all, views.WaitingRow{
				Title: "Deploy #" + strconv.Itoa(t.Deploy.Number), URL: deployPath(sc.ID, t.Deploy.Number), Status: slipway.Queued,
				Text: views.TurnText(i) + " By " + t.Deploy.By.Title() + ".", CancelURL: cancelURL(sc, *t.Deploy), CancelText: "Cancel",
			})
		}
	}
	return all, nil
}

// switchTurn is the row of a waiting switch; before is the number of turns ahead.
func switchTurn(sc scene, o slipway.SwitchOrder, before int) views.WaitingRow {
	row := views.WaitingRow{Title: "Turn " + slipway.OnOff(o.On) + " DAG-only deploys", Status: slipway.Queued, Text: views.TurnText(before) + " By " + o.By.Title() + "."}
	if sc.role.May(slipway.Switch) == nil {
		row.CancelURL, row.CancelText = deploymentPath(sc.ID)+"/switch/"+strconv.FormatInt(o.ID, 10)+"/cancel", "Cancel the switch"
	}
	return row
}

// cancelURL is the address for discarding or calling back w, "" if the rule
// refuses.
func cancelURL(sc scene, w slipway.Deploy) string {
	if _, err := w.Cancel(sc.role, sc.by); err != nil {
		return ""
	}
	return deployPath(sc.ID, w.Number) + "/cancel"
}

// components lists the components with their versions.
func components(sc scene) views.Running {
	r := views.Running{Empty: views.NoComponents(sc.Local), Refused: sc.refused.Text()}
	if !sc.Local && sc.AirflowURL != "" { // otherwise the Connect card shows the same
		r.ConnectURL = remoteConnect(sc).AgentsURL
	}
	p := slipway.NewProgress(sc.State, sc.components, sc.now)
	if len(sc.components) > 0 {
		r.Summary = fmt.Sprintf("%d of %d", p.Running, p.Of)
		if sc.live.Number > 0 {
			r.Summary += " on #" + strconv.Itoa(sc.live.Number)
		}
		if silent := len(sc.components) - p.Of; silent > 0 {
			r.Summary += fmt.Sprintf(", %d silent", silent)
		}
	}
	for _, c := range sc.components {
		r.Rows, r.Images = append(r.Rows, component(sc, c)), r.Images || !c.Mounts()
	}
	return r
}

// component is the row of a component, by the most urgent fact: silence, an
// error, a running step, or else the version.
func component(sc scene, c slipway.Component) views.ComponentRow {
	row := views.ComponentRow{
		Name: c.Component, Component: c.Component, Title: string(c.Version), Error: c.Error, Warning: c.Warning,
		Since: sc.at(c.Since), Seen: sc.at(c.LastSeen), Text: views.RunsText(c), Image: !c.Mounts(),
	}
	if row.Name == slipway.EmbeddedComponent {
		row.Name = "this machine"
	}
	if c.Silent(sc.now) && sc.role.May(slipway.ManageAgents) == nil {
		row.ForgetURL = deploymentPath(sc.ID) + "/agents/forget"
	}
	switch {
	case c.Silent(sc.now):
		row.Tone, row.Sign, row.Detail = "warn", "▲", views.ComponentSilent
		row.Since = views.Moment{}
	case c.Error != "":
		row.Tone, row.Sign = "bad", "✕"
	case c.Step != "":
		row.Tone, row.Sign, row.Text, row.Title = "busy", "↻", c.Step, ""
		if row.Done, row.Total = c.Done, c.Total; c.Total > 0 {
			row.Detail, row.Since = views.Bytes(c.Done)+" of "+views.Bytes(c.Total), views.Moment{}
		}
	case !c.Runs(sc.State) && c.Starting():
		row.Tone, row.Sign, row.Text = "busy", "↻", views.ComponentStarting
	case c.Runs(sc.State):
		row.Tone, row.Sign = "ok", "✓"
		if sc.live.Number == 0 {
			row.Text = views.ComponentReady
		} else if c.Mounts() && sc.Mounted {
			row.Text = "#" + strconv.Itoa(sc.live.Number)
		}
		row.Seen = views.Moment{}
	default:
		row.Tone, row.Sign, row.Detail = "warn", "▲", views.ComponentBehind
	}
	return row
}

// connect has the path of the mount, and the settings for Airflow.
func (s *Server) connect(sc scene) views.Connect {
	if !sc.Local {
		return remoteConnect(sc)
	}
	dir := s.engine.MountDir(sc.Deployment)
	if abs, err := filepath.Abs(dir); err == nil { // else the configured path
		dir = abs
	}
	dags := filepath.Join(dir, "current", "dags")
	return views.Connect{Local: true, MountDir: dir, DAGsDir: dags}.WithAirflow(sc.Namespace)
}

// agentDir is the mount of an agent in the examples.
const agentDir = "/opt/airflow/slipway"

// remoteConnect is connect for an Airflow on other machines.
func remoteConnect(sc scene) views.Connect {
	c := views.Connect{DAGsDir: agentDir + "/current/dags"}
	if sc.role.May(slipway.ManageAgents) == nil {
		c.AgentsURL = settingsPath(sc.ID, views.SettingsAgents)
	}
	return c.WithAirflow(sc.Namespace)
}

package web

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"slipway"
	"slipway/store"
	"slipway/views"
)

// newest is how many deploys the Overview lists.
const newest = 8

// overview returns a Deployment's first page without what stands around it.
func (s *Server) overview(tx *store.Tx, sc scene) (o views.Overview, err error) {
	o.Facts, o.Running, o.AllURL = facts(sc), components(sc), sc.links().Deploys
	deploys, err := tx.Deploys(sc.ID, 0, newest)
	if err != nil {
		return o, err
	}
	if o.Waiting, err = waiting(tx, sc); err != nil {
		return o, err
	}
	if o.Newest, err = rows(tx, sc, deploys, 0); err != nil {
		return o, err
	}
	o.Form = newDeploy(sc)
	o.Form.First = len(deploys) == 0
	if !everLive(deploys, sc) {
		connect := s.connect(sc)
		o.Connect = &connect
	}
	o.LiveURL = deploymentPath(sc.ID) + "/live?" + url.Values{"view": {"overview"}, "form": {shape(o.Form)}}.Encode()
	return o, nil
}

func everLive(deploys []slipway.Deploy, sc scene) bool { return len(deploys) > 0 && sc.live.Number > 0 }

// shape tells one new-deploy form from another: a live page replaces its form,
// in which somebody may be typing, only by a different one.
func shape(n views.NewDeploy) string {
	h := fnv.New32a()
	fmt.Fprint(h, n.Refusal, n.SettingsURL)
	return strconv.FormatUint(uint64(h.Sum32()), 36)
}

func facts(sc scene) views.Facts {
	f := views.Facts{ImageTag: sc.ImageTag, Runtime: sc.Runtime, DAGsFrom: sc.DAGsFrom()}
	f.Health, f.Reason = sc.Health(sc.components, sc.running(), sc.now)
	if sc.Version != "" {
		f.Version, f.VersionURL = sc.Version, versionPath(sc.ID, sc.Version)
	}
	f.DAGsNote = "DAG-only deploys " + onOff(sc.DAGDeploys)
	switch {
	case sc.NeedsImage:
		f.DAGsNote = "until the image deploy"
	case sc.live.Number == 0:
		f.DAGsNote = "until the first DAGs are deployed"
	}
	return f
}

func newDeploy(sc scene) views.NewDeploy {
	n := views.NewDeploy{Action: deploymentPath(sc.ID) + "/deploys", TusURL: "/uploads", Deployment: sc.ID}
	err := sc.tail.MayDeploy(slipway.DAGOnly, sc.role, sc.by)
	if err == nil {
		return n
	}
	_, n.Refusal = slipway.Explain(err)
	if !sc.tail.DAGDeploys && sc.role.May(slipway.DeployDAGs) == nil {
		n.SettingsURL = sc.links().Settings
	}
	return n
}

// waiting lists what waits for a person to confirm it, or for its turn.
func waiting(tx *store.Tx, sc scene) (all []views.WaitingRow, err error) {
	staged, err := tx.StagedFor(sc.ID, sc.by.User)
	if err != nil {
		return nil, err
	}
	for _, w := range staged {
		all = append(all, views.WaitingRow{
			Title: "What deploy #" + strconv.Itoa(w.Number) + " will do", URL: deployPath(sc.ID, w.Number), Status: w.Status,
			Text: stagedText(w), CancelURL: cancelURL(sc, w), CancelText: "Discard",
		})
	}
	for i, t := range sc.queue {
		switch {
		case t.Switch != nil:
			all = append(all, switchTurn(sc, *t.Switch, i))
		case t.Deploy.Status == slipway.Queued:
			all = append(all, views.WaitingRow{
				Title: "Deploy #" + strconv.Itoa(t.Deploy.Number), URL: deployPath(sc.ID, t.Deploy.Number), Status: slipway.Queued,
				Text: turnText(i) + " By " + t.Deploy.By.Title() + ".", CancelURL: cancelURL(sc, *t.Deploy), CancelText: "Cancel",
			})
		}
	}
	return all, nil
}

func stagedText(w slipway.Deploy) string {
	return fmt.Sprintf("+%d ~%d −%d · %s · waits to be confirmed.", w.Counts.Added, w.Counts.Changed, w.Counts.Removed, w.By.Title())
}

func switchTurn(sc scene, o slipway.SwitchOrder, before int) views.WaitingRow {
	row := views.WaitingRow{Title: "Turn " + onOff(o.On) + " DAG-only deploys", Status: slipway.Queued, Text: turnText(before) + " By " + o.By.Title() + "."}
	if sc.role.May(slipway.Switch) == nil {
		row.CancelURL, row.CancelText = deploymentPath(sc.ID)+"/switch/"+strconv.FormatInt(o.ID, 10)+"/cancel", "Call back"
	}
	return row
}

// turnText says how many turns come before one in the queue.
func turnText(before int) string {
	switch before {
	case 0:
		return "Is next."
	case 1:
		return "Waits for the one before it."
	}
	return fmt.Sprintf("Waits for %d before it.", before)
}

// cancelURL is where w is discarded or called back, "" when by may not.
func cancelURL(sc scene, w slipway.Deploy) string {
	if _, err := w.Cancel(sc.role, sc.by); err != nil {
		return ""
	}
	return deployPath(sc.ID, w.Number) + "/cancel"
}

// components says what each component runs.
func components(sc scene) views.Running {
	r := views.Running{Empty: "No component is connected. What you deploy is checked, published and kept."}
	if sc.Here {
		r.Empty = "The mount on this machine has not reported yet."
	}
	p := slipway.NewProgress(sc.State, sc.components, sc.now)
	if len(sc.components) > 0 {
		r.Summary = fmt.Sprintf("%d of %d", p.Running, p.Of)
		if sc.live.Number > 0 {
			r.Summary += " on #" + strconv.Itoa(sc.live.Number)
		}
	}
	for _, c := range sc.components {
		r.Rows = append(r.Rows, component(sc, c))
	}
	return r
}

func component(sc scene, c slipway.Component) views.ComponentRow {
	row := views.ComponentRow{Name: c.Component, Title: string(c.Version), Error: c.Error, Since: sc.at(c.Since), Text: runsText(c)}
	if row.Name == slipway.EmbeddedComponent {
		row.Name = "this machine"
	}
	switch {
	case c.Silent(sc.now):
		row.Tone, row.Sign, row.Detail = "warn", "▲", "silent, last heard of "+views.Relative(c.LastSeen, sc.now)
		row.Since = views.Moment{}
	case c.Error != "":
		row.Tone, row.Sign = "bad", "✕"
	case c.Step != "":
		row.Tone, row.Sign, row.Text, row.Title = "busy", "↻", c.Step, ""
		if c.Total > 0 {
			row.Detail, row.Since = views.Bytes(c.Done)+" of "+views.Bytes(c.Total), views.Moment{}
		}
	case c.Runs(sc.State):
		row.Tone, row.Sign = "ok", "✓"
		if sc.live.Number == 0 {
			row.Text = "ready, nothing deployed yet"
		}
	default:
		row.Tone, row.Sign, row.Detail = "warn", "▲", "not what is wanted"
	}
	return row
}

func runsText(c slipway.Component) string {
	switch {
	case c.DAGs == slipway.FromBundle:
		return c.Version.Short()
	case c.DAGs == slipway.FromImage:
		return "DAGs of the image"
	}
	return "nothing mounted yet"
}

// connect says where the DAGs are mounted and how Airflow is told.
func (s *Server) connect(sc scene) views.Connect {
	if !sc.Here {
		return views.Connect{Elsewhere: "Airflow runs elsewhere. The agent that fetches deploys there comes with a later version of Slipway. " +
			"Until then deploys are checked, published and kept, and each version can be downloaded; they reach no Airflow by themselves. " +
			"What works today is a Deployment on this machine, whose folder Airflow's machines mount."}
	}
	dir := s.engine.MountDir(sc.Deployment)
	if abs, err := filepath.Abs(dir); err == nil { // else the folder as it is called
		dir = abs
	}
	dags := filepath.Join(dir, "current", "dags")
	return views.Connect{
		Here: true, MountDir: dir, DAGsDir: dags,
		Airflow2: "[core]\ndags_folder = " + dags + "\n\n[scheduler]\ndag_dir_list_interval = 10\n",
		Airflow3: "[dag_processor]\ndag_bundle_config_list = " + bundleConfig(sc.Namespace, dags) + "\n",
	}
}

// bundleConfig is one line of JSON; percent signs mean something else in
// airflow.cfg.
func bundleConfig(name, dags string) string {
	text := fmt.Sprintf(`[{"name": %q, "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": %q, "refresh_interval": 10}}]`, name, dags)
	return strings.ReplaceAll(text, "%", "%%")
}

package web

import (
	"net/http"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

func TestSaveSettings(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Oli)
	for _, tt := range []struct {
		card, section string
		form          []string
	}{
		{"general", "", []string{"name", "sales", "description", "All of it", "airflow_url", "https://airflow.example.com"}},
		{"versions", "", []string{"keep_days", "30", "keep_versions", "20"}},
		{"rules", "/deploys", []string{"cicd_enforced", "yes", "guard_api", "yes", "image_role", "Operator"}},
		{"images", "/images", []string{"dags_path", "/dags", "platform", "linux/arm64"}},
	} {
		goesTo(t, b.post(a.page("/settings/"+tt.card), tt.form...), a.page("/settings"+tt.section))
		want(t, b.get(a.page("/settings"+tt.section)), http.StatusOK, "The settings are saved.", "Open Airflow")
	}
	all := slipway.Settings{
		Name: "sales", Description: "All of it", AirflowURL: "https://airflow.example.com", DagsPath: "/dags", Platform: "linux/arm64",
		CICDEnforced: true, GuardAPI: true, ImageRole: slipway.Operator, KeepDays: 30, KeepVersions: 20,
	}
	if got := a.deployment(t).Settings; got != all {
		t.Errorf("settings %+v, want %+v", got, all)
	}
}

// TestSettingsAreRefused: a refused form is shown again on its own section with
// the reason and what was typed, and nothing is saved.
func TestSettingsAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		card, section string
		form          []string
		want          string
		typed         string
	}{
		"no name":    {"general", "General", []string{"name", "", "description", "typed"}, "A Deployment needs a name.", ">typed</textarea>"},
		"no address": {"general", "General", []string{"name", "x", "airflow_url", "javascript:alert(1)"}, "is not a web address", `value="javascript:alert(1)"`},
		"odd system": {"images", "Images", []string{"platform", "windows", "dags_path", "/typed"}, "is no platform", `value="/typed"`},
		"no number":  {"versions", "General", []string{"keep_days", "many", "keep_versions", "20"}, "must be a whole number.", `value="many"`},
		"too few":    {"versions", "General", []string{"keep_days", "30", "keep_versions", "3"}, "At least the last 10", `value="3"`},
		"odd role":   {"rules", "Deploys", []string{"image_role", "Member", "guard_api", "yes"}, "Images can be deployed by Authors or by Operators.", `name="guard_api" value="yes" checked`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			before := a.deployment(t).Settings
			w := a.as(t, a.Ada).post(a.page("/settings/"+tt.card), tt.form...)
			want(t, w, http.StatusUnprocessableEntity, tt.want, tt.typed, `aria-current="page">`+tt.section+"</a>")
			if got := a.deployment(t).Settings; got != before {
				t.Errorf("saved %+v", got)
			}
		})
	}
}

// TestSettingsSections: each section is a page with a menu of all, says what it
// may not do, and the addresses of its forms lead to it.
func TestSettingsSections(t *testing.T) {
	a := newApp(t)
	for section, text := range map[string]string{
		"": "Keep old versions", "/deploys": "Who may deploy", "/airflow": "Point Airflow at it", "/agents": "No agent reports yet",
		"/images": "Platform that images must offer", "/danger": "Delete this Deployment",
	} {
		w := a.as(t, a.Mia).get(a.page("/settings" + section))
		want(t, w, http.StatusOK, text, `aria-label="Settings"`, string(a.Sales.ID))
		if page := w.Body.String(); strings.Contains(page, ">Save<") || strings.Count(page, `aria-current="page"`) != 3 {
			t.Errorf("section %q: a Member can save, or the menu marks none", section)
		}
	}
	b := a.as(t, a.Ada)
	goesTo(t, b.get(a.page("/settings/rules")), a.page("/settings/deploys"))
	goesTo(t, b.get(a.page("/settings/general")), a.page("/settings"))
	want(t, b.get(a.page("/settings/nothing")), http.StatusNotFound, "There is nothing at this address.")
	want(t, b.post(a.page("/settings/agents"), "name", "x"), http.StatusNotFound)
}

func TestDelete(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Oli)
	want(t, b.get(a.page("/settings/danger")), http.StatusOK, "Delete this Deployment", "0 DAG bundle versions", "mounts/"+a.Sales.Namespace)
	want(t, b.post(a.page("/delete"), "typed", "sales"), http.StatusUnprocessableEntity, "Type the name")
	goesTo(t, b.post(a.page("/delete"), "typed", "sales-prod"), workspacePath(a.Workspace.ID))
	want(t, b.get(a.page("")), http.StatusNotFound, "There is no Deployment")
	want(t, b.get(workspacePath(a.Workspace.ID)), http.StatusOK, "sales-prod is deleted.", "No Deployments yet")
}

func TestSwitchPage(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.live(t, a.Eve, map[string]string{"a.py": dag})
	owner := a.as(t, a.Ada)
	want(t, owner.get(a.page("/switch?to=off")), http.StatusOK, "Turn off DAG-only deploys for sales-prod?", "every change of a DAG needs a deploy of Image and DAGs",
		"<b>Eve Author</b>", "they will be refused", "Slipway does not know which image this Deployment runs", "Register the image", "I have the latest version of the project",
		"Nothing here rolls images out: somebody has to restart Airflow with it.", "which DAG files are not in it",
		`name="follow" value="auto" disabled>Prepare the image</button>`, `<button class="btn danger" name="follow" value="self">Turn off DAG-only deploys</button>`)
	want(t, owner.get(a.page("/switch?to=on")), http.StatusOK, "DAG-only deploys are on already.", "Deploys of DAGs never upgrade the Runtime", "The DAG bundle version is updated by deploys of DAGs, by deploys of image and DAGs, and by returns",
		"needs it on their machine", `href="/docs/image-deploys.md"`)
	want(t, a.as(t, a.Oli).get(a.page("/settings/deploys")), http.StatusOK, "needs the Owner role")
	want(t, owner.post(a.page("/switch"), "to", "off"), http.StatusUnprocessableEntity, "Tick that you have the latest version of the project.")
	want(t, owner.post(a.page("/switch"), "to", "sideways"), http.StatusNotFound)

	goesTo(t, owner.post(a.page("/switch"), "to", "off", "at_hand", "yes"), a.page(""))

	if d := a.deployment(t); d.DAGDeploys || !d.NeedsImage || !d.Mounted {
		t.Errorf("state %+v", d.State)
	}
	want(t, owner.get(a.page("")), http.StatusOK, "This Deployment needs a deploy of Image and DAGs.", "Ada Lovelace turned DAG-only deploys off.", "Switch back", "once Image and DAGs are deployed")
	if page := a.as(t, a.Eve).get(a.page("")).Body.String(); strings.Contains(page, "Switch back") {
		t.Error("an Author may switch back")
	}
	want(t, owner.get(a.page("/switch?to=on")), http.StatusOK, "this restores everything")
	goesTo(t, owner.post(a.page("/switch"), "to", "on"), a.page(""))
	if d := a.deployment(t); !d.DAGDeploys || d.NeedsImage {
		t.Errorf("state %+v", d.State)
	}
}

// While deploys are queued the switch waits, and can be called back.
func TestSwitchWaits(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.staged(t, a.Eve, map[string]string{"a.py": dag})
	a.stop() // so that the queue stands still
	if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, 1, a.Eve, "", slipway.Ticks{}); err != nil {
		t.Fatal(err)
	}
	b := a.as(t, a.Ada)
	want(t, b.get(a.page("/switch?to=off")), http.StatusOK, "waits its turn behind 1 deploy")
	goesTo(t, b.post(a.page("/switch"), "to", "off", "at_hand", "yes"), a.page(""))
	want(t, b.get(a.page("/settings/deploys")), http.StatusOK, "WAITING", "Cancel the switch")
	want(t, b.get(a.page("")), http.StatusOK, "Turn off DAG-only deploys", "DAG-only deploys are not enabled", "Cancel")
	want(t, b.get(a.page("/deploys/1")), http.StatusOK, "QUEUED", "Next in the queue.")
	goesTo(t, b.post(a.page("/switch/1/cancel")), a.page(""))
	want(t, b.get(a.page("")), http.StatusOK, "data-upload")
	goesTo(t, b.post(a.page("/deploys/1/cancel")), a.page(""))
	if w := a.deploy(t, 1); w.Status != slipway.Cancelled {
		t.Errorf("the deploy is %s", w.Status)
	}
}

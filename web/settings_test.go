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
	form := []string{
		"name", "sales", "description", "All of it", "airflow_url", "https://airflow.example.com", "dags_path", "/dags", "platform", "linux/arm64",
		"cicd_enforced", "yes", "guard_api", "yes", "image_role", "Operator", "keep_days", "30", "keep_versions", "20",
	}
	goesTo(t, b.post(a.page("/settings"), form...), a.page("/settings"))
	want := slipway.Settings{
		Name: "sales", Description: "All of it", AirflowURL: "https://airflow.example.com", DagsPath: "/dags", Platform: "linux/arm64",
		CICDEnforced: true, GuardAPI: true, ImageRole: slipway.Operator, KeepDays: 30, KeepVersions: 20,
	}
	if got := a.deployment(t).Settings; got != want {
		t.Errorf("settings %+v, want %+v", got, want)
	}
	if page := b.get(a.page("/settings")).Body.String(); !strings.Contains(page, "The settings are saved.") || !strings.Contains(page, "Open Airflow") {
		t.Error("the page says nothing of it")
	}
}

func TestSettingsAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		form []string
		want string
	}{
		"no name":    {[]string{"name", ""}, "A Deployment needs a name."},
		"no address": {[]string{"airflow_url", "javascript:alert(1)"}, "is not a web address"},
		"odd system": {[]string{"platform", "windows"}, "is no platform"},
		"no number":  {[]string{"keep_days", "many"}, "must be a whole number."},
		"too few":    {[]string{"keep_versions", "3"}, "At least the last 10"},
		"odd role":   {[]string{"image_role", "Member"}, "Images can be deployed by Authors or by Operators."},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			form := append([]string{"name", "sales", "description", "typed", "keep_days", "30", "keep_versions", "20"}, tt.form...)
			want(t, a.as(t, a.Ada).post(a.page("/settings"), form...), http.StatusUnprocessableEntity, tt.want, ">typed</textarea>")
			if d := a.deployment(t); d.Name != "sales-prod" || d.KeepDays != slipway.DefaultKeepDays {
				t.Errorf("saved %+v", d.Settings)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Oli)
	want(t, b.get(a.page("/settings")), http.StatusOK, "Delete this Deployment", "0 DAG bundle versions", "mounts/"+a.Sales.Namespace)
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
	want(t, owner.get(a.page("/switch?to=off")), http.StatusOK, "Turn off DAG-only deploys for sales-prod?", "every DAG change needs an image deploy",
		"<b>Eve Author</b>", "they will be refused", "Slipway does not know which image this Deployment runs", "Register the image", "The latest version of the project is at hand")
	want(t, owner.get(a.page("/switch?to=on")), http.StatusOK, "DAG-only deploys are on already.", "Deploys of DAGs never upgrade the Runtime", "The DAG bundle version is updated by deploys of DAGs, by deploys of image and DAGs, and by returns",
		"needs it on their machine", "docs/image-deploys.md")
	want(t, a.as(t, a.Oli).get(a.page("/settings")), http.StatusOK, "needs the Owner role")
	want(t, owner.post(a.page("/switch"), "to", "off"), http.StatusUnprocessableEntity, "Tick that the latest version of the project is at hand.")
	want(t, owner.post(a.page("/switch"), "to", "sideways"), http.StatusNotFound)

	goesTo(t, owner.post(a.page("/switch"), "to", "off", "at_hand", "yes"), a.page(""))

	if d := a.deployment(t); d.DAGDeploys || !d.NeedsImage || !d.Mounted {
		t.Errorf("state %+v", d.State)
	}
	want(t, owner.get(a.page("")), http.StatusOK, "This Deployment needs an image deploy.", "Ada Lovelace turned DAG-only deploys off.", "Switch back", "after the image deploy")
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
	want(t, b.get(a.page("/settings")), http.StatusOK, "WAITING", "Call back")
	want(t, b.get(a.page("")), http.StatusOK, "Turn off DAG-only deploys", "DAG-only deploys are not enabled", "Cancel")
	want(t, b.get(a.page("/deploys/1")), http.StatusOK, "QUEUED", "Is next.")
	goesTo(t, b.post(a.page("/switch/1/cancel")), a.page(""))
	want(t, b.get(a.page("")), http.StatusOK, "data-upload")
	goesTo(t, b.post(a.page("/deploys/1/cancel")), a.page(""))
	if w := a.deploy(t, 1); w.Status != slipway.Cancelled {
		t.Errorf("the deploy is %s", w.Status)
	}
}

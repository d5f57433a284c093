package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/agent"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// dag is a file that Airflow's safe mode takes for a DAG.
const dag = "from airflow import DAG\n"

// run runs the engine with a real agent until the test ends.
func (a *app) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- a.engine.Run(ctx, func(ctx context.Context, _ slipway.Deployment, dir string, p *deploy.AgentPortal) error {
			return agent.New(agent.Config{Dir: dir, Component: slipway.EmbeddedComponent, Portal: p, Log: a.server.log}).Run(ctx)
		})
	}()
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(a.stop)
	eventually(t, "the engine is ready", func() bool { return a.engine.Ready() == nil })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// alter saves the Deployment as change leaves it.
func (a *app) alter(t *testing.T, change func(*slipway.Deployment)) {
	t.Helper()
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		d := a.Sales
		change(&d)
		if err := tx.SaveSettings(d); err != nil {
			return err
		}
		return tx.SaveState(d)
	})
}

// staged uploads files, which replace everything, and waits for their check.
func (a *app) staged(t *testing.T, by slipway.Actor, files map[string]string) slipway.Deploy {
	t.Helper()
	n := deploy.NewUpload{Length: -1, Name: "dags.tar.gz", Merge: slipway.ReplaceAll}
	w, err := a.engine.Receive(t.Context(), a.Sales.ID, by, n, bytes.NewReader(storetest.Archive(t, files)))
	if err != nil {
		t.Fatal(err)
	}
	return a.reaches(t, w.Number, slipway.Staged)
}

// confirmed has a staged deploy go live, whatever it removes.
func (a *app) confirmed(t *testing.T, by slipway.Actor, number int) slipway.Deploy {
	t.Helper()
	a.confirm(t, by, number)
	return a.reaches(t, number, slipway.Deployed)
}

// confirm confirms a staged deploy with every tick.
func (a *app) confirm(t *testing.T, by slipway.Actor, number int) {
	t.Helper()
	r, err := a.engine.Review(t.Context(), a.Sales.ID, number, by)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, number, by, r.Base, slipway.Ticks{RemoveDAGs: true, NoDAGs: true, Invisible: true}); err != nil {
		t.Fatal(err)
	}
}

// live is staged and confirmed.
func (a *app) live(t *testing.T, by slipway.Actor, files map[string]string) slipway.Deploy {
	t.Helper()
	return a.confirmed(t, by, a.staged(t, by, files).Number)
}

// reaches waits until a deploy has a status.
func (a *app) reaches(t *testing.T, number int, status slipway.Status) (w slipway.Deploy) {
	t.Helper()
	eventually(t, "deploy is "+string(status), func() bool {
		w = a.deploy(t, number)
		if w.Status.Ended() && w.Status != status {
			t.Fatalf("deploy #%d is %s (%s), want %s", number, w.Status, w.Reason, status)
		}
		return w.Status == status
	})
	return w
}

func (a *app) deploy(t *testing.T, number int) (w slipway.Deploy) {
	t.Helper()
	storetest.View(t, a.store, func(tx *store.Tx) (err error) {
		w, err = tx.Deploy(a.Sales.ID, number)
		return err
	})
	return w
}

func (a *app) deployment(t *testing.T) (d slipway.Deployment) {
	t.Helper()
	storetest.View(t, a.store, func(tx *store.Tx) (err error) {
		d, err = tx.LoadDeployment(a.Sales.ID)
		return err
	})
	return d
}

// page is the path of a page of the Deployment.
func (a *app) page(rest string) string { return deploymentPath(a.Sales.ID) + rest }

func TestDeploymentsList(t *testing.T) {
	a := newApp(t)
	list := workspacePath(a.Workspace.ID)
	want(t, a.as(t, a.Sam).get(workspacePath(a.Other.ID)), http.StatusOK, "No Deployments yet", "Add the first Deployment")
	want(t, a.as(t, a.Eve).get(list), http.StatusOK, "sales-prod", "on this machine", "CREATING", "Deploy your first DAGs")
	a.run(t)
	w := a.live(t, a.Eve, map[string]string{"a.py": dag})

	got := a.as(t, a.Mia).get(list)

	want(t, got, http.StatusOK, "HEALTHY", w.Version.Short(), `title="`+string(w.Version)+`"`, "#1", "Eve Author", "Not known")
	if strings.Contains(got.Body.String(), "New Deployment") {
		t.Error("a Member is offered a new Deployment")
	}
}

// The list names what is live, not what was staged or failed last, and what needs
// attention stands first.
func TestDeploymentsListShowsWhatRuns(t *testing.T) {
	a := newApp(t)
	list := workspacePath(a.Workspace.ID)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		_, err := storetest.AddDeployment(tx, a.Workspace.ID, "a-quiet-one")
		return err
	})
	a.run(t)
	a.live(t, a.Eve, map[string]string{"a.py": dag})
	a.staged(t, a.Eve, map[string]string{"b.py": dag})
	b := a.as(t, a.Mia)
	live := regexp.MustCompile(`<td data-label="Last live deploy">.*?</td>`)

	page := b.get(list)
	want(t, page, http.StatusOK, "1 deploy to confirm", a.page("/deploys/2"), "Nothing is deployed yet.", "All 2", "Need attention 0", "To confirm 1",
		`role="img" aria-label="In 30 days: 2 deploys, 1 to confirm"`, `<rect class="c-live" x="116.5"`, `role="img" aria-label="In 30 days: no deploys"`)
	if got := live.FindAllString(page.Body.String(), 1); len(got) != 1 || !strings.Contains(got[0], "#1</a>") || strings.Contains(got[0], "#2") {
		t.Errorf("the live deploy is %q", got)
	}
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		w, err := tx.Deploy(a.Sales.ID, 2)
		if err != nil {
			return err
		}
		w.Status, w.Reason = slipway.Failed, "It broke."
		_, err = tx.SaveDeploy(w)
		return err
	})
	want(t, b.get(list), http.StatusOK, "#2</a> failed", "Need attention 1", "To confirm 0")
	for query, names := range map[string]string{
		"": "sales-prod a-quiet-one", "order=name": "a-quiet-one sales-prod", "order=newest": "sales-prod a-quiet-one", "show=attention": "sales-prod", "show=confirm": "",
		"q=QUIET": "a-quiet-one", "q=prod+sales": "sales-prod", "q=nothing": "", "q=" + a.Sales.Namespace: "sales-prod", "q=" + string(a.Sales.ID) + "&show=attention": "sales-prod", "show=moon&order=moon": "sales-prod a-quiet-one",
	} {
		page := b.get(list + "?" + query).Body.String()
		var got []string
		for _, m := range regexp.MustCompile(`<td class="title"><a [^>]*>([^<]*)</a>`).FindAllStringSubmatch(page, -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, " ") != names {
			t.Errorf("%q lists %q, want %q", query, got, names)
		}
		if said := strings.Contains(page, "No Deployment is like this"); said != (names == "") {
			t.Errorf("%q: it says that nothing is found: %v", query, said)
		}
	}
	want(t, b.get(list+"?q=sales&order=name"), http.StatusOK, `value="sales"`, list+`/live?order=name&amp;q=sales`, "Show all</a>")
}

func TestAddDeployment(t *testing.T) {
	for name, tt := range map[string]struct {
		form   []string
		status int
		body   string // of a refusal
		here   bool
	}{
		"on this machine": {[]string{"name", "finance", "where", "here"}, http.StatusSeeOther, "", true},
		"elsewhere":       {[]string{"name", "finance", "where", "elsewhere", "description", "Books"}, http.StatusSeeOther, "", false},
		"no name":         {[]string{"name", " ", "description", "kept"}, http.StatusUnprocessableEntity, "A Deployment needs a name.", false},
		"name taken":      {[]string{"name", "sales-prod", "description", "kept"}, http.StatusConflict, "There is a Deployment named sales-prod", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			w := a.as(t, a.Oli).post(workspacePath(a.Workspace.ID)+"/deployments/new", tt.form...)
			if tt.body != "" {
				want(t, w, tt.status, tt.body, `value="kept"`)
				return
			}
			id, isPage := strings.CutPrefix(w.Header().Get("Location"), "/deployments/")
			if w.Code != tt.status || !isPage {
				t.Fatalf("answer %d to %s", w.Code, w.Header().Get("Location"))
			}
			storetest.View(t, a.store, func(tx *store.Tx) error {
				d, err := tx.LoadDeployment(slipway.DeploymentID(id))
				if d.Name != "finance" || d.Local != tt.here || d.Creator != "Oli Operator" || d.Workspace != a.Workspace.ID {
					t.Errorf("added %+v", d)
				}
				return err
			})
		})
	}
}

func TestOverview(t *testing.T) {
	a := newApp(t)
	author := a.as(t, a.Eve)
	want(t, author.get(a.page("")), http.StatusOK, "Nothing is deployed yet", "Point Airflow at it", "mounts/"+a.Sales.Namespace+"/current/dags",
		`data-upload`, `data-tus="/uploads"`, "No deploys yet", "upload.js")
	member := a.as(t, a.Mia).get(a.page(""))
	want(t, member, http.StatusOK, "Deploying DAGs needs the Author role")
	if strings.Contains(member.Body.String(), "data-upload") {
		t.Error("a Member is shown the upload form")
	}
	a.run(t)
	a.staged(t, a.Eve, map[string]string{"a.py": dag})
	want(t, author.get(a.page("")), http.StatusOK, "Nothing is deployed yet")
	if w := author.post(a.page("/deploys/1/cancel")); w.Code != http.StatusSeeOther {
		t.Fatalf("discarding #1: %d", w.Code)
	}
	want(t, author.get(a.page("")), http.StatusOK, "Nothing is deployed yet")
	a.live(t, a.Eve, map[string]string{"a.py": dag})
	a.staged(t, a.Eve, map[string]string{"a.py": dag + "#"})

	w := author.get(a.page(""))

	want(t, w, http.StatusOK, "HEALTHY", "1 of 1 on #2", "this machine", "What deploy #3 will do", "+0 ~1 −0", "Live now", "by <span class=\"nowrap\">Eve Author</span>")
	want(t, w, http.StatusOK, "Point Airflow at it", "dags_folder = ") // nothing has answered yet
	a.alter(t, func(d *slipway.Deployment) { d.AirflowURL = "https://airflow.example.com" })
	if w := author.get(a.page("")); strings.Contains(w.Body.String(), "Point Airflow at it") {
		t.Error("how to connect is still in the way")
	}
	other := a.as(t, a.Oli).get(a.page(""))
	if strings.Contains(other.Body.String(), "What deploy #3 will do") {
		t.Error("somebody else's upload waits for Oli")
	}
}

func TestOverviewSaysWhyNot(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*slipway.Deployment)
		want   string
	}{
		"CI/CD":  {func(d *slipway.Deployment) { d.CICDEnforced = true }, "CI/CD is enforced for this Deployment"},
		"switch": {func(d *slipway.Deployment) { *d = d.Switched(false) }, "DAG-only deploys are not enabled for this Deployment."},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.alter(t, tt.change)
			w := a.as(t, a.Ada).get(a.page(""))
			want(t, w, http.StatusOK, tt.want)
			if strings.Contains(w.Body.String(), `name="files"`) {
				t.Error("there is a form for DAGs")
			}
		})
	}
}

// TestSearchOfManyWords: a search looks for its first words, however many there are.
func TestSearchOfManyWords(t *testing.T) {
	a := newApp(t)
	var words []string
	for n := range 1100 {
		words = append(words, fmt.Sprint(n))
	}
	b := a.as(t, a.Ada)
	want(t, b.get("/workspaces/"+string(a.Workspace.ID)+"?q="+strings.Join(words, "+")), http.StatusOK, "0 1 2 3 4 5 6 7 8 9")
	want(t, b.get("/workspaces/"+string(a.Workspace.ID)+"?q="+strings.Repeat("sales+", 1100)), http.StatusOK, "sales-prod")
	want(t, b.get("/workspaces/"+string(a.Workspace.ID)+"/audit?q="+strings.Join(words, "+")), http.StatusOK, `value="0 1 2 3 4 5 6 7 8 9"`)
}

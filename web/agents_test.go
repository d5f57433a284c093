package web

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/agent"
	"slipway/internal/auth"
	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// agentToken makes an agent token of a Deployment.
func (a *app) agentToken(t *testing.T, of slipway.DeploymentID) (token string, kept store.Token) {
	t.Helper()
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		token, kept, err = auth.IssueAgentToken(tx, a.Ada, of, "workers")
		return err
	})
	return token, kept
}

// asAgent asks the portal as an agent does.
func (a *app) asAgent(t *testing.T, token, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, agentsPath+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w
}

// remoteDeployment adds the Deployment finance, with Airflow on another machine.
func (a *app) remoteDeployment(t *testing.T) (d slipway.Deployment) {
	t.Helper()
	d, err := slipway.NewDeployment(a.Workspace.ID, "finance", false)
	if err == nil {
		d, err = a.engine.Create(t.Context(), d, a.Oli)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAgentsSeeTheirDeployment(t *testing.T) {
	a := newApp(t)
	a.run(t)
	other := a.remoteDeployment(t)
	live := a.live(t, a.Eve, map[string]string{"a.py": dag, "b.py": dag + "# b"})
	mine, kept := a.agentToken(t, a.Sales.ID)
	theirs, _ := a.agentToken(t, other.ID)
	apiToken, _ := a.issue(t, a.Ada, auth.NewToken{Name: "ci", Role: slipway.Owner})

	var want1 slipway.Desired
	w := a.asAgent(t, mine, http.MethodGet, "desired?since=", "")
	if err := json.Unmarshal(w.Body.Bytes(), &want1); err != nil || want1.Version != live.Version || want1.DAGs != slipway.FromBundle || want1.Revision == "" {
		t.Fatalf("desired %s, %v", w.Body, err)
	}
	w = a.asAgent(t, mine, http.MethodGet, "manifests/"+live.Version.Dir(), "", "Accept-Encoding", "gzip")
	m, err := bundle.ReadManifest(w.Body)
	if err != nil || len(m.Files) != 2 || w.Header().Get("Content-Encoding") != "" {
		t.Fatalf("manifest %+v, %v, %v", m, err, w.Header())
	}
	pack := "packs/" + m.Files[0].Pack
	whole := a.asAgent(t, mine, http.MethodGet, pack, "")
	part := a.asAgent(t, mine, http.MethodGet, pack, "", "Range", "bytes=5-9")
	if part.Code != http.StatusPartialContent || part.Body.String() != whole.Body.String()[5:10] || !strings.HasPrefix(part.Header().Get("Content-Range"), "bytes 5-9/") {
		t.Errorf("range: %d %v", part.Code, part.Header())
	}
	storetest.View(t, a.store, func(tx *store.Tx) error {
		tokens, err := tx.AgentTokens(a.Sales.ID)
		if err != nil || len(tokens) != 1 || tokens[0].LastUsedAt.IsZero() {
			t.Errorf("tokens %+v, %v: want the last use noted", tokens, err)
		}
		return nil
	})

	for name, tt := range map[string]struct {
		token, method, path, body string
		status                    int
		says                      string
	}{
		"another's version":        {theirs, "GET", "manifests/" + live.Version.Dir(), "", 404, "There is no DAG bundle version"},
		"another's pack":           {theirs, "GET", pack, "", 404, "There is no pack"},
		"a version that is none":   {mine, "GET", "manifests/latest", "", 404, "There is no DAG bundle version latest."},
		"a pack that leads out":    {mine, "GET", "packs/..%2f..%2fslipway.db", "", 404, "There is no pack"},
		"an API token":             {apiToken, "GET", "desired?since=", "", 401, "This is no agent token."},
		"no token":                 {"", "GET", "desired?since=", "", 401, "Send an agent token"},
		"an unknown token":         {"swa_nothing", "GET", "desired?since=", "", 401, "unknown, revoked or expired"},
		"a report without a name":  {mine, "POST", "report", `{}`, 422, "A component's name has"},
		"a report of no JSON":      {mine, "POST", "report", `<xml>`, 422, "A report is an object in JSON"},
		"a report that is large":   {mine, "POST", "report", `{"component":"` + strings.Repeat("a", maxReport) + `"}`, 422, "A report is an object"},
		"a good report":            {mine, "POST", "report", `{"component":"worker-0","dags":"image","age":3600}`, 204, ""},
		"a log":                    {mine, "POST", "log", `{"component":"worker-0","lines":["a"]}`, 204, ""},
		"a log of nobody":          {mine, "POST", "log", `{"lines":["a"]}`, 422, "A component's name has"},
		"a log of no JSON":         {mine, "POST", "log", `a`, 422, "A log is an object in JSON"},
		"a log that is large":      {mine, "POST", "log", `{"lines":["` + strings.Repeat("a", maxAgentLog) + `"]}`, 422, "A log is an object"},
		"an address of the future": {mine, "GET", "secrets", "", 404, "There is nothing at this address for agents."},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, a.asAgent(t, tt.token, tt.method, tt.path, tt.body, "Accept", "text/html"), tt.status, tt.says)
		})
	}
	var worker slipway.Component
	for _, c := range a.engine.Components(a.Sales.ID) {
		if c.Component == "worker-0" {
			worker = c
		}
	}
	if ago := time.Since(worker.Since); ago < 59*time.Minute || len(a.engine.Components(other.ID)) != 0 {
		t.Errorf("component %+v, want one that has it for an hour", worker)
	}

	b := a.as(t, a.Oli)
	revoke := agentTokensPath(a.Sales.ID) + "/" + string(kept.ID) + "/revoke"
	want(t, b.get(revoke), http.StatusOK, "Revoke workers?", "what they have mounted stays")
	goesTo(t, b.post(revoke), a.page("/settings/agents"))
	want(t, a.asAgent(t, mine, http.MethodGet, "desired?since=", ""), 401, "unknown, revoked or expired")
	want(t, a.asAgent(t, theirs, http.MethodGet, "desired?since=", ""), 200)
	if got := a.events(t, a.Workspace.ID)[0]; got != "token.revoke agent token workers" {
		t.Errorf("audit trail: %s", got)
	}
}

// A question that waits is answered when something else is wanted, and not
// before: a report is none of it.
func TestAgentsWaitForWhatIsNew(t *testing.T) {
	a := newApp(t)
	a.run(t)
	token, kept := a.agentToken(t, a.Sales.ID)
	var now slipway.Desired
	if err := json.Unmarshal(a.asAgent(t, token, "GET", "desired?since=", "").Body.Bytes(), &now); err != nil {
		t.Fatal(err)
	}
	answers := make(chan *httptest.ResponseRecorder, 1)
	ask := func() {
		go func() {
			answers <- a.asAgent(t, token, "GET", "desired?"+url.Values{"since": {now.Revision}}.Encode(), "")
		}()
	}
	ask()
	for _, report := range []string{`{"component":"worker-0"}`, `{"component":"worker-0","leaving":true}`} {
		want(t, a.asAgent(t, token, "POST", "report", report), 204)
	}
	w := a.live(t, a.Eve, map[string]string{"a.py": dag})
	got := <-answers
	if err := json.Unmarshal(got.Body.Bytes(), &now); err != nil || now.Version != w.Version {
		t.Errorf("answer %s, %v, want version %s", got.Body, err, w.Version)
	}

	ask()
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		_, err := auth.RevokeAgentToken(tx, a.Ada, a.Sales.ID, kept.ID)
		return err
	})
	a.live(t, a.Eve, map[string]string{"a.py": dag + "# 2"})
	want(t, <-answers, http.StatusUnauthorized, "unknown, revoked or expired")
}

// remote runs an agent against a as it would on another machine.
func (a *app) remote(t *testing.T, token, component string) (dir string, stop func()) {
	t.Helper()
	server := httptest.NewServer(a.handler)
	t.Cleanup(server.Close)
	return runRemote(t, server.URL, nil, token, component)
}

// runRemote runs an agent until the test ends or stop is called.
func runRemote(t *testing.T, portal string, ca []byte, token, component string) (dir string, stop func()) {
	t.Helper()
	at, err := url.Parse(portal)
	if err != nil {
		t.Fatal(err)
	}
	p, err := agent.NewRemote(agent.RemoteConfig{URL: at, CA: ca, Token: func() (string, error) { return token, nil }, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "dags")
	one := agent.New(agent.Config{Dir: dir, Component: component, Portal: p, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "test"})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- one.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("agent: %v", err)
		}
	})
	t.Cleanup(stop)
	return dir, stop
}

func TestRemoteAgentMounts(t *testing.T) {
	a := newApp(t)
	a.run(t)
	d := a.remoteDeployment(t)
	token, _ := a.agentToken(t, d.ID)
	dir, stop := a.remote(t, token, "worker-0")
	dir2, _ := a.remote(t, token, "worker-1")
	eventually(t, "both have reported", func() bool { return len(a.engine.Components(d.ID)) == 2 })
	a.Sales = d

	w := a.live(t, a.Eve, map[string]string{"a.py": dag, "sales/b.py": dag + "# b"})

	for _, dir := range []string{dir, dir2} {
		b, err := os.ReadFile(filepath.Join(dir, "current/dags/sales/b.py"))
		if err != nil || string(b) != dag+"# b" {
			t.Errorf("%s: %q, %v", dir, b, err)
		}
	}
	if w.Note != "" {
		t.Errorf("note %q", w.Note)
	}
	page := a.as(t, a.Mia)
	want(t, page.get(a.page("")), http.StatusOK, "worker-0", "worker-1", w.Version.Short(), "2 of 2 on #1", "HEALTHY")
	stop()
	eventually(t, "it has signed off", func() bool { return len(a.engine.Components(d.ID)) == 1 })
	want(t, page.get(a.page("/settings/agents")), http.StatusOK, "1 connected", "worker-1", "Managing agents needs the Operator role")
}

func TestSilentComponents(t *testing.T) {
	a := newApp(t)
	a.now = time.Now()
	token, _ := a.agentToken(t, a.Sales.ID)
	for _, report := range []string{`{"component":"worker-0","dags":"image"}`, `{"component":"task-1","dags":"image","ephemeral":true}`} {
		want(t, a.asAgent(t, token, "POST", "report", report), 204)
	}
	want(t, a.as(t, a.Mia).get(a.page("")), http.StatusOK, "worker-0", "task-1", "HEALTHY", "2 of 2")

	want(t, a.asAgent(t, token, "POST", "report", `{"component":"worker-0","dags":"image","warning":"Other users cannot enter /srv."}`), 204)
	want(t, a.as(t, a.Mia).get(a.page("")), http.StatusOK, "Other users cannot enter /srv.", "HEALTHY", "2 of 2")

	a.now = a.now.Add(70 * time.Second)

	member, operator := a.as(t, a.Mia).get(a.page("")), a.as(t, a.Oli)
	want(t, member, http.StatusOK, "worker-0", "UNHEALTHY", "0 of 0, 1 silent", "silent: see whether its agent still runs")
	if body := member.Body.String(); strings.Contains(body, "task-1") || strings.Contains(body, "Forget worker-0") {
		t.Errorf("the page shows one that has left, or lets a Member forget:\n%s", text(member))
	}
	want(t, operator.get(workspacePath(a.Workspace.ID)), http.StatusOK, "UNHEALTHY", "worker-0 has been silent for 1m10s.")
	want(t, operator.get(a.page("")), http.StatusOK, "Forget worker-0")
	goesTo(t, operator.post(a.page("/agents/forget"), "component", "worker-0"), a.page(""))
	want(t, operator.get(a.page("")), http.StatusOK, "worker-0 is forgotten.", "CREATING")
	if got := a.events(t, a.Workspace.ID)[0]; got != "component.forget worker-0" {
		t.Errorf("audit trail: %s", got)
	}
}

func TestConnectAnAgent(t *testing.T) {
	a := newApp(t)
	a.run(t)
	a.Sales = a.remoteDeployment(t)
	b := a.as(t, a.Oli)
	want(t, b.get(a.page("")), http.StatusOK, "Connect agents", a.page("/settings/agents"), "/opt/airflow/slipway/current/dags")
	want(t, b.get(a.page("/settings/agents")), http.StatusOK, "No agent reports yet", "SLIPWAY_TOKEN=TOKEN slipway agent --portal http://example.com")
	want(t, b.post(a.page("/agents/tokens"), "name", " "), http.StatusUnprocessableEntity, "An agent token needs a name.")

	w := b.post(a.page("/agents/tokens"), "name", "workers")

	secret := secretOn(t, w)
	want(t, w, http.StatusOK, "SLIPWAY_TOKEN="+secret+" slipway agent", "Environment=SLIPWAY_TOKEN="+secret, "SLIPWAY_TOKEN: "+secret, "--from-literal=token="+secret)
	if page := b.get(a.page("/settings/agents")).Body.String(); strings.Contains(page, secret) || !strings.Contains(page, "…"+secret[len(secret)-6:]) {
		t.Error("the token is shown again, or not to be known by its end")
	}
	l := b.listen(a.page("/live?view=agents"))
	l.until("No agent reports yet")
	want(t, a.asAgent(t, secret, "POST", "report", `{"component":"scheduler-0"}`), 204)
	l.until("1 connected", "scheduler-0")
}

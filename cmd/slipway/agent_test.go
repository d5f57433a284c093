package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"slipway/e2e/program"

	"slipway/internal/slipway"
)

func TestAgentCommandIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"no portal":    {[]string{"--component", "a", "--dags", "d", "--token", "x"}, "missing flags: --portal"},
		"no address":   {[]string{"--portal", "slipway", "--component", "a", "--dags", "d", "--token", "x"}, "must be an address like https://"},
		"no token":     {[]string{"--portal", "http://x", "--component", "a", "--dags", "d"}, "set SLIPWAY_TOKEN"},
		"two tokens":   {[]string{"--portal", "http://x", "--component", "a", "--dags", "d", "--token", "x", "--token-file", "f"}, "not both"},
		"no folder":    {[]string{"--portal", "http://x", "--component", "a", "--token", "x"}, "with --dags"},
		"no such file": {[]string{"--portal", "http://x", "--component", "a", "--dags", "d", "--token-file", "/nowhere/token"}, "no such file"},
		"no such CA":   {[]string{"--portal", "http://x", "--component", "a", "--dags", "d", "--token", "x", "--ca", "/nowhere/ca"}, "read --ca"},
		"an empty CA":  {[]string{"--portal", "http://x", "--component", "a", "--dags", "d", "--token", "x", "--ca", os.DevNull, "--once"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.says == "" {
				tt.args = append(tt.args, "--ca", writeTemp(t, "no certificate"))
				tt.says = "holds none in PEM"
			}
			_, err := call(t, "", append([]string{"agent"}, tt.args...)...)
			wantError(t, err, tt.says)
		})
	}
}

func writeTemp(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var healthLine = regexp.MustCompile(`msg=health address=(http://\S+)`)

// The shipped agent mounts what is deployed, says how it does, survives the
// portal, and signs off.
func TestAgentCommand(t *testing.T) {
	e := program.NewRemoteAgents(t)
	e.Start(t)
	token := writeTemp(t, e.AgentToken+"\n")
	p := program.Launch(t, e.Dir, e.AgentArgs("scheduler-0", "--token-file", token, "--health", "127.0.0.1:0")...)
	program.Until(t, "it serves its health", func() bool { return healthLine.MatchString(p.Output.String()) })
	health := healthLine.FindStringSubmatch(p.Output.String())[1]
	program.Until(t, "it is connected", func() bool { return strings.Contains(fetched(t, health+"/metrics"), "slipway_agent_portal_seconds") })

	e.MustDeploy(t, map[string]string{"dags/a.py": "1"})

	if !e.Holds("scheduler-0", "a.py", "1") {
		t.Error("it is not mounted")
	}
	for path, want := range map[string]string{
		"/healthz": "ok\n", "/readyz": "ready\n", "/metrics": `slipway_agent_mounted{dags="mounted",version="2`,
	} {
		if got := fetched(t, health+path); !strings.Contains(got, want) {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := fetched(t, health+"/metrics"); !strings.Contains(got, "slipway_agent_behind 0") || !strings.Contains(got, "slipway_agent_error 0") {
		t.Errorf("metrics %s", got)
	}

	e.Process.Kill()
	p.Terminate(t) // it signs off in vain
	p = e.StartAgent(t, "scheduler-0")
	if !e.Holds("scheduler-0", "a.py", "1") {
		t.Error("what was mounted is gone with the portal")
	}
	e.Start(t)
	e.MustDeploy(t, map[string]string{"dags/a.py": "2"})
	program.Until(t, "the new one is mounted", func() bool { return e.Holds("scheduler-0", "a.py", "2") })
	p.Terminate(t)
	status, text, err := e.Upload(t.Context(), map[string]string{"dags/a.py": "3"}, "60s")
	if err != nil || status != http.StatusOK || !strings.Contains(text, "DEPLOYED") || !e.Holds("scheduler-0", "a.py", "2") {
		t.Errorf("answer %d, %v: %s; want a deploy that waits for nobody", status, err, text)
	}
}

func fetched(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAgentOnce(t *testing.T) {
	e := program.NewRemoteAgents(t)
	e.Start(t)
	e.MustDeploy(t, map[string]string{"dags/a.py": "1"})
	p := e.StartAgent(t, "first", "--once")
	<-p.Ended
	if p.Err != nil || !e.Holds("first", "a.py", "1") {
		t.Errorf("%v:\n%s", p.Err, p.Tail())
	}
	wrong := program.Launch(t, e.Dir, append([]string{"env", "SLIPWAY_TOKEN=swa_wrong"}, e.AgentArgs("second", "--once")...)...)
	<-wrong.Ended
	if wrong.Err == nil || !strings.Contains(wrong.Tail(), "slipway: This token is unknown, revoked or expired.") {
		t.Errorf("%v:\n%s", wrong.Err, wrong.Tail())
	}
}

// The agent comes by the proxy of its environment.
func TestAgentBehindAProxy(t *testing.T) {
	e := program.NewRemoteAgents(t)
	e.Start(t)
	e.MustDeploy(t, map[string]string{"dags/a.py": "1"})
	var asked atomic.Int64
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if r.In.Host == "slipway.example.com" {
			asked.Add(1)
		}
		at, err := url.Parse(e.ProxyURL)
		if err != nil {
			t.Error(err)
		}
		r.SetURL(at)
	}})
	t.Cleanup(proxy.Close)
	args := e.AgentArgs("worker-0", "--once")
	args[3] = "http://slipway.example.com"
	p := program.Launch(t, e.Dir, append([]string{"env", "SLIPWAY_TOKEN=" + e.AgentToken, "HTTP_PROXY=" + proxy.URL, "NO_PROXY="}, args...)...)
	<-p.Ended
	if p.Err != nil || !e.Holds("worker-0", "a.py", "1") || asked.Load() == 0 {
		t.Errorf("%v, %d requests by the proxy:\n%s", p.Err, asked.Load(), p.Tail())
	}
}

func TestTokenCommand(t *testing.T) {
	e := program.NewRemoteAgents(t)
	do := func(args ...string) (string, error) {
		t.Helper()
		return call(t, "", append([]string{"token"}, append(args, "--data", e.Data)...)...)
	}
	text, err := do("add", "workers", "--agent", "--deployment", string(e.DeploymentID))
	if err != nil || !strings.HasPrefix(text, "swa_") {
		t.Fatalf("%q, %v", text, err)
	}
	if text, err = do("add", "ci", "--workspace", string(e.WorkspaceID), "--role", "Operator", "--kinds", "DAG_ONLY", "--days", "30"); err != nil || strings.Count(text, ".") != 2 {
		t.Fatalf("%q, %v", text, err)
	}
	text, err = do("list", "--workspace", string(e.WorkspaceID))
	for _, want := range []string{"agent  workers", "api    ci", "Operator", "agent  init", string(e.DeploymentID)} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("no %q in the list, %v:\n%s", want, err, text)
		}
	}
	if text, err = do("list", "--deployment", string(e.DeploymentID)); err != nil || strings.Contains(text, " ci ") || !strings.Contains(text, "workers") {
		t.Errorf("list of the Deployment, %v:\n%s", err, text)
	}
	id := slipway.TokenID(strings.Fields(strings.Split(text, "\n")[1])[0])
	if text, err = do("revoke", string(id)); err != nil || text != "The agent token workers is revoked.\n" {
		t.Errorf("%q, %v", text, err)
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"revoke", string(id)}, fmt.Sprintf("There is no token %s.", id)},
		{[]string{"add", "x"}, "name either --workspace or --deployment"},
		{[]string{"add", "x", "--agent", "--workspace", string(e.WorkspaceID)}, "an agent token is for one Deployment"},
		{[]string{"add", "x", "--deployment", "nowhere"}, "nowhere"},
		{[]string{"add", "x", "--workspace", "nowhere"}, "There is no Workspace nowhere."},
		{[]string{"add", "x", "--workspace", string(e.WorkspaceID), "--role", "King"}, `There is no role "King".`},
	} {
		_, err := do(tt.args...)
		wantError(t, err, tt.says)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"slipway/internal/durable"
)

// elsewhere is a portal with one Deployment, that agents mount elsewhere. They
// come by a front door whose address stays when the portal is started anew.
type elsewhere struct {
	initOutput
	program, dir, data string
	portal             *process
	front              string
	at                 atomic.Pointer[url.URL] // of the portal
	forwarded          atomic.Int64
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{program: built(t, "slipway"), dir: t.TempDir()}
	e.data = filepath.Join(e.dir, "data")
	t.Cleanup(func() { _ = durable.RemoveTree(filepath.Join(e.dir, "mounts")) }) // read-only folders keep the test's own from going
	text, err := call(t, password, "init", "--data", e.data, "--email", "ada@example.com", "--workspace", "W", "--deployment", "D", "--elsewhere", "--password-stdin", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(text), &e.initOutput)
	}
	if err != nil {
		t.Fatal(err)
	}
	door := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			e.forwarded.Add(1)
			if at := e.at.Load(); at != nil {
				r.SetURL(at)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(door)
	t.Cleanup(server.CloseClientConnections) // the agents that are left are killed then
	e.front = server.URL
	return e
}

// serve starts the portal.
func (e *elsewhere) serve(t *testing.T) {
	t.Helper()
	e.portal = launch(t, e.dir, serveArgs(e.program, e.data, "--reserve", "0", "--agent-wait", "100ms")...)
	at, err := url.Parse(e.portal.mustBeReady(t))
	if err != nil {
		t.Fatal(err)
	}
	e.at.Store(at)
}

// agentArgs is the command line of an agent by way of the front door.
func (e *elsewhere) agentArgs(name string, more ...string) []string {
	return append([]string{e.program, "agent", "--portal", e.front, "--component", name, "--dags", e.mount(name), "--reserve", "0"}, more...)
}

// mount is where the agent of a component mounts.
func (e *elsewhere) mount(name string) string { return filepath.Join(e.dir, "mounts", name) }

// agent starts an agent.
func (e *elsewhere) agent(t *testing.T, name string, more ...string) *process {
	t.Helper()
	argv := append([]string{"env", "SLIPWAY_TOKEN=" + e.AgentToken}, e.agentArgs(name, more...)...)
	return launch(t, e.dir, argv...)
}

// upload deploys files by the API, which answers once it knows them or, with
// wait, once they run.
func (e *elsewhere) upload(ctx context.Context, files map[string]string, wait string) (int, string, error) {
	at := fmt.Sprintf("%s/v1/organizations/%s/deployments/%s/deploys/upload?wait=%s", e.at.Load(), e.OrganizationID, e.DeploymentID, wait)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(archiveOf(files)))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+e.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// deployed is upload, and waits until every agent runs it.
func (e *elsewhere) deployed(t *testing.T, files map[string]string) {
	t.Helper()
	status, text, err := e.upload(t.Context(), files, "60s")
	if err != nil || status != http.StatusOK || !strings.Contains(text, "DEPLOYED") {
		t.Fatalf("answer %d, %v: %s", status, err, text)
	}
}

// holds reports whether a file of what is mounted has a text.
func (e *elsewhere) holds(name, file, want string) bool {
	b, err := os.ReadFile(filepath.Join(e.mount(name), "current", "dags", file))
	return err == nil && string(b) == want
}

// until waits for something to hold.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// interrupt tells a process to stop, and waits until it has.
func (p *process) interrupt(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not stop:\n%s", p.tail())
	}
}

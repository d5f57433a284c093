package program

import (
	"bytes"
	"context"
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
	"testing"

	"slipway/internal/durable"
)

// Elsewhere is a portal with one Deployment that is mounted by agents. The agents
// use a proxy, so that the address stays over restarts of the portal.
type Elsewhere struct {
	Setup
	Program, Dir, Data string
	Process            *Process
	Front              string                  // the proxy's address
	at                 atomic.Pointer[url.URL] // the portal's address
}

// NewElsewhere sets up the data folder and the proxy. Serve starts the portal.
func NewElsewhere(t *testing.T) *Elsewhere {
	t.Helper()
	e := &Elsewhere{Program: Build(t, "slipway"), Dir: t.TempDir()}
	e.Data = filepath.Join(e.Dir, "data")
	t.Cleanup(func() { _ = durable.RemoveTree(filepath.Join(e.Dir, "mounts")) }) // the test's own removal fails on read-only folders
	e.Setup = Init(t, e.Data, "--elsewhere")
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			if at := e.at.Load(); at != nil {
				r.SetURL(at)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.CloseClientConnections) // cleanups of Launch kill the agents later
	e.Front = server.URL
	return e
}

// Serve starts the portal.
func (e *Elsewhere) Serve(t *testing.T) {
	t.Helper()
	e.Process = Launch(t, e.Dir, ServeArgs(e.Program, e.Data, "--reserve", "0", "--agent-wait", "100ms")...)
	at, err := url.Parse(e.Process.MustBeReady(t))
	if err != nil {
		t.Fatal(err)
	}
	e.at.Store(at)
}

// AgentArgs is the command line of an agent for a component.
func (e *Elsewhere) AgentArgs(component string, more ...string) []string {
	return append([]string{e.Program, "agent", "--portal", e.Front, "--component", component, "--dags", e.Mount(component), "--reserve", "0"}, more...)
}

// Mount is the folder of a component's mount.
func (e *Elsewhere) Mount(component string) string {
	return filepath.Join(e.Dir, "mounts", component)
}

// StartAgent starts an agent for a component.
func (e *Elsewhere) StartAgent(t *testing.T, component string, more ...string) *Process {
	t.Helper()
	argv := append([]string{"env", "SLIPWAY_TOKEN=" + e.AgentToken}, e.AgentArgs(component, more...)...)
	return Launch(t, e.Dir, argv...)
}

// Upload deploys files by the API. The answer comes when the deploy runs, or after
// wait, such as "60s".
func (e *Elsewhere) Upload(ctx context.Context, files map[string]string, wait string) (status int, body string, err error) {
	at := fmt.Sprintf("%s/v1/organizations/%s/deployments/%s/deploys/upload?wait=%s", e.at.Load(), e.OrganizationID, e.DeploymentID, wait)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(ArchiveOf(files)))
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

// MustDeploy uploads files and waits until every agent runs the version.
func (e *Elsewhere) MustDeploy(t *testing.T, files map[string]string) {
	t.Helper()
	status, text, err := e.Upload(t.Context(), files, "60s")
	if err != nil || status != http.StatusOK || !strings.Contains(text, "DEPLOYED") {
		t.Fatalf("answer %d, %v: %s", status, err, text)
	}
}

// Holds reports whether a mounted file of a component has the text want.
func (e *Elsewhere) Holds(component, file, want string) bool {
	b, err := os.ReadFile(filepath.Join(e.Mount(component), "current", "dags", file))
	return err == nil && string(b) == want
}

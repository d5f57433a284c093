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

// RemoteAgents is a portal with one Deployment that is mounted by agents. The agents
// use a proxy, so that the address stays over restarts of the portal.
type RemoteAgents struct {
	Setup
	Program, Dir, Data string
	Process            *Process
	ProxyURL           string                  // the proxy's address
	at                 atomic.Pointer[url.URL] // the portal's address
}

// NewRemoteAgents sets up the data folder and the proxy. Start starts the portal.
func NewRemoteAgents(t *testing.T) *RemoteAgents {
	t.Helper()
	a := &RemoteAgents{Program: Build(t, "slipway"), Dir: t.TempDir()}
	a.Data = filepath.Join(a.Dir, "data")
	t.Cleanup(func() { _ = durable.RemoveTree(filepath.Join(a.Dir, "mounts")) }) // the test's own removal fails on read-only folders
	a.Setup = Init(t, a.Data, "--elsewhere")
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			if at := a.at.Load(); at != nil {
				r.SetURL(at)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.CloseClientConnections) // cleanups of Launch kill the agents later
	a.ProxyURL = server.URL
	return a
}

// Start starts the portal.
func (a *RemoteAgents) Start(t *testing.T) {
	t.Helper()
	a.Process = Launch(t, a.Dir, ServeArgs(a.Program, a.Data, "--reserve", "0", "--agent-wait", "100ms")...)
	at, err := url.Parse(a.Process.MustBeReady(t))
	if err != nil {
		t.Fatal(err)
	}
	a.at.Store(at)
}

// AgentArgs is the command line of an agent for a component.
func (a *RemoteAgents) AgentArgs(component string, more ...string) []string {
	return append([]string{a.Program, "agent", "--portal", a.ProxyURL, "--component", component, "--dags", a.Mount(component), "--reserve", "0"}, more...)
}

// Mount is the folder of a component's mount.
func (a *RemoteAgents) Mount(component string) string {
	return filepath.Join(a.Dir, "mounts", component)
}

// StartAgent starts an agent for a component.
func (a *RemoteAgents) StartAgent(t *testing.T, component string, more ...string) *Process {
	t.Helper()
	argv := append([]string{"env", "SLIPWAY_TOKEN=" + a.AgentToken}, a.AgentArgs(component, more...)...)
	return Launch(t, a.Dir, argv...)
}

// Upload deploys files by the API. The answer comes when the deploy runs, or after
// wait, such as "60s".
func (a *RemoteAgents) Upload(ctx context.Context, files map[string]string, wait string) (status int, body string, err error) {
	at := fmt.Sprintf("%s/v1/organizations/%s/deployments/%s/deploys/upload?wait=%s", a.at.Load(), a.OrganizationID, a.DeploymentID, wait)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(ArchiveOf(files)))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+a.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// MustDeploy uploads files and waits until every agent runs the version.
func (a *RemoteAgents) MustDeploy(t *testing.T, files map[string]string) {
	t.Helper()
	status, text, err := a.Upload(t.Context(), files, "60s")
	if err != nil || status != http.StatusOK || !strings.Contains(text, "DEPLOYED") {
		t.Fatalf("answer %d, %v: %s", status, err, text)
	}
}

// Holds reports whether a mounted file of a component has the text want.
func (a *RemoteAgents) Holds(component, file, want string) bool {
	b, err := os.ReadFile(filepath.Join(a.Mount(component), "current", "dags", file))
	return err == nil && string(b) == want
}

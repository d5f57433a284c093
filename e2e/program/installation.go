package program

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// Setup is the output of slipway init --json.
type Setup struct {
	OrganizationID string
	WorkspaceID    slipway.WorkspaceID
	DeploymentID   slipway.DeploymentID
	Token          string // for the API, as Owner
	AgentToken     string // for agents of the Deployment
}

// Init runs slipway init on a data folder: Ada, the Workspace Data Platform and the
// Deployment sales-prod.
func Init(t *testing.T, data string, more ...string) (s Setup) {
	t.Helper()
	args := append([]string{"init", "--data", data, "--email", "ada@example.com", "--workspace", "Data Platform", "--deployment", "sales-prod", "--password-stdin", "--json"}, more...)
	text, err := Run(t, storetest.Password+"\n", args...)
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Installation is the binary after slipway init, running as a portal.
type Installation struct {
	Setup
	Data, Namespace string
	Base            string // the address for clients
	Client          *http.Client
	Process         *Process
}

// Install sets up a portal and starts the binary with args. For the scheme https,
// Base is a proxy in front of the portal.
func Install(t *testing.T, scheme string, args ...string) *Installation {
	t.Helper()
	in := SetUp(t)
	in.Start(t, scheme, args)
	t.Cleanup(func() {
		in.Client.CloseIdleConnections()
		in.Process.logIfFailed(t)
	})
	return in
}

// SetUp makes a data folder with slipway init and its flags more, and starts
// nothing.
func SetUp(t *testing.T, more ...string) *Installation {
	t.Helper()
	in := &Installation{Data: filepath.Join(t.TempDir(), "data"), Client: http.DefaultClient}
	in.Setup = Init(t, in.Data, more...)
	st := storetest.OpenAt(t, filepath.Join(in.Data, datadir.Database))
	storetest.View(t, st, func(tx *store.Tx) error {
		d, err := tx.LoadDeployment(in.DeploymentID)
		in.Namespace = d.Namespace
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return in
}

// Start starts the portal.
func (in *Installation) Start(t *testing.T, scheme string, args []string) {
	t.Helper()
	program := Build(t, "slipway")
	if scheme == "http" {
		in.Process = Launch(t, t.TempDir(), ServeArgs(program, in.Data, args...)...)
		in.Base = in.Process.MustBeReady(t)
		return
	}
	at := FreeAddress(t)
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: at})
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	in.Base, in.Client = proxy.URL, proxy.Client()
	more := append([]string{"--url", proxy.URL, "--trusted-proxies", "127.0.0.0/8", "--listen", at}, args...)
	in.Process = Launch(t, t.TempDir(), ServeArgs(program, in.Data, more...)...)
	if base := in.Process.MustBeReady(t); base != in.Base {
		t.Fatalf("the portal is ready on %s, want %s", base, in.Base)
	}
}

// FreeAddress returns an address without a listener.
func FreeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Mounted returns a file of the mount, "" for none.
func (in *Installation) Mounted(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(in.Data, "mounts", in.Namespace, "current", "dags", name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// installation is the built program, set up from the command line, as the astro
// CLI finds it.
type installation struct {
	initOutput
	data, namespace string
	base            string
	client          *http.Client
	portal          *process
}

// install sets up a portal and starts it: on plain http, or behind a proxy that
// speaks https, which is where it says that it is.
func install(t *testing.T, scheme string, args ...string) *installation {
	t.Helper()
	in := &installation{data: filepath.Join(t.TempDir(), "data"), client: http.DefaultClient}
	in.setUp(t)
	in.start(t, scheme, args)
	t.Cleanup(func() {
		in.client.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the portal said:\n%s", in.portal.tail())
		}
	})
	return in
}

func (in *installation) setUp(t *testing.T) {
	t.Helper()
	text, err := call(t, password, "init", "--data", in.data, "--email", "ada@example.com", "--workspace", "Data Platform", "--deployment", "sales-prod", "--password-stdin", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &in.initOutput); err != nil {
		t.Fatal(err)
	}
	st := storetest.OpenAt(t, filepath.Join(in.data, datadir.Database))
	storetest.View(t, st, func(tx *store.Tx) error {
		d, err := tx.LoadDeployment(in.DeploymentID)
		in.namespace = d.Namespace
		return err
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

func (in *installation) start(t *testing.T, scheme string, args []string) {
	t.Helper()
	program := built(t, "slipway")
	if scheme == "http" {
		in.portal = launch(t, t.TempDir(), serveArgs(program, in.data, args...)...)
		in.base = in.portal.mustBeReady(t)
		return
	}
	at := freeAddress(t)
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: at})
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	in.base, in.client = proxy.URL, proxy.Client()
	more := append([]string{"--url", proxy.URL, "--trusted-proxies", "127.0.0.0/8", "--listen", at}, args...)
	in.portal = launch(t, t.TempDir(), serveArgs(program, in.data, more...)...)
	in.awaitReady(t)
}

// freeAddress returns an address that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// awaitReady waits until the portal says that it is where --url has it.
func (in *installation) awaitReady(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(in.portal.out.String(), "is ready on "+in.base+"\n") {
			return
		}
	}
	t.Fatalf("the portal is not ready:\n%s", in.portal.tail())
}

// mounted returns a file as Airflow sees it, "" for none.
func (in *installation) mounted(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(in.data, "mounts", in.namespace, "current", "dags", name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// astro returns the CLI of somebody with a token.
func (in *installation) astro(t *testing.T, token string) *astro {
	t.Helper()
	return &astro{T: t, in: in, token: token, org: "/v1/organizations/" + slipway.OrganizationID}
}

func (a *astro) deploymentPath() string {
	return fmt.Sprintf("%s/deployments/%s", a.org, a.in.DeploymentID)
}

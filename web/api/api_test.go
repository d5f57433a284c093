package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/agent"
	"slipway/internal/archive"
	"slipway/internal/auth"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
	"slipway/web"
)

// app is the whole portal, with a running engine and agents, on a real address.
type app struct {
	storetest.World
	store  *store.Store
	engine *deploy.Engine
	dir    string
	server *httptest.Server
	later  atomic.Int64 // how much the clock is ahead
	owner  string       // an Owner's API token
}

const orgPath = "/v1/organizations/slipway"

func newApp(t *testing.T) *app { return newAppOn(t, httptest.NewServer) }

func newAppOn(t *testing.T, serve func(http.Handler) *httptest.Server, change ...func(*deploy.Config)) *app {
	t.Helper()
	a := &app{dir: t.TempDir(), store: storetest.Open(t)}
	a.store.Now = func() time.Time { return time.Now().Add(time.Duration(a.later.Load())) }
	a.World = storetest.Seed(t, a.store)
	bundles, err := bundle.Open(a.dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg := deploy.Config{Dir: a.dir, Limits: archive.DefaultLimits(), MountTimeout: 30 * time.Second, Agent: "test"}
	for _, c := range change {
		c(&cfg)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	if cfg.Images, err = image.Open(image.Config{
		Dir: filepath.Join(a.dir, "registry"), Pushed: func(p image.Push) { a.engine.Pushed(p) },
		MayPush: func(ctx context.Context, repository, tag string) error { return a.engine.MayPush(ctx, repository, tag) },
	}, log); err != nil {
		t.Fatal(err)
	}
	if a.engine, err = deploy.New(a.store, bundles, cfg, log); err != nil {
		t.Fatal(err)
	}
	pages, err := web.New(a.store, a.engine, web.Config{Version: "test", Releases: []slipway.Release{"3.99-1"}}, log)
	if err != nil {
		t.Fatal(err)
	}
	a.server = serve(pages.Handler())
	t.Cleanup(a.server.Close)
	a.run(t, log)
	a.owner = a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Owner})
	return a
}

func (a *app) run(t *testing.T, log *slog.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- a.engine.Run(ctx, func(ctx context.Context, d slipway.Deployment, dir string, p *deploy.AgentPortal) error {
			return agent.New(agent.Config{Dir: dir, Component: slipway.EmbeddedComponent, Portal: p, Log: log}).Run(ctx)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// token makes an API token.
func (a *app) token(t *testing.T, of store.Token) (token string) {
	t.Helper()
	of.Name, of.CreatedBy = "ci", "Ada Lovelace"
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		token, _, err = auth.AddToken(tx, of)
		return err
	})
	return token
}

// login makes a login token of a person.
func (a *app) login(t *testing.T, who slipway.UserID) string {
	t.Helper()
	token := "swl_" + rand.Text()
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		return tx.AddLoginToken(store.LoginToken{
			Secret: auth.Fingerprint(token), Kind: store.LoginAccess, User: who, Login: token, ExpiresAt: tx.Now.Add(time.Hour),
		})
	})
	return token
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// send asks as the CLI does. body is JSON, "" for none.
func (a *app) send(t *testing.T, token, method, path, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, a.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("X-Astro-Client-Identifier", "cli")
	r.Header.Set("X-Astro-Client-Version", "1.45.0")
	r.Header.Set("User-Agent", "astro-cli/1.45.0")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return a.do(t, r)
}

func (a *app) do(t *testing.T, r *http.Request) answer {
	t.Helper()
	client := *a.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	w := answer{status: res.StatusCode, header: res.Header, text: string(b)}
	if strings.Contains(res.Header.Get("Content-Type"), "json") && !strings.HasPrefix(w.text, "[") && r.Method != http.MethodHead {
		if err := json.Unmarshal(b, &w.body); err != nil {
			t.Fatalf("%s %s: %s: %v", r.Method, r.URL, b, err)
		}
	}
	checkDescribed(t, r, w)
	return w
}

// get asks as an Owner's token, and wants 200 in JSON.
func (a *app) get(t *testing.T, path string) map[string]any {
	t.Helper()
	w := a.send(t, a.owner, "GET", path, "")
	wantOK(t, w)
	return w.body
}

func (a *app) post(t *testing.T, path, body string) answer {
	t.Helper()
	return a.send(t, a.owner, "POST", path, body)
}

func wantOK(t *testing.T, w answer) {
	t.Helper()
	if w.status != http.StatusOK || !strings.Contains(w.header.Get("Content-Type"), "json") {
		t.Fatalf("answer %d as %q, want 200 in JSON:\n%s", w.status, w.header.Get("Content-Type"), w.text)
	}
}

// wantRefused fails the test unless the answer is an error as the CLI reads it,
// with a part in its message.
func wantRefused(t *testing.T, w answer, status int, part string) {
	t.Helper()
	message, _ := w.body["message"].(string)
	if w.status != status || !strings.Contains(message, part) || w.body["statusCode"] != float64(status) || w.body["requestId"] == "" || message == "" {
		t.Fatalf("answer %d %q, want %d with %q:\n%s", w.status, message, status, part, w.text)
	}
}

func (a *app) sales() string { return orgPath + "/deployments/" + string(a.Sales.ID) }

// archiveOf returns a .tar.gz as the CLI packs it.
func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	packed := make(map[string]string, len(files))
	for name, text := range files {
		packed["dags/"+name] = text
	}
	return storetest.Archive(t, packed)
}

const dag = "from airflow import DAG\n"

// started is a deploy that was created and waits for its files.
type started struct{ id, url string }

// start creates a deploy as section 5 has it.
func (a *app) start(t *testing.T) started {
	t.Helper()
	w := a.post(t, a.sales()+"/deploys", `{"type":"DAG_ONLY","description":"by hand"}`)
	wantOK(t, w)
	return started{w.body["id"].(string), w.body["dagsUploadUrl"].(string)}
}

// put sends one request of the blob dialect.
func (a *app) put(t *testing.T, url string, body []byte, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "PUT", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return a.do(t, r)
}

// upload sends files whole and returns the version that they got.
func (a *app) upload(t *testing.T, d started, files map[string]string) string {
	t.Helper()
	w := a.put(t, d.url, archiveOf(t, files), "x-ms-blob-type", "BlockBlob")
	if w.status != http.StatusCreated || w.header.Get("x-ms-version-id") == "" {
		t.Fatalf("answer %d:\n%s", w.status, w.text)
	}
	return w.header.Get("x-ms-version-id")
}

func (a *app) finalize(t *testing.T, d started, version string) answer {
	t.Helper()
	return a.post(t, a.sales()+"/deploys/"+d.id+"/finalize", `{"dagTarballVersion":"`+version+`"}`)
}

// deployed takes files all the way until they are live.
func (a *app) deployed(t *testing.T, files map[string]string) started {
	t.Helper()
	d := a.start(t)
	wantOK(t, a.finalize(t, d, a.upload(t, d, files)))
	a.awaitDeployed(t, d)
	return d
}

// awaitDeployed returns a deploy once it is DEPLOYED.
func (a *app) awaitDeployed(t *testing.T, d started) map[string]any {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		w := a.get(t, a.sales()+"/deploys/"+d.id)
		if w["status"] == "DEPLOYED" {
			return w
		}
		if time.Now().After(end) || w["status"] == "FAILED" {
			t.Fatalf("deploy is %v (%v), want DEPLOYED", w["status"], w["reason"])
		}
	}
}

// mounted returns the text of a file as Airflow sees it, "" for none.
func (a *app) mounted(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(a.engine.MountDir(a.Sales), "current", "dags", name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

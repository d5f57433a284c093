package web

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/internal/archive"
	"slipway/internal/auth"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// app is the whole portal over a real database with the world of storetest.
type app struct {
	storetest.World
	store   *store.Store
	engine  *deploy.Engine
	server  *Server
	handler http.Handler
	log     *strings.Builder
	now     time.Time // of the store, unless zero
	stop    func()    // ends the engine, where it runs
}

func newApp(t *testing.T) *app {
	a := emptyApp(t, Config{Version: "1.2.3"})
	a.World = storetest.Seed(t, a.store)
	return a
}

// emptyApp is a portal that nobody has set up.
func emptyApp(t *testing.T, cfg Config) *app {
	t.Helper()
	return appOn(t, cfg, bundle.Open)
}

// appOn is emptyApp whose bundles are where open says.
func appOn(t *testing.T, cfg Config, open func(dir string) (*bundle.Store, error)) *app {
	t.Helper()
	a := &app{store: storetest.Open(t), log: &strings.Builder{}}
	a.store.Now = func() time.Time {
		if a.now.IsZero() {
			return time.Now()
		}
		return a.now
	}
	dir := t.TempDir()
	bundles, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(a.log, nil))
	if a.engine, err = deploy.New(a.store, bundles, deploy.Config{Dir: dir, Limits: archive.DefaultLimits(), MountTimeout: time.Minute}, log); err != nil {
		t.Fatal(err)
	}
	if a.server, err = New(a.store, a.engine, cfg, log); err != nil {
		t.Fatal(err)
	}
	a.handler = a.server.Handler()
	return a
}

// browser keeps cookies, as one does.
type browser struct {
	*app
	t       *testing.T
	cookies map[string]*http.Cookie
}

func (a *app) browser(t *testing.T) *browser {
	return &browser{app: a, t: t, cookies: map[string]*http.Cookie{}}
}

// as is a browser in which who has signed in, nobody if who is empty.
func (a *app) as(t *testing.T, who slipway.Actor) *browser {
	t.Helper()
	b := a.browser(t)
	if who.User == "" {
		return b
	}
	secret := rand.Text()
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.AddSession(auth.Fingerprint(secret), who.User) })
	b.cookies["slipway"] = &http.Cookie{Name: "slipway", Value: secret}
	return b
}

func (b *browser) signIn(email, password string) *httptest.ResponseRecorder {
	return b.post("/signin", "email", email, "password", password)
}

func (b *browser) get(path string) *httptest.ResponseRecorder {
	return b.do(httptest.NewRequest(http.MethodGet, path, nil))
}

// post sends a form of names and values.
func (b *browser) post(path string, pairs ...string) *httptest.ResponseRecorder {
	return b.do(postRequest(path, pairs...))
}

func postRequest(path string, pairs ...string) *http.Request {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func (b *browser) do(r *http.Request) *httptest.ResponseRecorder {
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/html,*/*;q=0.8")
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return w
}

// want fails the test unless the answer has the status and all parts.
func want(t *testing.T, w *httptest.ResponseRecorder, status int, parts ...string) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("answer %d to %s, want %d:\n%s", w.Code, w.Header().Get("Location"), status, text(w))
	}
	for _, part := range parts {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("the answer has no %q:\n%s", part, text(w))
		}
	}
}

// goesTo fails the test unless the answer sends the browser to path.
func goesTo(t *testing.T, w *httptest.ResponseRecorder, path string) {
	t.Helper()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != path {
		t.Fatalf("answer %d to %q, want 303 to %q:\n%s", w.Code, w.Header().Get("Location"), path, text(w))
	}
}

var tags = regexp.MustCompile(`(?s)<[^>]*>|\s+`)

// text is an answer without its markup.
func text(w *httptest.ResponseRecorder) string {
	return tags.ReplaceAllString(w.Body.String(), " ")
}

// events returns the actions in the audit trail of a Workspace, newest first.
func (a *app) events(t *testing.T, id slipway.WorkspaceID) []string {
	t.Helper()
	var actions []string
	storetest.View(t, a.store, func(tx *store.Tx) error {
		all, err := tx.AuditTrail(id, 0, 100)
		for _, e := range all {
			actions = append(actions, e.Action+" "+e.Target)
		}
		return err
	})
	return actions
}

// role returns who's role in a Workspace as it is stored.
func (a *app) role(t *testing.T, id slipway.WorkspaceID, who slipway.UserID) (r slipway.Role) {
	t.Helper()
	storetest.View(t, a.store, func(tx *store.Tx) error {
		m, err := tx.Member(id, who)
		if kind, _ := slipway.Explain(err); kind == slipway.NotFound {
			return nil
		}
		r = m.Role
		return err
	})
	return r
}

package agent

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"slipway/internal/agent/agenttest"
	"slipway/internal/slipway"
)

// redirecting answers every request with a redirect.
func redirecting(t *testing.T, status int, to func(path string) string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to(r.URL.RequestURI()), status)
	}))
	t.Cleanup(s.Close)
	return s
}

func remoteAt(t *testing.T, address string) *Remote {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRemote(RemoteConfig{URL: u, Token: func() (string, error) { return "swa_secret", nil }, Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// calls are all requests of an agent to its portal.
func calls(ctx context.Context, r *Remote) map[string]func() error {
	return map[string]func() error{
		"desired":  func() error { _, err := r.Desired(ctx, "a"); return err },
		"manifest": func() error { _, err := r.Manifest(ctx, one); return err },
		"frames": func() error {
			_, err := r.Frames(ctx, strings.Repeat("a", 64), 0, 10)
			return err
		},
		"report": func() error { return r.Report(ctx, slipway.Report{Component: "worker-0"}) },
		"log":    func() error { return r.Log(ctx, "worker-0", []string{"a"}) },
	}
}

// Whatever redirects the requests for a portal, the agent names the target and
// the address to use, and follows no such redirect.
func TestPortalThatMoved(t *testing.T) {
	var asked atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(target.Close)
	for name, tt := range map[string]struct {
		to     func(path string) string
		target string // as told, at least its beginning
		want   string
		bucket bool // with status 307 a file may be there
	}{
		"another host":    {func(path string) string { return target.URL + path }, target.URL + "/agent/v1/", ": start the agent with --portal " + target.URL + ".", false},
		"https":           {func(path string) string { return "https://portal.test" + path }, "https://portal.test/agent/v1/", ": start the agent with --portal https://portal.test.", false},
		"below a path":    {func(path string) string { return target.URL + "/slipway" + path }, target.URL + "/slipway/agent/v1/", "--portal " + target.URL + "/slipway.", false},
		"with a slash":    {func(path string) string { at, _, _ := strings.Cut(path, "?"); return target.URL + at + "/" }, target.URL + "/agent/v1/", "--portal " + target.URL + ".", false},
		"a password":      {func(path string) string { return "https://u:hunter2@portal.test" + path }, "https://portal.test/", "--portal https://portal.test.", false},
		"the site's top":  {func(string) string { return target.URL + "/" }, target.URL + ":", "if the portal is there now, start the agent with --portal " + target.URL + ";", true},
		"a sign-in":       {func(string) string { return target.URL + "/login?next=secret" }, target.URL + "/login:", "if people sign in there, let /agent/v1/ pass without.", true},
		"its own sign-in": {func(string) string { return "/login" }, "", "Let the proxy there pass /agent/v1/ on to the portal.", true},
		"itself":          {func(path string) string { return path }, "", "that is the same address again.", false},
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				from := redirecting(t, status, tt.to)
				for call, do := range calls(t.Context(), remoteAt(t, from.URL)) {
					if tt.bucket && status == 307 && (call == "manifest" || call == "frames") {
						continue
					}
					err := do()
					kind, text := slipway.Explain(err)
					if kind != slipway.Conflict || !strings.HasPrefix(text, "The portal's address "+from.URL+" redirects to "+tt.target) || !strings.Contains(text, tt.want) {
						t.Errorf("%s: %v, want %q", call, err, tt.want)
					}
					for _, secret := range []string{"since=", "secret", "hunter2"} {
						if err != nil && strings.Contains(err.Error(), secret) {
							t.Errorf("%s: %v shows %s", call, err, secret)
						}
					}
				}
			})
		}
	}
	if asked.Load() > 0 {
		t.Errorf("%d requests were sent on", asked.Load())
	}
}

// A bucket gets the request for a file, and never the token.
func TestRedirectToABucket(t *testing.T) {
	r := remoteAt(t, "https://portal")
	for name, tt := range map[string]struct {
		from, to string
		hops     int
		fail     bool
	}{
		"bucket":              {"https://portal/agent/v1/packs/a", "https://bucket/x/packs/a", 1, false},
		"the bucket's region": {"https://bucket/x/packs/a", "https://bucket-eu/x/packs/a", 2, false},
		"a manifest":          {"https://portal/agent/v1/manifests/v", "https://bucket/x", 1, false},
		"same host":           {"https://portal/agent/v1/packs/a", "https://portal/bucket/a", 1, false},
		"without encryption":  {"https://portal/agent/v1/packs/a", "http://bucket/x/packs/a", 1, true},
		"on and on":           {"https://bucket/x/packs/a", "https://bucket/y/packs/a", 5, true},
		"another portal":      {"https://portal/agent/v1/packs/a", "https://other/agent/v1/packs/a", 1, true},
		"another path":        {"https://portal/agent/v1/desired", "https://bucket/x", 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(t, tt.to)
			req.Response = &http.Response{StatusCode: http.StatusTemporaryRedirect}
			err := r.followToBucket(req, slices.Repeat([]*http.Request{request(t, tt.from)}, tt.hops))
			if (err != nil) != tt.fail || err == nil && req.Header.Get("Authorization") != "" {
				t.Errorf("error %v, token %q", err, req.Header.Get("Authorization"))
			}
		})
	}
}

func request(t *testing.T, at string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token")
	return req
}

// A proxy that takes the encryption away is not followed, and not advised.
func TestRedirectWithoutEncryption(t *testing.T) {
	from, to := request(t, "https://portal/agent/v1/desired"), request(t, "http://portal/agent/v1/desired")
	_, text := slipway.Explain(moved(from.URL, from.URL, to.URL))
	if !strings.Contains(text, "redirects to http://portal/agent/v1/desired: agents do not follow to an address without encryption.") || strings.Contains(text, "--portal") {
		t.Error(text)
	}
}

// A step before the start of Airflow ends at once with the sentence, unless DAGs
// are mounted; an agent tells its status.
func TestOnceAtAPortalThatMoved(t *testing.T) {
	from := redirecting(t, http.StatusMovedPermanently, func(path string) string { return "https://portal.test" + path })
	const want = "start the agent with --portal https://portal.test."
	dir := mountDir(t)
	cfg := configFor(dir, remoteAt(t, from.URL))
	if err := New(cfg).Once(t.Context()); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("once ends with %v, want %q", err, want)
	}
	p := agenttest.NewPortal(t)
	p.Wants(p.Put(t, one, "1"), nil)
	if err := New(configFor(dir, p)).Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := New(cfg).Once(t.Context()); err != nil {
		t.Errorf("with DAGs mounted, once ends with %v", err)
	}
	a := New(cfg)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	agenttest.Eventually(t, "the status says where the portal is", func() bool { return strings.HasSuffix(a.Status().Lost, want) })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

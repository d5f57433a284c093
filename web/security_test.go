package web

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	u, _ := url.Parse("https://slipway.example.com")
	for name, tt := range map[string]struct {
		header []string
		want   int
	}{
		"this page":            {header: []string{"Sec-Fetch-Site", "same-origin"}, want: http.StatusUnauthorized},
		"no browser":           {want: http.StatusUnauthorized},
		"--url":                {header: []string{"Origin", "https://slipway.example.com"}, want: http.StatusUnauthorized},
		"same host":            {header: []string{"Origin", "http://example.com"}, want: http.StatusUnauthorized},
		"another site":         {header: []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, want: http.StatusForbidden},
		"a neighbour":          {header: []string{"Sec-Fetch-Site", "same-site"}, want: http.StatusForbidden},
		"another site, old":    {header: []string{"Origin", "https://evil.example"}, want: http.StatusForbidden},
		"--url without scheme": {header: []string{"Origin", "http://slipway.example.com"}, want: http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			a := emptyApp(t, Config{URL: u})
			r := postRequest("/signin", "email", "ada@example.com")
			for i := 0; i < len(tt.header); i += 2 {
				r.Header.Set(tt.header[i], tt.header[i+1])
			}
			w := a.browser(t).do(r)
			if w.Code != tt.want {
				t.Fatalf("answer %d, want %d", w.Code, tt.want)
			}
			if tt.want == http.StatusForbidden {
				want(t, w, tt.want, "This was sent from another site", "<h1>Not allowed</h1>")
				if id := w.Header().Get("X-Request-Id"); id == "" || !strings.Contains(a.log.String(), "request="+id) || !strings.Contains(a.log.String(), "another site") {
					t.Errorf("request %q is not in the log with its reason:\n%s", id, a.log)
				}
			}
		})
	}
}

// Without --url the refusal says what to do where a proxy changes the host; with
// --url, which address to open.
func TestRefusalOfAnotherSiteNamesTheWayOut(t *testing.T) {
	u, _ := url.Parse("https://slipway.example.com")
	for name, tt := range map[string]struct {
		cfg  Config
		says string
	}{
		"no --url": {Config{}, "start Slipway with --url and the address that people open"},
		"--url":    {Config{URL: u}, "Open https://slipway.example.com and try again there."},
	} {
		t.Run(name, func(t *testing.T) {
			r := postRequest("/signin", "email", "ada@example.com")
			r.Header.Set("Origin", "http://slipway.corp") // a proxy that sends Host: 127.0.0.1:8888
			want(t, emptyApp(t, tt.cfg).browser(t).do(r), http.StatusForbidden, tt.says)
		})
	}
}

// The words of strangers about the scheme count for nothing: it stands in links
// that are handed to other people.
func TestScheme(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, tt := range map[string]struct {
		proxies []netip.Prefix
		peer    string
		header  []string
		want    string
	}{
		"direct":             {nil, "192.0.2.1:99", nil, "http"},
		"stranger":           {nil, "192.0.2.1:99", []string{"X-Forwarded-Proto", "https"}, "http"},
		"stranger, proxies":  {proxies, "192.0.2.1:99", []string{"X-Forwarded-Proto", "https"}, "http"},
		"other headers":      {proxies, "10.0.0.1:99", []string{"X-Forwarded-Ssl", "on", "X-Url-Scheme", "https", "X-Forwarded-Protocol", "https"}, "http"},
		"a proxy":            {proxies, "10.0.0.1:99", []string{"X-Forwarded-Proto", "https"}, "https"},
		"a proxy in IPv6":    {proxies, "[::ffff:10.0.0.1]:99", []string{"X-Forwarded-Proto", "HTTPS"}, "https"},
		"a proxy, no TLS":    {proxies, "10.0.0.1:99", []string{"X-Forwarded-Proto", "http"}, "http"},
		"a proxy's nonsense": {proxies, "10.0.0.1:99", []string{"X-Forwarded-Proto", "javascript"}, "http"},
	} {
		t.Run(name, func(t *testing.T) {
			a := emptyApp(t, Config{TrustedProxies: tt.proxies})
			e := a.server.router()
			e.GET("/where", func(c echo.Context) error { return c.String(http.StatusOK, a.server.address(c, "/x")) })
			r := httptest.NewRequest("GET", "/where", nil)
			r.RemoteAddr = tt.peer
			for i := 0; i < len(tt.header); i += 2 {
				r.Header.Set(tt.header[i], tt.header[i+1])
			}
			w := httptest.NewRecorder()
			e.ServeHTTP(w, r)
			if got := w.Body.String(); got != tt.want+"://example.com/x" {
				t.Errorf("the address is %q, want %s", got, tt.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Ada)
	for _, path := range []string{"/account", "/signin", "/nowhere", "/healthz", "/workspaces/" + string(a.Workspace.ID) + "/people"} {
		w := b.get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy":    contentPolicy,
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", path, w.Header().Get("Cache-Control"))
		}
	}
}

func TestPagesAreCompressed(t *testing.T) {
	a := newApp(t)
	r := httptest.NewRequest("GET", "/signin", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := a.browser(t).do(r)
	if got := w.Header().Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("Content-Encoding %q", got)
	}
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(z)
	if err != nil || !strings.Contains(string(page), "<h1>Sign in</h1>") {
		t.Errorf("page %q, %v", page, err)
	}
}

func TestErrors(t *testing.T) {
	a := newApp(t)
	e := a.server.router()
	e.GET("/panic", func(echo.Context) error { panic("at the disco") })
	e.POST("/large", func(echo.Context) error { return nil }, readForm)
	a.handler = e
	large := "name=" + strings.Repeat("x", maxForm)
	for name, tt := range map[string]struct {
		method, path, accept, body string
		htmx                       bool
		want                       int
		says                       string
		html                       bool
	}{
		"page":           {method: "GET", path: "/nowhere", accept: "text/html", want: 404, says: "There is nothing at this address.", html: true},
		"no page":        {method: "GET", path: "/nowhere", accept: "*/*", want: 404, says: "There is nothing at this address.\n"},
		"htmx":           {method: "GET", path: "/nowhere", accept: "text/html", htmx: true, want: 404, says: `role="alert"`, html: true},
		"method":         {method: "POST", path: "/healthz", accept: "text/html", want: 405, says: "This address does not take", html: true},
		"panic":          {method: "GET", path: "/panic", accept: "text/html", want: 500, says: "Something went wrong on our side.", html: true},
		"large form":     {method: "POST", path: "/large", accept: "text/html", body: large, want: 413, says: "too large", html: true},
		"broken form":    {method: "POST", path: "/large", accept: "text/html", body: "name=%zz", want: 422, says: "could not be read", html: true},
		"plain and head": {method: "HEAD", path: "/nowhere", accept: "text/html", want: 404},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			r.Header.Set("Accept", tt.accept)
			if tt.body != "" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if tt.htmx {
				r.Header.Set("HX-Request", "true")
			}
			w := a.browser(t).do(r)
			want(t, w, tt.want, tt.says)
			if html := strings.Contains(w.Body.String(), "<div"); html != tt.html {
				t.Errorf("HTML: %v", html)
			}
			if got := w.Header().Get("HX-Retarget"); (got == "#notice") != tt.htmx {
				t.Errorf("HX-Retarget %q", got)
			}
			id := w.Header().Get("X-Request-Id")
			if shown := strings.Contains(w.Body.String(), id); shown != (tt.want == 500) {
				t.Errorf("request id shown: %v", shown)
			}
			if !strings.Contains(a.log.String(), "request="+id) {
				t.Errorf("request id %s is not in the log", id)
			}
		})
	}
	want(t, a.as(t, a.Ada).get("/nowhere"), http.StatusNotFound, "Ada Lovelace", "Sign out")
	if !strings.Contains(a.log.String(), "at the disco") {
		t.Error("the panic is not in the log")
	}
}

func TestSecretsStayOutOfTheLog(t *testing.T) {
	a := emptyApp(t, Config{SetupSecret: "hush-hush"})
	b := a.browser(t)
	b.get("/setup/hush-hush")
	b.post("/setup/hush-hush", "password", "whisper it to me")
	b.get("/invitations/psst-psst")
	for _, secret := range []string{"hush-hush", "whisper", "psst-psst"} {
		if strings.Contains(a.log.String(), secret) {
			t.Errorf("%q is in the log:\n%s", secret, a.log)
		}
	}
}

// The log tells which API token asked, and never its secret.
func TestLogNamesTheToken(t *testing.T) {
	a := newApp(t)
	var secret string
	var token store.Token
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		secret, token, err = auth.AddToken(tx, store.Token{Name: "ci", CreatedBy: "Ada", Workspace: a.Workspace.ID, Role: slipway.Owner})
		return err
	})
	r := httptest.NewRequest(http.MethodGet, "/v1/organizations", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	want(t, a.browser(t).do(r), http.StatusOK)
	_, signature, _ := strings.Cut(secret, ".")
	if log := a.log.String(); !strings.Contains(log, "token="+string(token.ID)) || strings.Contains(log, signature) {
		t.Errorf("the log is:\n%s", log)
	}
}

func TestAddressOfTheClient(t *testing.T) {
	proxy := netip.MustParsePrefix("10.0.0.0/8")
	for name, tt := range map[string]struct {
		proxies            []netip.Prefix
		remote, xff, wants string
	}{
		"direct":              {remote: "192.0.2.1:1", wants: "192.0.2.1"},
		"header not believed": {remote: "10.0.0.1:1", xff: "192.0.2.9", wants: "10.0.0.1"},
		"by the proxy":        {proxies: []netip.Prefix{proxy}, remote: "10.0.0.1:1", xff: "192.0.2.9", wants: "192.0.2.9"},
		"past the proxy":      {proxies: []netip.Prefix{proxy}, remote: "192.0.2.1:1", xff: "192.0.2.9", wants: "192.0.2.1"},
		"loopback is none":    {proxies: []netip.Prefix{proxy}, remote: "127.0.0.1:1", xff: "192.0.2.9", wants: "127.0.0.1"},
		"forged part":         {proxies: []netip.Prefix{proxy}, remote: "10.0.0.1:1", xff: "198.51.100.1, 192.0.2.9, 10.0.0.2", wants: "192.0.2.9"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.remote
			if tt.xff != "" {
				r.Header.Set("X-Forwarded-For", tt.xff)
			}
			if got := ipExtractor(tt.proxies)(r); got != tt.wants {
				t.Errorf("address %s, want %s", got, tt.wants)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	a := newApp(t)
	b := a.browser(t)
	want(t, b.get("/healthz"), http.StatusOK, "ok")
	want(t, b.get("/readyz"), http.StatusServiceUnavailable, "not ready") // the engine does not run
	if !strings.Contains(a.log.String(), "the engine does not run yet") {
		t.Errorf("the log does not say why:\n%s", a.log)
	}
}

// Who may read why the portal is not ready: nobody from outside learns names or
// amounts.
func TestReasonsAreForTheOwnNetwork(t *testing.T) {
	behind := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for name, tt := range map[string]struct {
		proxies []netip.Prefix
		from    string
		header  []string
		near    bool
	}{
		"this machine":                       {from: "127.0.0.1", near: true},
		"this machine, IPv6":                 {from: "[::1]", near: true},
		"a private network":                  {from: "10.1.2.3", near: true},
		"a private network, IPv6":            {from: "[fd00::1]", near: true},
		"mapped into IPv6":                   {from: "[::ffff:192.168.1.2]", near: true},
		"elsewhere":                          {from: "198.51.100.7"},
		"elsewhere, IPv6":                    {from: "[2001:db8::1]"},
		"an unnamed proxy on this machine":   {from: "127.0.0.1", header: []string{"X-Forwarded-For", "127.0.0.1"}},
		"one that says so otherwise":         {from: "127.0.0.1", header: []string{"Forwarded", "for=127.0.0.1"}},
		"elsewhere, with a header":           {from: "198.51.100.7", header: []string{"X-Forwarded-For", "127.0.0.1"}},
		"a named proxy, for elsewhere":       {behind, "10.1.2.3", []string{"X-Forwarded-For", "198.51.100.7"}, false},
		"a named proxy, for a lie":           {behind, "10.1.2.3", []string{"X-Forwarded-For", "127.0.0.1, 198.51.100.7"}, false},
		"a named proxy, for the own network": {behind, "10.1.2.3", []string{"X-Forwarded-For", "192.168.1.2"}, true},
		"a named proxy for itself":           {behind, "10.1.2.3", nil, true},
		"no address":                         {from: "@"},
	} {
		t.Run(name, func(t *testing.T) {
			a := emptyApp(t, Config{TrustedProxies: tt.proxies})
			r := httptest.NewRequest(http.MethodGet, "/readyz", nil)
			r.RemoteAddr = tt.from + ":1234"
			for i := 0; i < len(tt.header); i += 2 {
				r.Header.Set(tt.header[i], tt.header[i+1])
			}
			if got := a.server.isNear(a.server.router().NewContext(r, httptest.NewRecorder())); got != tt.near {
				t.Errorf("near: %v, want %v", got, tt.near)
			}
		})
	}
}

func TestReadyWord(t *testing.T) {
	for want, err := range map[string]error{
		"disk":    slipway.Errorf(slipway.NoSpace, "15366 MiB are free."),
		"records": fmt.Errorf("ping: %w", store.ErrLocked),
		"storage": slipway.Errorf(slipway.Unavailable, "The bucket s3://secret cannot be reached."),
		"":        errors.New("the engine does not run yet"),
	} {
		if got := readyWord(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// A proxy that is not named is in the log, once, and few of them in all.
func TestUnnamedProxiesAreLogged(t *testing.T) {
	a := emptyApp(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.9/32")}})
	ask := func(from string, header ...string) {
		r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.RemoteAddr = from + ":1234"
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		a.handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	const text = "X-Forwarded-For is not believed"
	ask("10.0.0.9", "X-Forwarded-For", "192.0.2.1")
	ask("10.0.0.1")
	if strings.Contains(a.log.String(), text) {
		t.Errorf("the log warns without a reason:\n%s", a.log)
	}
	for range 3 {
		ask("10.0.0.1", "X-Forwarded-For", "192.0.2.1")
	}
	if n := strings.Count(a.log.String(), text); n != 1 || !strings.Contains(a.log.String(), "sender=10.0.0.1") {
		t.Errorf("%d warnings:\n%s", n, a.log)
	}
	for i := range 100 {
		ask(fmt.Sprintf("198.51.100.%d", i), "X-Forwarded-For", "192.0.2.1")
	}
	if n := strings.Count(a.log.String(), text); n != maxUnnamed {
		t.Errorf("%d warnings, want %d", n, maxUnnamed)
	}
}

package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/store"
	"slipway/store/storetest"
)

func TestSignIn(t *testing.T) {
	for name, tt := range map[string]struct {
		email, password, next string
		want                  int
		location              string
	}{
		"right":               {email: "ada@example.com", password: storetest.Password, want: http.StatusSeeOther, location: "/"},
		"other case":          {email: " Ada@Example.com ", password: storetest.Password, want: http.StatusSeeOther, location: "/"},
		"goes on":             {email: "ada@example.com", password: storetest.Password, next: "/account?x=1", want: http.StatusSeeOther, location: "/account?x=1"},
		"wrong password":      {email: "ada@example.com", password: "wrong horse battery", want: http.StatusUnauthorized},
		"unknown account":     {email: "nobody@example.com", password: storetest.Password, want: http.StatusUnauthorized},
		"no address":          {email: "ada", password: storetest.Password, want: http.StatusUnauthorized},
		"nothing":             {want: http.StatusUnauthorized},
		"to another site":     {email: "ada@example.com", password: storetest.Password, next: "https://evil.example", want: http.StatusSeeOther, location: "/"},
		"to another host":     {email: "ada@example.com", password: storetest.Password, next: "//evil.example/x", want: http.StatusSeeOther, location: "/"},
		"backslashes":         {email: "ada@example.com", password: storetest.Password, next: `/\evil.example`, want: http.StatusSeeOther, location: "/"},
		"a scheme, no host":   {email: "ada@example.com", password: storetest.Password, next: "javascript:alert(1)", want: http.StatusSeeOther, location: "/"},
		"a path without root": {email: "ada@example.com", password: storetest.Password, next: "evil.example", want: http.StatusSeeOther, location: "/"},
		"tab in the middle":   {email: "ada@example.com", password: storetest.Password, next: "/\t/evil.example", want: http.StatusSeeOther, location: "/"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newApp(t).browser(t)

			w := b.post("/signin", "email", tt.email, "password", tt.password, "next", tt.next)

			if w.Code != tt.want || w.Header().Get("Location") != tt.location {
				t.Errorf("answer %d to %q, want %d to %q", w.Code, w.Header().Get("Location"), tt.want, tt.location)
			}
			if tt.want != http.StatusSeeOther {
				want(t, w, tt.want, "Email address or password is wrong.")
			}
			in := b.get("/account").Code == http.StatusOK
			if in != (tt.want == http.StatusSeeOther) {
				t.Errorf("signed in: %v", in)
			}
		})
	}
}

func TestPagesAskToSignIn(t *testing.T) {
	a := newApp(t)
	for name, tt := range map[string]struct {
		method, path string
		header       []string
		want         int
		location     string
	}{
		"page":        {method: "GET", path: "/account?a=b", want: http.StatusSeeOther, location: "/signin?next=" + url.QueryEscape("/account?a=b")},
		"form":        {method: "POST", path: "/account", header: []string{"Referer", "http://example.com/account?a=b"}, want: http.StatusSeeOther, location: "/signin?next=" + url.QueryEscape("/account?a=b")},
		"other site":  {method: "POST", path: "/account", header: []string{"Referer", "http://evil.example/x"}, want: http.StatusSeeOther, location: "/signin?next=%2F"},
		"not a page":  {method: "GET", path: "/account", header: []string{"Accept", "*/*"}, want: http.StatusUnauthorized},
		"unknown one": {method: "GET", path: "/nowhere", want: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.path, nil)
			for i := 0; i < len(tt.header); i += 2 {
				r.Header.Set(tt.header[i], tt.header[i+1])
			}
			w := a.browser(t).do(r)
			if w.Code != tt.want || w.Header().Get("Location") != tt.location {
				t.Errorf("answer %d to %q, want %d to %q", w.Code, w.Header().Get("Location"), tt.want, tt.location)
			}
		})
	}
	r := httptest.NewRequest("GET", "/account", nil)
	r.Header.Set("HX-Request", "true")
	r.Header.Set("HX-Current-URL", "http://example.com/workspaces")
	if w := a.browser(t).do(r); w.Header().Get("HX-Redirect") != "/signin?next=%2Fworkspaces" || w.Code != http.StatusNoContent {
		t.Errorf("htmx: answer %d, HX-Redirect %q", w.Code, w.Header().Get("HX-Redirect"))
	}
}

func TestSignInIsSlowedPerAccount(t *testing.T) {
	a := newApp(t)
	a.now = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	b := a.browser(t)
	for range auth.AccountTries {
		want(t, b.signIn("ada@example.com", "wrong horse battery"), http.StatusUnauthorized)
	}
	w := b.signIn("ada@example.com", storetest.Password)
	want(t, w, http.StatusTooManyRequests, "Too many attempts. Try again in 1m0s.")
	if got := w.Header().Get("Retry-After"); got != "60" {
		t.Errorf("Retry-After %q, want 60", got)
	}
	want(t, b.signIn("eve@example.com", storetest.Password), http.StatusSeeOther)

	a.now = a.now.Add(auth.AccountPause)
	want(t, a.browser(t).signIn("ada@example.com", storetest.Password), http.StatusSeeOther)
	want(t, a.browser(t).signIn("ada@example.com", "wrong horse battery"), http.StatusUnauthorized)
}

// Somebody who guesses at Ada's password, from her network and from others, keeps
// neither her browser out nor one in another network.
func TestNobodyKeepsAdaSignedOut(t *testing.T) {
	a := newApp(t)
	a.now = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	known := a.browser(t)
	want(t, known.signIn("ada@example.com", storetest.Password), http.StatusSeeOther)
	want(t, known.post("/signout"), http.StatusSeeOther)
	from := func(b *browser, ip, password string) *httptest.ResponseRecorder {
		r := postRequest("/signin", "email", "ada@example.com", "password", password)
		r.RemoteAddr = ip + ":1234"
		return b.do(r)
	}
	for range 2 * auth.AccountTries {
		from(a.browser(t), "192.0.2.1", "wrong horse battery")
	}
	want(t, from(a.browser(t), "192.0.2.1", storetest.Password), http.StatusTooManyRequests)
	want(t, from(a.browser(t), "192.0.2.8", storetest.Password), http.StatusSeeOther)
	want(t, from(known, "192.0.2.1", storetest.Password), http.StatusSeeOther)
	audit := known.get(a.auditPath()).Body.String()
	for _, text := range []string{"could not sign in to the account", "signed in to the account", "Wrong password.", "192.0.2.1"} {
		if !strings.Contains(audit, text) {
			t.Errorf("the audit log does not say %q", text)
		}
	}
	if n := strings.Count(audit, "could not sign in"); n != 1 {
		t.Errorf("%d failed sign-ins in the audit log, want 1 of one network", n)
	}
}

// Wrong passwords for other accounts leave fewer tries to everybody behind the same
// address, and close the sign-in for nobody.
func TestSignInIsSlowedPerAddress(t *testing.T) {
	a := newApp(t)
	a.now = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	from := func(ip, email, password string) int {
		r := postRequest("/signin", "email", email, "password", password)
		r.RemoteAddr = ip + ":1234"
		return a.browser(t).do(r).Code
	}
	const wrong = "wrong horse battery"
	for i := range auth.AddressTries + 10 {
		if got := from("192.0.2.7", strings.Repeat("x", i+1)+"@example.com", wrong); got != http.StatusUnauthorized {
			t.Fatalf("try %d: answer %d", i, got)
		}
	}
	for i, want := range []int{http.StatusUnauthorized, http.StatusUnauthorized, http.StatusTooManyRequests} {
		if got := from("192.0.2.7", "last@example.com", wrong); got != want {
			t.Errorf("same address, try %d: answer %d, want %d", i, got, want)
		}
	}
	if got := from("192.0.2.7", "ada@example.com", wrong); got != http.StatusUnauthorized {
		t.Errorf("a typing mistake: answer %d", got)
	}
	if got := from("192.0.2.7", "ada@example.com", storetest.Password); got != http.StatusSeeOther {
		t.Errorf("the right password: answer %d", got)
	}
	for range 3 {
		if got := from("192.0.2.8", "last@example.com", wrong); got != http.StatusUnauthorized {
			t.Errorf("other address: answer %d, want 401", got)
		}
	}
}

func TestSignInChangesTheSession(t *testing.T) {
	a := newApp(t)
	b := a.browser(t)
	planted := &http.Cookie{Name: "slipway", Value: "planted-by-somebody"}
	b.cookies["slipway"] = planted
	b.signIn("ada@example.com", storetest.Password)
	first := b.cookies["slipway"].Value
	if first == planted.Value || len(first) < 50 {
		t.Fatalf("the session is %q", first)
	}
	b.signIn("ada@example.com", storetest.Password)
	second := b.cookies["slipway"]
	if second.Value == first {
		t.Error("signing in again kept the session's id")
	}
	old := a.browser(t)
	old.cookies["slipway"] = &http.Cookie{Name: "slipway", Value: first}
	want(t, old.get("/account"), http.StatusSeeOther)
	storetest.View(t, a.store, func(tx *store.Tx) error {
		if _, err := tx.Session(second.Value); err == nil {
			t.Error("the database holds what the cookie holds")
		}
		_, err := tx.Session(auth.Fingerprint(second.Value))
		return err
	})
	if !second.HttpOnly || second.SameSite != http.SameSiteLaxMode || second.Path != "/" {
		t.Errorf("cookie %v", second)
	}
}

func TestCookieOverHTTPS(t *testing.T) {
	u, _ := url.Parse("https://slipway.example.com")
	a := emptyApp(t, Config{URL: u})
	a.World = storetest.Seed(t, a.store)
	b := a.browser(t)
	b.signIn("ada@example.com", storetest.Password)
	c := b.cookies["__Host-slipway"]
	if c == nil || !c.Secure || c.Domain != "" || c.Path != "/" {
		t.Errorf("cookie %v of %v", c, b.cookies)
	}
}

func TestSessionsEnd(t *testing.T) {
	start := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		visits []time.Duration // since signing in, each of them good
		last   time.Duration
		want   int
	}{
		"in use":        {last: time.Hour, want: http.StatusOK},
		"idle":          {last: auth.SessionIdle + time.Minute, want: http.StatusSeeOther},
		"kept alive":    {visits: []time.Duration{6 * 24 * time.Hour}, last: 12 * 24 * time.Hour, want: http.StatusOK},
		"seen just now": {visits: []time.Duration{30 * time.Second}, last: auth.SessionIdle + 10*time.Second, want: http.StatusSeeOther},
		"too old": {
			visits: []time.Duration{6 * 24 * time.Hour, 12 * 24 * time.Hour, 18 * 24 * time.Hour, 24 * 24 * time.Hour, 29 * 24 * time.Hour},
			last:   auth.SessionLife + time.Minute, want: http.StatusSeeOther,
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.now = start
			b := a.as(t, a.Ada)
			for _, d := range tt.visits {
				a.now = start.Add(d)
				want(t, b.get("/account"), http.StatusOK)
			}
			a.now = start.Add(tt.last)
			want(t, b.get("/account"), tt.want)
		})
	}
}

func TestSignOut(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Ada)
	secret := b.cookies["slipway"].Value
	goesTo(t, b.post("/signout"), "/signin")
	want(t, b.get("/signin"), http.StatusOK, "You have signed out.")
	b.cookies["slipway"] = &http.Cookie{Name: "slipway", Value: secret}
	want(t, b.get("/account"), http.StatusSeeOther)
}

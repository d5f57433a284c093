package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"slipway/store"
	"slipway/store/storetest"
	"slipway/web/api"
)

func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// visit asks for a page in Ada's browser.
func (a *app) visit(t *testing.T, method, path string, form url.Values) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, a.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.AddCookie(&http.Cookie{Name: "slipway", Value: "ada"})
	return a.do(t, r)
}

func (a *app) exchange(t *testing.T, pairs ...string) answer {
	t.Helper()
	form := url.Values{"client_id": {"astro-cli"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", a.server.URL+"/auth/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.do(t, r)
}

// code lets the CLI act as Ada, as her browser does.
func (a *app) code(t *testing.T) string {
	t.Helper()
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		_, err := tx.Session(fingerprint("ada"))
		if err != nil {
			return tx.AddSession(fingerprint("ada"), a.Ada.User)
		}
		return nil
	})
	query := url.Values{
		"prompt": {"login"}, "audience": {"slipway"}, "client_id": {"astro-cli"}, "redirect_uri": {api.Callback}, "scope": {"openid profile email offline_access"},
		"response_type": {"code"}, "response_mode": {"query"}, "code_challenge": {challenge()}, "code_challenge_method": {"S256"},
	}
	page := a.visit(t, "GET", "/auth/authorize?"+query.Encode(), nil)
	if page.status != http.StatusOK || !strings.Contains(page.text, "Allow the astro CLI to act as you?") || !strings.Contains(page.text, "Ada Lovelace") {
		t.Fatalf("answer %d:\n%s", page.status, page.text)
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' http://localhost:12345;") {
		t.Errorf("policy %q", policy)
	}
	w := a.visit(t, "POST", "/auth/authorize", url.Values{"code_challenge": {challenge()}, "answer": {"allow"}})
	to, err := url.Parse(w.header.Get("Location"))
	if err != nil || w.status != http.StatusSeeOther || !strings.HasPrefix(to.String(), "http://localhost:12345/callback?") {
		t.Fatalf("answer %d to %s, %v", w.status, to, err)
	}
	return to.Query().Get("code")
}

// TestLogin is section 2c, and then 2b.
func TestLogin(t *testing.T) {
	a := newApp(t)
	config := a.send(t, "", "GET", "/private/v1alpha1/cli/auth-config", "")
	wantOK(t, config)
	if config.body["domainUrl"] != a.server.URL+"/auth/" || config.body["clientId"] == "" || config.body["audience"] == "" {
		t.Errorf("%v", config.body)
	}
	code := a.code(t)
	w := a.exchange(t, "code", code, "code_verifier", verifier, "grant_type", "authorization_code", "redirect_uri", api.Callback)
	wantOK(t, w)
	if w.body["expires_in"] != float64(3600) {
		t.Errorf("%v", w.body)
	}
	access, refresh := w.body["access_token"].(string), w.body["refresh_token"].(string)
	if u := a.send(t, access, "GET", "/auth/userinfo", ""); u.body["email"] != "ada@example.com" {
		t.Errorf("%v", u.text)
	}
	wantOK(t, a.send(t, access, "GET", "/v1/users/self?createIfNotExist=true", ""))
	orgs := a.send(t, access, "GET", "/v1/organizations?limit=100", "")
	wantOK(t, orgs)
	wantOK(t, a.send(t, access, "POST", a.sales()+"/deploys", `{"type":"DAG_ONLY","description":""}`))

	next := a.exchange(t, "grant_type", "refresh_token", "refresh_token", refresh)
	wantOK(t, next)
	wantOK(t, a.send(t, next.body["access_token"].(string), "GET", orgPath, ""))
	// A refresh token that comes again was stolen: all of this login ends.
	if again := a.exchange(t, "grant_type", "refresh_token", "refresh_token", refresh); again.status != http.StatusForbidden || again.body["error"] != "invalid_grant" {
		t.Errorf("answer %d: %s", again.status, again.text)
	}
	wantRefused(t, a.send(t, next.body["access_token"].(string), "GET", orgPath, ""), http.StatusUnauthorized, "Log in again")
}

func TestLoginRefusals(t *testing.T) {
	a := newApp(t)
	good := []string{"grant_type", "authorization_code", "redirect_uri", api.Callback, "code_verifier", verifier}
	for name, tt := range map[string]struct {
		change []string
		later  time.Duration
	}{
		"verifier":    {change: []string{"code_verifier", "another"}},
		"no verifier": {change: []string{"code_verifier", ""}},
		"callback":    {change: []string{"redirect_uri", "http://localhost:12345/other"}},
		"grant":       {change: []string{"grant_type", "password"}},
		"not a code":  {change: []string{"grant_type", "refresh_token", "refresh_token", "swl_x"}},
		"late":        {later: 61 * time.Second},
	} {
		code := a.code(t)
		a.later.Add(int64(tt.later))
		w := a.exchange(t, append(append(append([]string{}, good...), "code", code), tt.change...)...)
		if w.status < 400 || w.body["error"] == "" || w.body["error_description"] == "" || w.body["access_token"] != nil {
			t.Errorf("%s: answer %d: %s", name, w.status, w.text)
		}
	}
	code := a.code(t)
	wantOK(t, a.exchange(t, append(good, "code", code)...))
	if w := a.exchange(t, append(good, "code", code)...); w.status != http.StatusForbidden {
		t.Errorf("a code worked twice: %s", w.text)
	}
	w := a.visit(t, "POST", "/auth/authorize", url.Values{"code_challenge": {challenge()}, "answer": {"deny"}})
	if to := w.header.Get("Location"); !strings.HasPrefix(to, api.Callback+"?error=access_denied") || strings.Contains(to, "code=") {
		t.Errorf("denied, and sent to %s", to)
	}
	for _, query := range []string{
		"redirect_uri=https%3A%2F%2Fevil.example%2Fcallback&response_type=code&code_challenge_method=S256&code_challenge=x",
		"redirect_uri=" + url.QueryEscape(api.Callback) + "&response_type=token&code_challenge_method=S256&code_challenge=x",
		"redirect_uri=" + url.QueryEscape(api.Callback) + "&response_type=code&code_challenge_method=plain&code_challenge=x",
	} {
		if w := a.visit(t, "GET", "/auth/authorize?"+query, nil); w.status != http.StatusUnprocessableEntity || w.header.Get("Location") != "" {
			t.Errorf("%s: answer %d to %q", query, w.status, w.header.Get("Location"))
		}
	}
}

// A new password, or signing out everywhere, ends what the CLI may.
func TestLoginEndsWithSessions(t *testing.T) {
	a := newApp(t)
	token := a.login(t, a.Ada.User)
	wantOK(t, a.send(t, token, "GET", orgPath, ""))
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.EndSessions(a.Ada.User) })
	wantRefused(t, a.send(t, token, "GET", orgPath, ""), http.StatusUnauthorized, "Log in again")
}

// Refreshing does not prolong a login: it ends 30 days after the consent.
func TestLoginEndsAfterThirtyDays(t *testing.T) {
	a := newApp(t)
	w := a.exchange(t, "code", a.code(t), "code_verifier", verifier, "grant_type", "authorization_code", "redirect_uri", api.Callback)
	wantOK(t, w)
	for day := range 3 {
		a.later.Add(int64(10*24*time.Hour - time.Minute/3))
		w = a.exchange(t, "grant_type", "refresh_token", "refresh_token", w.body["refresh_token"].(string))
		wantOK(t, w)
		if life := w.body["expires_in"].(float64); day < 2 && life != 3600 || day == 2 && life > 61 {
			t.Errorf("an access token after %d days lasts %v s", 10*(day+1), life)
		}
	}
	access := w.body["access_token"].(string)
	wantOK(t, a.send(t, access, "GET", orgPath, ""))
	a.later.Add(int64(2 * time.Minute))
	wantRefused(t, a.send(t, access, "GET", orgPath, ""), http.StatusUnauthorized, "Log in again")
	if w := a.exchange(t, "grant_type", "refresh_token", "refresh_token", w.body["refresh_token"].(string)); w.status != http.StatusForbidden || w.body["error"] != "invalid_grant" {
		t.Errorf("answer %d: %s", w.status, w.text)
	}
}

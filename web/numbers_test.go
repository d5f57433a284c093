package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// numbers are what people and programs send for a number.
var numbers = []string{
	"9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551616", "2147483648", "4294967296",
	"-1", "0", "1", "007", "1e9", "0x10", "1.5", "+5", " 1", "２", "NaN", "-", strings.Repeat("9", 400),
}

// overflowing is how many of numbers, from the first, are beyond what sums of
// limits and offsets can hold; those are sent pair by pair as well.
const overflowing = 7

// inputNames returns the names of all values that handlers read from queries and
// forms, out of the source.
func inputNames(t *testing.T) []string {
	t.Helper()
	names := []string{"limit", "offset", "before", "after"} // read by other functions
	read := regexp.MustCompile(`(?:QueryParam|FormValue|queryNumber|wholeNumber|Get)\((?:c, )?"([a-zA-Z_]+)"`)
	for _, pattern := range []string{"*.go", "api/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range read.FindAllStringSubmatch(string(text), -1) {
				names = append(names, m[1])
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestNumbersEverywhere sends every kind of number to every route: in each part of
// the path, and for each name in the query or the form.
func TestNumbersEverywhere(t *testing.T) {
	a := newApp(t)
	a.run(t) // who uploads waits until the files are checked
	token := a.apiToken(t)
	names, params := inputNames(t), append(portalParams(t, a), ":deployment", string(a.Sales.ID), ":org", slipway.OrganizationID, ":number", "1", "*", "a.py")
	browser := a.as(t, a.Ada)
	send := func(method, path string, values url.Values) {
		t.Helper()
		body := ""
		if method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete {
			path += "?" + values.Encode()
		} else {
			body = values.Encode()
		}
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Tus-Resumable", "1.0.0")
		if w := browser.do(r); w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %s with %v: answer %d", method, path, values, w.Code)
		}
	}
	ask := httptest.NewRequest("GET", "/v1/organizations/slipway/workspaces?offset=9223372036854775807&limit=5", nil)
	ask.Header.Set("Authorization", "Bearer "+token)
	want(t, browser.do(ask), http.StatusOK, `"workspaces":[]`)
	for _, r := range a.server.router().Routes() {
		if strings.HasPrefix(r.Path, "/v2") || r.Path == "/signout" || strings.Contains(r.Path, "/live") || strings.Contains(r.Path, "/sessions/") {
			continue // the registry's own; or the session ends, or the answer does not
		}
		path := strings.NewReplacer(params...).Replace(r.Path)
		for i, n := range numbers {
			all := url.Values{}
			for _, name := range names {
				all.Set(name, n)
			}
			send(r.Method, path, all)
			send(r.Method, regexp.MustCompile(`:\w+|\*`).ReplaceAllString(r.Path, url.PathEscape(n)), all)
			if r.Method != http.MethodGet || i >= overflowing {
				continue
			}
			for _, pair := range [][2]string{{"limit", "offset"}, {"offset", "limit"}, {"before", ""}, {"after", ""}, {"from", "to"}, {"to", "from"}} {
				send(r.Method, path, url.Values{pair[0]: {n}, pair[1]: {"5"}})
			}
		}
	}
	a.stop() // the engine writes to the log as well
	if log := a.log.String(); strings.Contains(log, "panic") {
		t.Errorf("a number makes a panic:\n%s", log[strings.Index(log, "panic"):][:2000])
	}
}

// apiToken returns an API token of the Workspace, as Owner.
func (a *app) apiToken(t *testing.T) (token string) {
	t.Helper()
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		token, _, err = auth.IssueToken(tx, a.Ada, auth.NewToken{Name: "numbers", Workspace: a.Workspace.ID, Role: slipway.Owner})
		return err
	})
	return token
}

package web

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	// A hole is a blank before a sign, two blanks in a line, quotes around nothing, or an element without a text.
	hole    = regexp.MustCompile(`\S {2,}\S|\S [.,;:!?)](\s|$)|\( |""|“”|\(\)|%!`)
	missed  = regexp.MustCompile(`\s<(b|strong|em|code|q)( [^>]*)?>\s*</`)
	written = regexp.MustCompile(`(?s)<(pre|textarea|script|style|svg)\b.*?</(pre|textarea|script|style|svg)>`) // text of files
	markup  = regexp.MustCompile(`(?s)<[^>]*>`)

	fieldNames = regexp.MustCompile(`(?:FormValue|QueryParam)\("([a-z_]+)"\)`)
)

// holeIn returns the first part of a page that misses a word; "" for none.
func holeIn(page string) string {
	page = written.ReplaceAllString(page, "")
	if found := missed.FindString(page); found != "" {
		return found
	}
	for _, text := range markup.Split(page, -1) {
		for line := range strings.Lines(html.UnescapeString(text)) {
			if hole.MatchString(strings.TrimRight(line, "\n")) {
				return line
			}
		}
	}
	return ""
}

func TestHoleIn(t *testing.T) {
	for page, want := range map[string]bool{
		"<p>There is no Deployment “”.</p>":                     true,
		"<p>There is no Deployment (blank).</p>":                false,
		"<p>There is no Deployment .</p>":                       true,
		"<p>There is no Deployment  in it.</p>":                 true,
		"<p>There is no Deployment <code></code>.</p>":          true,
		"<p>There is no Deployment &#34;&#34;.</p>":             true,
		"<p>There is no <b>Deployment</b>.</p>\n   <p>Yes.</p>": false,
		"<pre>a  = 1 .</pre>":                                   false,
	} {
		if got := holeIn(page); (got != "") != want {
			t.Errorf("the hole in %q is %q", page, got)
		}
	}
}

// TestNoSentenceHasAHole sends blank values to every route: as each part of the address,
// as all fields, and as each field of the forms that routes take.
func TestNoSentenceHasAHole(t *testing.T) {
	fields := formFields(t)
	for _, row := range slices.Concat(portalAccess, pageAccess) {
		t.Run(row.route, func(t *testing.T) { testHoles(t, row, fields) })
	}
}

// testHoles sends blank values to a route, in a new world after each action that was
// carried out.
func testHoles(t *testing.T, row access, fields []string) {
	var a *app
	var params []string
	for _, ask := range blankRequests(row, fields) {
		if a == nil {
			a = newApp(t)
			params = append(append(portalParams(t, a), pageParams(t, a)...), ":version", "v", ":agent", "x", ":upload", "u", ":pack", "p")
		}
		b := a.as(t, a.Root)
		if r := ask(params); b.shown(t, r) < http.StatusBadRequest && r.Method != http.MethodGet {
			a = nil
		}
	}
}

// blankRequests are those with blank values to the route of row, for given values of
// the parameters of routes.
func blankRequests(row access, fields []string) (list []func(params []string) *http.Request) {
	method, route, _ := strings.Cut(row.route, " ")
	add := func(name, value, query string, form ...string) {
		list = append(list, func(params []string) *http.Request {
			path := strings.NewReplacer(append([]string{name, value}, params...)...).Replace(route) + query
			if method == http.MethodPost {
				return postRequest(path, form...)
			}
			return httptest.NewRequest(method, path, nil)
		})
	}
	for _, blank := range []string{"", " \t"} {
		for _, part := range strings.Split(route, "/") {
			if strings.HasPrefix(part, ":") || part == "*" {
				add(part, url.PathEscape(blank), "", row.form...)
			}
		}
		all := url.Values{}
		var pairs []string
		for _, name := range fields {
			all.Set(name, blank)
			pairs = append(pairs, name, blank)
		}
		add("#", "", "?"+all.Encode(), pairs...)
		for i := 0; i < len(row.form); i += 2 {
			one := slices.Clone(row.form)
			one[i+1] = blank
			add("#", "", "", one...)
		}
	}
	return list
}

// shown fails the test for a hole in the answer to r, or in the page that r leads to.
func (b *browser) shown(t *testing.T, r *http.Request) (status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	if strings.HasSuffix(r.URL.Path, "/live") { // it would go on and on
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	}
	defer cancel()
	w := b.do(r.WithContext(ctx))
	if found := holeIn(w.Body.String()); found != "" {
		t.Errorf("%s %s: answer %d with a hole: %q", r.Method, r.URL, w.Code, found)
	}
	if to := w.Header().Get("Location"); w.Code == http.StatusSeeOther && strings.HasPrefix(to, "/") {
		if found := holeIn(b.get(to).Body.String()); found != "" {
			t.Errorf("%s %s leads to a page with a hole: %q", r.Method, r.URL, found)
		}
	}
	return w.Code
}

// formFields returns the names of all fields that handlers read.
func formFields(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fieldNames.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) < 30 {
		t.Fatalf("only %d fields: %q", len(names), names)
	}
	return names
}

// An agent has a token of its own.
func TestNoSentenceForAgentsHasAHole(t *testing.T) {
	a := newApp(t)
	token, _ := a.agentToken(t, a.Sales.ID)
	for _, path := range []string{"/agent/v1/manifests/", "/agent/v1/manifests/%20", "/agent/v1/packs/%20", "/agent/v1/packs/", "/agent/v1/%20", "/v2/%20/manifests/%20", "/v2/token?scope=&service=", "/v2/token?scope=%20"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequest(method, path, strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer "+token)
			if w := a.browser(t).do(r); holeIn(w.Body.String()) != "" {
				t.Errorf("%s %s: answer %d with a hole: %s", method, path, w.Code, w.Body)
			}
		}
	}
}

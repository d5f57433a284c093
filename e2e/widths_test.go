package e2e

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// widths are those of a small phone, a tablet, a notebook and a large screen.
var widths = []int{360, 768, 1280, 1920}

// TestNoPageIsWiderThanItsWindow opens each page with the longest allowed names,
// tags, descriptions and people. A table too wide for the window scrolls by itself,
// or becomes rows; no page scrolls sideways.
func TestNoPageIsWiderThanItsWindow(t *testing.T) {
	t.Parallel()
	p, paths, admin := fullPortal(t)
	stretch(t, p.data)
	namesEveryRoute(t, paths, admin)
	for _, width := range widths {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			for who, pages := range map[string]map[string]string{"ada": paths, "root": admin} {
				page := open(t, p, options{width: width})
				signIn(t, page, who)
				for what, path := range pages {
					visit(t, page, path)
					over, err := page.Evaluate(tooWide)
					ok(t, err)
					if over != "" {
						t.Errorf("%s is too wide: %v", what, over)
					}
				}
			}
		})
	}
}

// otherRoutes are no pages of who is signed in: fragments, downloads and what programs
// ask for; and the pages of people who are not signed in, which other tests open.
var otherRoutes = regexp.MustCompile(`^(/|/docs|/favicon\.ico|/healthz|/readyz|/static/\*|/agent/.*|.*/(live|patch|log|archive|export)|/signin|/(setup|password|invitations)/:secret|/auth/authorize)$`)

// Rows of the tables of routes in web, and parameters in them.
var (
	routeRow   = regexp.MustCompile(`\{"GET ([^"]+)"`)
	routeParam = regexp.MustCompile(`:[a-z]+`)
)

// namesEveryRoute compares the paths of pages with the tables that say who may open
// which route: a new page is in both.
func namesEveryRoute(t *testing.T, pages ...map[string]string) {
	t.Helper()
	routes := 0
	for _, file := range []string{"routes_test.go", "routes_pages_test.go"} {
		text, err := os.ReadFile(filepath.Join("..", "web", file))
		ok(t, err)
		for _, row := range routeRow.FindAllStringSubmatch(string(text), -1) {
			routes++
			route := strings.ReplaceAll(routeParam.ReplaceAllString(row[1], `[^/]+`), "*", ".+")
			is := regexp.MustCompile("^" + route + `(\?.*)?$`)
			known := otherRoutes.MatchString(row[1])
			for _, some := range pages {
				for _, path := range some {
					known = known || is.MatchString(path)
				}
			}
			if !known {
				t.Errorf("no page of fullPortal is of the route %s", row[1])
			}
		}
	}
	if routes < 40 {
		t.Errorf("%d routes in the tables, want at least 40", routes)
	}
}

// tooWide tells how wide a page is, and which elements stand out of the window; ""
// for a page that fits.
const tooWide = `() => {
	document.querySelectorAll("details:not(.menu)").forEach((d) => { d.open = true; });
	const root = document.documentElement, wide = root.scrollWidth - root.clientWidth;
	if (wide <= 0) return "";
	const out = [...document.querySelectorAll("main *, header *, footer *")].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1);
	return wide + " px, by " + out.slice(-4).map((e) => e.outerHTML.slice(0, 90)).join(" | ");
}`

// stretch gives everything in a portal the longest allowed words, without a place to
// break a line.
func stretch(t *testing.T, data string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(data, "slipway.db"))
	ok(t, err)
	defer db.Close()
	name, text, tag := strings.Repeat("M", 80), strings.Repeat("Donaudampfschiff", 62), strings.Repeat("tag-", 32)
	for _, change := range []struct {
		query string
		args  []any
	}{
		{`PRAGMA busy_timeout = 10000`, nil},
		{`UPDATE users SET name = ?`, []any{name}},
		{`UPDATE workspaces SET name = substr(?, 1, 70) || substr(id, -10)`, []any{name}},
		{`UPDATE deployments SET name = substr(?, 1, 70) || substr(id, -10), description = ?, image_tag = ?, runtime = ?, image = 'sha256:' || ?`, []any{name, text, tag, "3.1-5", strings.Repeat("a", 64)}},
		{`UPDATE deploys SET by_name = ?, description = ?, git = json_object('Commit', ?, 'Branch', ?, 'URL', 'https://git.example.com/c'), reason = IIF(reason = '', '', ?)`, []any{name, text, strings.Repeat("9", 40), text[:200], text}},
		{`UPDATE deploys SET after = json_set(after, '$.Image', 'sha256:' || ?, '$.ImageTag', ?, '$.Runtime', '3.1-5') WHERE after <> ''`, []any{strings.Repeat("a", 64), tag}},
		{`UPDATE deploys SET kind = 'IMAGE_AND_DAG' WHERE number = 1`, nil},
		{`UPDATE tokens SET name = ?, created_by = ?`, []any{name, name}},
	} {
		if _, err := db.ExecContext(t.Context(), change.query, change.args...); err != nil {
			t.Fatalf("%s: %v", change.query, err)
		}
	}
}

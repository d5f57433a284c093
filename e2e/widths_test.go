package e2e

import (
	"database/sql"
	"fmt"
	"path/filepath"
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
	p, paths := fullPortal(t)
	stretch(t, p.data)
	for _, width := range widths {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			page := open(t, p, options{width: width})
			signIn(t, page, "ada")
			for what, path := range paths {
				visit(t, page, path)
				over, err := page.Evaluate(tooWide)
				ok(t, err)
				if over != "" {
					t.Errorf("%s is too wide: %v", what, over)
				}
			}
		})
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

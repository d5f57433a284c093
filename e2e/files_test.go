package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// changedFiles is a portal with a review of three changed files, the last one long.
func changedFiles(t *testing.T, opts options) person {
	t.Helper()
	files := maps.Clone(firstFiles)
	text := ""
	for n := range 90 {
		text += fmt.Sprintf("x%d = %d\n", n+1, n+1)
	}
	files["shop/long.py"], files["shop/wide.py"] = text, "y = 1\n"
	p := start(t, t.TempDir())
	page := open(t, p, opts)
	setUp(t, p, page)
	upload(t, page, files.archive(t, "project.tar.gz"))
	deployDAGs(t, page)
	follow(t, page, "sales-prod")
	files["shop/long.py"] = strings.Replace(text, "x45 = 45\n", "x45 = 'forty-five'\n", 1)
	files["shop/wide.py"] = "y = '" + strings.Repeat("wide ", 100) + "'\nz = 2\n"
	files["sales/orders.sql"] = "SELECT 2;\n"
	upload(t, page, files.archive(t, "project.tar.gz"))
	return page
}

// TestFilesByKeyboard: one list of files, of which one is open; n and p jump, Enter opens,
// v marks a file as viewed, and the mark is there after a reload.
func TestFilesByKeyboard(t *testing.T) {
	t.Parallel()
	page := changedFiles(t, options{bypassCSP: true})
	rows := page.GetByTestId("file")
	row := func(name string) playwright.Locator {
		return rows.Filter(playwright.LocatorFilterOptions{HasText: name})
	}
	key := func(name string) { ok(t, page.Keyboard().Press(name)) }
	ok(t, expect.Locator(rows).ToHaveCount(3))
	ok(t, expect.Locator(page.Locator(".filelist details[open]")).ToHaveCount(1))
	ok(t, expect.Locator(row("wide.py").Locator("tr.add .hl-s")).ToBeVisible())
	looksGood(t, page, "files")

	key("n")
	ok(t, expect.Locator(row("orders.sql").Locator("summary")).ToBeFocused())
	key("j")
	ok(t, expect.Locator(row("long.py").Locator("summary")).ToBeFocused())
	key("Enter")
	ok(t, expect.Locator(row("long.py").Locator("tr.add mark")).ToContainText("forty"))
	ok(t, row("long.py").GetByText("20 more above").Click())
	ok(t, expect.Locator(row("long.py").GetByText("x22 = 22")).ToBeVisible())
	ok(t, row("long.py").GetByText("all 21 lines").Click())
	ok(t, expect.Locator(row("long.py").GetByText("x1 = 1")).ToBeVisible())
	ok(t, expect.Locator(row("long.py").GetByText("20 more above")).ToHaveCount(0))

	ok(t, row("long.py").Locator("summary").Focus())
	key("v")
	ok(t, expect.Locator(row("long.py").GetByText("✓ viewed")).ToBeVisible())
	ok(t, expect.Locator(page.GetByText("1 of 3 viewed")).ToBeVisible())
	ok(t, expect.Locator(row("wide.py").Locator("summary")).ToBeFocused())
	key("p")
	ok(t, expect.Locator(row("long.py").Locator("summary")).ToBeFocused())
	follow(t, page, "Wrap lines")
	ok(t, expect.Locator(page.Locator(".card.wrapped")).ToBeVisible())
	follow(t, page, "Open all")
	ok(t, expect.Locator(page.Locator(".filelist details[open] .diff")).ToHaveCount(3))
	looksGood(t, page, "files-open")

	_, err := page.Reload()
	ok(t, err)
	ok(t, expect.Locator(page.GetByText("1 of 3 viewed")).ToBeVisible())
	ok(t, expect.Locator(page.Locator(".card.wrapped")).ToBeVisible())
}

// TestFilesWithoutScript: the same list by links alone.
func TestFilesWithoutScript(t *testing.T) {
	t.Parallel()
	page := changedFiles(t, options{noScript: true})
	row := page.GetByTestId("file").Filter(playwright.LocatorFilterOptions{HasText: "long.py"})
	ok(t, row.Locator("summary").Click())
	ok(t, row.GetByText("Show the difference").Click())
	ok(t, expect.Locator(row.Locator("tr.add mark")).ToContainText("forty"))
	ok(t, row.GetByText("20 more below").Click())
	ok(t, expect.Locator(row.GetByText("x68 = 68")).ToBeVisible())
	follow(t, page, "Side by side")
	ok(t, expect.Locator(row.Locator("td.add mark")).ToContainText("forty"))
	ok(t, expect.Locator(row.GetByText("x68 = 68").First()).ToBeVisible())
	follow(t, page, "Wrap lines")
	follow(t, page, "Open all")
	ok(t, expect.Locator(page.Locator(".filelist details[open] .diff")).ToHaveCount(3))
	follow(t, page, "Close all")
	ok(t, expect.Locator(page.Locator(".card.wrapped .filelist details[open]")).ToHaveCount(1))
}

package e2e

import (
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"
)

// TestTheHistoryAnswersQuestions looks for deploys, asks what was live, and
// compares versions.
func TestTheHistoryAnswersQuestions(t *testing.T) {
	t.Parallel()
	for name, noScript := range map[string]bool{"with scripts": false, "without scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir())
			page := open(t, p, options{noScript: noScript})
			setUp(t, p, page)
			deployTwice(t, page)
			follow(t, page, "Deploy history")
			searches(t, page)
			marksTheDay(t, page)
			asksWhatWasLive(t, page)
			compares(t, page)
		})
	}
}

// deployTwice makes a deploy, and one that changes, moves, adds and removes.
func deployTwice(t *testing.T, page person) {
	t.Helper()
	upload(t, page, firstFiles.archive(t, "project.tar.gz"))
	fill(t, page, "Description", "The first of all")
	deployDAGs(t, page)
	files := maps.Clone(firstFiles)
	files["sales/orders.py"] = strings.Replace(files["sales/orders.py"], "retries = 1", "retries = 4", 1)
	files["data/logo.bin"] = "\x00\x01\x02\xff\xfe"
	files["lib/hello.py"] = files["hello.py"]
	delete(files, "hello.py")
	files["long.sql"] = strings.Repeat("SELECT 1;\n", 500)
	follow(t, page, "sales-prod")
	upload(t, page, files.archive(t, "project.tar.gz"))
	fill(t, page, "Description", "Retries, and a move")
	if boxes := page.Locator("#review").GetByRole("checkbox"); noneOf(t, boxes) == 1 {
		ok(t, boxes.First().Check())
	}
	deployDAGs(t, page)
}

func noneOf(t *testing.T, l playwright.Locator) int {
	t.Helper()
	n, err := l.Count()
	ok(t, err)
	return n
}

func searches(t *testing.T, page person) {
	t.Helper()
	deploys := page.GetByTestId("deploy")
	ok(t, expect.Locator(deploys).ToHaveCount(2))
	fill(t, page, "Search", "retr")
	search(t, page)
	ok(t, expect.Locator(deploys).ToHaveCount(1))
	see(t, page, "1 filter")
	if u, err := url.Parse(page.URL()); err != nil || u.Query().Get("q") != "retr" {
		t.Errorf("the search is not in the address: %s", page.URL())
	}
	_, err := page.Reload()
	ok(t, err)
	ok(t, expect.Locator(deploys).ToHaveCount(1))
	_, err = page.GetByLabel("Status").SelectOption(playwright.SelectOptionValues{Values: &[]string{"failed"}})
	ok(t, err)
	search(t, page)
	see(t, page, "No deploy is like this")
	follow(t, page, "Clear")
	ok(t, expect.Locator(deploys).ToHaveCount(2))
}

// search asks for what the fields say; with scripts that happens by itself.
func search(t *testing.T, page person) {
	t.Helper()
	if page.noScript {
		press(t, page, "Show")
	}
}

// marksTheDay sees the shown day marked in the strip, and no other.
func marksTheDay(t *testing.T, page person) {
	t.Helper()
	marked := page.Locator(".strip a[aria-current]")
	ok(t, expect.Locator(marked).ToHaveCount(0))
	today, before := time.Now().UTC(), time.Now().UTC().AddDate(0, 0, -2)
	for _, day := range []time.Time{today, before} {
		if page.noScript || day == today { // a new page has them folded
			ok(t, page.GetByText("Dates, commit, what was live").Click())
		}
		fill(t, page, "From day (UTC)", day.Format(time.DateOnly))
		fill(t, page, "To day (UTC)", day.Format(time.DateOnly))
		search(t, page)
		ok(t, expect.Locator(marked).ToHaveCount(1))
		ok(t, expect.Locator(marked).ToHaveAttribute("data-day", day.Format(time.DateOnly)))
	}
	follow(t, page, "Show every day")
	ok(t, expect.Locator(marked).ToHaveCount(0))
}

func asksWhatWasLive(t *testing.T, page person) {
	t.Helper()
	ok(t, page.GetByText("Dates, commit, what was live").Click())
	fill(t, page, "What was live at (UTC)", time.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04:05"))
	search(t, page)
	then := page.GetByTestId("live-then")
	ok(t, expect.Locator(then).ToContainText("#2"))
	ok(t, expect.Locator(then).ToContainText("it still is"))
	fill(t, page, "What was live at (UTC)", "2001-01-01T00:00:07")
	search(t, page)
	ok(t, expect.Locator(then).ToContainText("nothing had been deployed yet"))
}

func compares(t *testing.T, page person) {
	t.Helper()
	follow(t, page, "Deploy history")
	press(t, page, "Compare")
	ok(t, expect.Page(page.Page).ToHaveTitle("Compare versions · sales-prod · Slipway"))
	visit(t, page, page.URL()+"&open=all")
	see(t, page, "from hello.py")
	see(t, page, "Binary")
	see(t, page, "Show all")
	ok(t, expect.Locator(page.Locator("tr.del mark")).ToHaveText("1"))
	ok(t, expect.Locator(page.Locator("tr.add mark")).ToHaveText("4"))

	follow(t, page, "Side by side")
	ok(t, expect.Locator(page.Locator("td.del mark")).ToHaveText("1"))
	ok(t, expect.Locator(page.Locator("td.add mark")).ToHaveText("4"))
	follow(t, page, "Swap")
	ok(t, expect.Locator(page.Locator("td.del mark")).ToHaveText("4"))
	see(t, page, "from lib/hello.py")

	fill(t, page, "From: number of a deploy", "1")
	fill(t, page, "To: number of a deploy", "#2")
	press(t, page, "Compare")
	see(t, page, "from hello.py")
	shared := page.URL()
	if u, err := url.Parse(shared); err != nil || u.Query().Get("from") != "1" || u.Query().Get("to") != "2" {
		t.Errorf("not an address to share: %s", shared)
	}
	visit(t, page, shared)
	see(t, page, "from hello.py")
}

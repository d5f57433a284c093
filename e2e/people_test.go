package e2e

import (
	"crypto/rand"
	"maps"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/playwright-community/playwright-go"

	"slipway/store/storetest"
)

// seeded is a portal with storetest's world in it.
func seeded(t *testing.T) (*portal, storetest.World) {
	t.Helper()
	data := t.TempDir()
	world := storetest.Seed(t, storetest.OpenAt(t, filepath.Join(data, "slipway.db")))
	return start(t, data), world
}

// TestSomebodyElseDeploysInBetween: what was read is no longer what would
// happen, so it is read anew.
func TestSomebodyElseDeploysInBetween(t *testing.T) {
	t.Parallel()
	p, world := seeded(t)
	ada, eve := open(t, p, options{}), open(t, p, options{})
	signIn(t, ada, "ada")
	signIn(t, eve, "eve")
	follow(t, ada, "sales-prod")
	upload(t, ada, firstFiles.archive(t, "project.tar.gz"))
	deployDAGs(t, ada)

	mine := maps.Clone(firstFiles)
	mine["mine.py"] = "# eve's\n"
	follow(t, eve, "sales-prod")
	upload(t, eve, mine.archive(t, "project.tar.gz"))
	see(t, eve, "against #1")

	follow(t, ada, "sales-prod")
	upload(t, ada, tree{"theirs.py": "# ada's\n"}.file(t, "theirs.py"))
	deployDAGs(t, ada)

	agree(t, eve, "Deploy DAGs")
	see(t, eve, "against #3")
	see(t, eve, "Ada Lovelace")
	see(t, eve, "theirs.py")
	mountOf(t, p.data, world.Sales.Namespace).has(t, "theirs.py") // nothing moved yet
	agree(t, eve, "Deploy DAGs")
	deployed(t, eve)
	mountOf(t, p.data, world.Sales.Namespace).holds(t, mine)
}

// TestOtherTabsFollow: a page that is open shows somebody else's deploy by
// itself.
func TestOtherTabsFollow(t *testing.T) {
	t.Parallel()
	p, _ := seeded(t)
	ada, mia := open(t, p, options{}), open(t, p, options{})
	signIn(t, mia, "mia")
	follow(t, mia, "sales-prod")
	see(t, mia, "No deploys yet.")

	signIn(t, ada, "ada")
	follow(t, ada, "sales-prod")
	upload(t, ada, firstFiles.archive(t, "project.tar.gz"))
	deployDAGs(t, ada)

	ok(t, expect.Locator(mia.GetByTestId("deploy")).ToHaveCount(1))
	ok(t, expect.Locator(mia.GetByTestId("deploy")).ToContainText("LIVE"))
	ok(t, expect.Locator(mia.GetByRole("button", playwright.PageGetByRoleOptions{Name: "Upload and check"})).ToHaveCount(0))
}

// TestUploadGoesOnAfterAReload: what had arrived is not sent again.
func TestUploadGoesOnAfterAReload(t *testing.T) {
	t.Parallel()
	p, _ := seeded(t)
	page := open(t, p, options{})
	signIn(t, page, "eve")
	follow(t, page, "sales-prod")
	noise := make([]byte, 6<<20) // does not compress
	rand.Read(noise)
	archive := tree{"a.py": "# dag airflow\n", "big.bin": string(noise)}.archive(t, "big.tar.gz")

	throttle(t, page, 1<<20)
	ok(t, page.Locator("input[name=files]").SetInputFiles(archive))
	press(t, page, "Upload and check")
	ok(t, expect.Locator(page.GetByText(regexp.MustCompile(`[2-5]\.\d of 6\.\d MB`))).ToBeVisible())
	page.OnDialog(func(d playwright.Dialog) { _ = d.Accept() }) // "Leave this page?"
	_, err := page.Reload()
	ok(t, err)
	ok(t, expect.Locator(page.GetByText(regexp.MustCompile(`big\.tar\.gz.* stopped at`))).ToBeVisible())
	throttle(t, page, 0)
	upload(t, page, archive)
	see(t, page, "1 resume")
	deployDAGs(t, page)
}

// throttle limits what the page may send, in bytes a second; 0 lifts the limit.
func throttle(t *testing.T, page person, rate int) {
	t.Helper()
	if rate == 0 {
		rate = -1
	}
	s, err := page.Context().NewCDPSession(page.Page)
	ok(t, err)
	_, err = s.Send("Network.enable", nil)
	ok(t, err)
	_, err = s.Send("Network.emulateNetworkConditions", map[string]any{
		"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate,
	})
	ok(t, err)
}

// TestByKeyboardAlone deploys without ever touching a mouse.
func TestByKeyboardAlone(t *testing.T) {
	t.Parallel()
	p, world := seeded(t)
	page := open(t, p, options{})
	signIn(t, page, "ada")
	tabTo(t, page, "sales-prod")
	ok(t, page.Keyboard().Press("Enter"))
	arrive(t, page, `/deployments/[^/]+$`)
	ok(t, page.Locator("input[name=files]").SetInputFiles(firstFiles.archive(t, "project.tar.gz")))
	tabTo(t, page, "Upload and check")
	ok(t, page.Keyboard().Press("Enter"))
	arrive(t, page, `/deploys/[^/]+$`)
	see(t, page, "What this deploy will do")
	tabTo(t, page, "Deploy DAGs")
	ok(t, page.Keyboard().Press("Space"))
	deployed(t, page)
	mountOf(t, p.data, world.Sales.Namespace).holds(t, firstFiles)
}

// tabTo presses Tab until what has the focus is named so.
func tabTo(t *testing.T, page person, name string) {
	t.Helper()
	for range 80 {
		ok(t, page.Keyboard().Press("Tab"))
		text, err := page.Evaluate("document.activeElement.textContent.trim()")
		ok(t, err)
		if text == name {
			return
		}
	}
	t.Fatalf("no way to %q by keyboard on %s", name, page.URL())
}

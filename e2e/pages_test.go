package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"

	"slipway/store/storetest"
)

// looks are the ways in which every page is looked at.
var looks = map[string]options{
	"light-wide":   {width: 1280, bypassCSP: true},
	"dark-wide":    {width: 1280, bypassCSP: true, dark: true},
	"light-narrow": {width: 360, bypassCSP: true},
	"dark-narrow":  {width: 360, bypassCSP: true, dark: true},
}

// TestEveryPageInEveryLook opens each page wide and narrow, light and dark:
// axe finds nothing, nothing runs out of the window, and there is one h1. With
// E2E_SCREENSHOTS set to a folder it keeps a picture of each there.
func TestEveryPageInEveryLook(t *testing.T) {
	t.Parallel()
	p, paths, _ := fullPortal(t)
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := open(t, p, look)
			visit(t, page, "/signin")
			inspect(t, page, "signin", name)
			signIn(t, page, "ada")
			for what, path := range paths {
				visit(t, page, path)
				inspect(t, page, what, name)
			}
		})
	}
}

// fullPortal is a portal with a bit of everything, and the paths of its pages: those of
// an Owner, and those of Organization admins alone.
func fullPortal(t *testing.T) (p *portal, owner, admin map[string]string) {
	t.Helper()
	data := t.TempDir()
	st := storetest.OpenAt(t, filepath.Join(data, "slipway.db"))
	world := storetest.Seed(t, st)
	long := storetest.AddLongNames(t, st, world).Name
	p = start(t, data)
	page := open(t, p, options{})
	signIn(t, page, "ada")
	home := page.URL()
	follow(t, page, "sales-prod")
	deployment := strings.TrimPrefix(page.URL(), p.url)
	history(t, page)
	mended(t, page, deployment, "sales/orders.sql")

	version := filepath.Base(mountOf(t, data, world.Sales.Namespace).target(t))
	visit(t, page, home)
	follow(t, page, long)
	empty := strings.TrimPrefix(page.URL(), p.url)
	workspace := strings.TrimPrefix(home, p.url)
	visit(t, page, workspace+"/people")
	remove, err := page.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Remove Wolfe"}).GetAttribute("href")
	ok(t, err)
	visit(t, page, workspace+"/tokens")
	fill(t, page, "Name", strings.Repeat("a-very-long-name-", 4))
	press(t, page, "Make the token")
	see(t, page, "it is not shown again")
	revoke, err := page.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Revoke"}).First().GetAttribute("href")
	ok(t, err)
	visit(t, page, deployment+"/settings/agents")
	press(t, page, "Make an agent token")
	visit(t, page, deployment+"/settings/agents")
	end, err := page.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Revoke"}).First().GetAttribute("href")
	ok(t, err)
	admin = map[string]string{
		"admin": "/admin", "admin-people": "/admin/people", "admin-storage": "/admin/storage", "admin-backups": "/admin/backups",
		"admin-agents": "/admin/agents", "admin-audit": "/admin/audit", "admin-insights": "/admin/insights", "admin-workspaces": "/workspaces", "workspace-delete": workspace + "/delete",
		"admin-account": "/admin/people/" + filepath.Base(filepath.Dir(remove)),
	}
	return p, map[string]string{
		"deployments":    workspace,
		"new-deployment": workspace + "/deployments/new",
		"people":         workspace + "/people",
		"member-remove":  remove,
		"member-role":    strings.TrimSuffix(remove, "/remove") + "/role?role=Member",
		"audit":          workspace + "/audit",
		"tokens":         workspace + "/tokens",
		"token-revoke":   revoke,
		"token-rotate":   strings.TrimSuffix(revoke, "/revoke") + "/rotate",
		"registries":     workspace + "/registries",
		"agent-revoke":   end,
		"find":           deployment + "/versions/" + version + "/find?q=orders",
		"api":            "/v1/docs",
		"docs":           "/docs/operations.md",
		"docs-decision":  "/docs/decisions/004-sqlite.md",
		"audit-none":     workspace + "/audit?q=nothing&what=deploy&from=2026-01-01",
		"none-found":     workspace + "?q=nothing&show=attention",
		"workspaces":     "/workspaces",
		"account":        "/account",
		"overview":       deployment,
		"overview-empty": empty,
		"history":        deployment + "/deploys",
		"history-empty":  empty + "/deploys",
		"history-found":  deployment + "/deploys?q=ada&status=deployed&live_at=2001-01-01T00:00",
		"compare":        deployment + "/compare?from=1&to=2",
		"compare-split":  deployment + "/compare?from=1&to=2&view=split",
		"compare-file":   deployment + "/compare?from=1&to=2&file=sales/orders.py",
		"compare-never":  deployment + "/compare?from=1&to=3",
		"deploy":         deployment + "/deploys/2",
		"deploy-failed":  deployment + "/deploys/3",
		"deploy-staged":  deployment + "/deploys/4",
		"return":         deployment + "/deploys/1/return",
		"insights":       deployment + "/insights",
		"insights-year":  deployment + "/insights?days=365",
		"insights-month": workspace + "/insights?days=30",
		"insights-none":  empty + "/insights",
		"docs-insights":  "/docs/insights.md",
		"versions":       deployment + "/versions",
		"versions-empty": empty + "/versions",
		"version":        deployment + "/versions/" + version,
		"file":           deployment + "/versions/" + version + "/files/sales/orders.py",
		"file-history":   deployment + "/history/sales/orders.py?from=1&to=2",
		"file-changed":   deployment + "/history/sales/orders.sql",
		"fix":            deployment + "/fix/sales/orders.py",
		"deploy-fix":     deployment + "/deploys/5",
		"settings":       deployment + "/settings",
		"set-deploys":    deployment + "/settings/deploys",
		"set-airflow":    deployment + "/settings/airflow",
		"set-agents":     deployment + "/settings/agents",
		"set-images":     deployment + "/settings/images",
		"set-danger":     deployment + "/settings/danger",
		"switch":         deployment + "/switch?to=off",
		"not-found":      "/nowhere",
	}, admin
}

// history makes a deploy, a second one, one that is refused and one that waits.
func history(t *testing.T, page person) {
	t.Helper()
	files := maps.Clone(firstFiles)
	files["sales/"+strings.Repeat("a_long_folder_name/", 5)+"some_module_with_a_long_name.py"] = "x = 1\n"
	files["sales/"+strings.Repeat("n", 200)+".sql"] = "SELECT 1;\n"
	upload(t, page, files.archive(t, "project.tar.gz"))
	deployDAGs(t, page)
	files["sales/orders.py"] = "from airflow import DAG\n" + strings.Repeat("# a line that is changed\n", 30)
	files["Ünïcode <b>&amp;.sql"] = "SELECT '<script>alert(1)</script>';\n"
	delete(files, "data/logo.bin")
	delete(files, "hello.py")
	follow(t, page, "sales-prod")
	upload(t, page, files.archive(t, "project.tar.gz"))
	ok(t, page.GetByRole("checkbox").First().Check())
	deployDAGs(t, page)

	follow(t, page, "sales-prod")
	ok(t, page.Locator("input[name=files]").SetInputFiles(tree{"../evil.py": "x"}.archive(t, "evil.tar.gz")))
	press(t, page, "Upload and check")
	waitFor(t, page, page.GetByText("FAILED", playwright.PageGetByTextOptions{Exact: playwright.Bool(true)}).First())

	follow(t, page, "sales-prod")
	upload(t, page, firstFiles.archive(t, "project.tar.gz"))
}

// mended makes a deploy of one file in the portal.
func mended(t *testing.T, page person, deployment, path string) {
	t.Helper()
	visit(t, page, deployment+"/fix/"+path)
	fill(t, page, "Text", "from airflow import DAG\n"+strings.Repeat("# a line that is much longer than any line should be ", 8)+"\n")
	press(t, page, "Check the change")
	arrive(t, page, `/deploys/[^/]+$`)
	waitFor(t, page, page.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "What this deploy will do"}))
	deployDAGs(t, page)
}

func mountOf(t *testing.T, data, namespace string) mount {
	t.Helper()
	return mount(filepath.Join(data, "mounts", namespace))
}

func inspect(t *testing.T, page person, what, look string) {
	t.Helper()
	if dir := os.Getenv("E2E_SCREENSHOTS"); dir != "" {
		path := filepath.Join(dir, what+"-"+look+".png")
		_, err := page.Screenshot(playwright.PageScreenshotOptions{Path: &path, FullPage: playwright.Bool(true)})
		ok(t, err)
	}
	for _, v := range violations(t, page) {
		t.Errorf("%s: axe: %s", what, v)
	}
	over, err := page.Evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
	ok(t, err)
	if over != 0 {
		t.Errorf("%s runs %v px out of the window", what, over)
	}
	n, err := page.Locator("h1").Count()
	ok(t, err)
	if n != 1 {
		t.Errorf("%s has %d h1, want one", what, n)
	}
}

// violations returns what axe finds wrong with a page.
func violations(t *testing.T, page person) []string {
	t.Helper()
	script, err := filepath.Abs(filepath.Join(cache, "node_modules/axe-core/axe.min.js"))
	ok(t, err)
	_, err = page.AddScriptTag(playwright.PageAddScriptTagOptions{Path: &script})
	ok(t, err)
	found, err := page.Evaluate("async () => JSON.stringify((await axe.run()).violations)")
	ok(t, err)
	var all []struct {
		ID, Help string
		Nodes    []struct{ HTML string }
	}
	ok(t, json.Unmarshal([]byte(found.(string)), &all))
	var list []string
	for _, v := range all {
		list = append(list, fmt.Sprintf("%s: %s, %d times, as in %s", v.ID, v.Help, len(v.Nodes), v.Nodes[0].HTML))
	}
	return list
}

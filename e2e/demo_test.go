package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Who signs in: an administrator, who may see every page of the demo.
const demoEmail, demoPassword = "ines@example.com", "a year of deploys"

// TestDemo follows the links of a year of work to a page of every kind: axe
// finds nothing on them, and none is wider than its window.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := demo(t)
	t.Run("pictures", func(t *testing.T) {
		t.Parallel()
		takePictures(t, inDemo(t, p, options{width: 1280}))
	})
	for name, look := range map[string]options{
		"demo-light": {width: 1280, bypassCSP: true},
		"demo-dark":  {width: 360, bypassCSP: true, dark: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := inDemo(t, p, look)
			kinds := crawl(t, page, strings.TrimPrefix(page.URL(), p.url), func(kind string) { inspect(t, page, strings.ReplaceAll(kind, "/", "_"), name) })
			t.Logf("%d kinds of pages", kinds)
			if kinds < 20 {
				t.Errorf("links lead to %d kinds of pages, want at least 20", kinds)
			}
		})
	}
}

// inDemo is an administrator of the demo, on the list of Deployments.
func inDemo(t *testing.T, p *portal, look options) person {
	t.Helper()
	page := open(t, p, look)
	visit(t, page, "/signin")
	fill(t, page, "Email address", demoEmail)
	fill(t, page, "Password", demoPassword)
	press(t, page, "Sign in")
	arrive(t, page, `/workspaces/`)
	return page
}

// demo is a portal with the year of work of `make demo`.
func demo(t *testing.T) *portal {
	t.Helper()
	dir := t.TempDir()
	for _, each := range []string{dir, filepath.Dir(dir)} {
		ok(t, os.Chmod(each, 0o755)) //nolint:gosec // as on a machine where Airflow is another user
	}
	data := filepath.Join(dir, "demo")
	if out, err := exec.Command("go", "run", "../scripts/demo", "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("the year of work: %v\n%s", err, out)
	}
	return start(t, data, "--config", filepath.Join(data, "demo.yaml"))
}

// crawlEach is how many pages of a kind a crawl opens.
const crawlEach = 1

// crawl opens the page at path and all that links lead to, and calls seen on
// each. It returns the number of kinds of pages.
func crawl(t *testing.T, page person, path string, seen func(kind string)) int {
	t.Helper()
	opened, queue := map[string]int{}, []string{path}
	known := map[string]bool{path: true}
	for len(queue) > 0 {
		path, queue = queue[0], queue[1:]
		kind := pageKind(path)
		if opened[kind] == crawlEach {
			continue
		}
		opened[kind]++
		if _, err := page.Goto(path); err != nil {
			if strings.Contains(err.Error(), "Download is starting") {
				continue
			}
			t.Fatalf("%s: %v", path, err)
		}
		seen(kind)
		for _, link := range links(t, page) {
			if !known[link] {
				known[link] = true
				queue = append(queue, link)
			}
		}
	}
	return len(opened)
}

// links are the paths that a page links to on its own portal, downloads left out.
func links(t *testing.T, page person) (paths []string) {
	t.Helper()
	found, err := page.Evaluate(`Array.from(document.querySelectorAll("main a[href]:not([download]), header a[href]"))
		.filter(a => a.origin === location.origin && !a.getAttribute("href").startsWith("#")).map(a => a.pathname + a.search)`)
	ok(t, err)
	for _, each := range found.([]any) {
		paths = append(paths, each.(string))
	}
	return paths
}

// What tells pages of one kind apart: ids, versions, numbers, names of files.
var (
	pageID   = regexp.MustCompile(`[0-9a-z]{26}`)
	pagePart = regexp.MustCompile(`/(versions|compare|deploys)/[^/?]+`)
	pageFile = regexp.MustCompile(`/(files|history|fix|folders|docs)/[^?]+`)
)

// pageKind is the path of a page without what tells pages of one kind apart.
func pageKind(path string) string {
	path, query, _ := strings.Cut(path, "?")
	path = pageFile.ReplaceAllString(pagePart.ReplaceAllString(pageID.ReplaceAllString(path, "ID"), "/$1/X"), "/$1/X")
	if query != "" {
		path += "?"
	}
	return path
}

package e2e

import (
	"archive/tar"
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// plain writes the tree as a .tar, without a folder around, and returns the path.
func (f tree) plain(t *testing.T, name string) string {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, path := range slices.Sorted(maps.Keys(f)) {
		ok(t, tw.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(f[path]))}))
		_, err := tw.Write([]byte(f[path]))
		ok(t, err)
	}
	ok(t, tw.Close())
	return write(t, name, buf.String())
}

// TestChooseTheDagsFolder uploads a project with two folders of DAGs: the page asks, the
// choice can be changed, and the chosen files go live.
func TestChooseTheDagsFolder(t *testing.T) {
	t.Parallel()
	for name, noScript := range map[string]bool{"with scripts": false, "without scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir())
			page := open(t, p, options{noScript: noScript})
			setUp(t, p, page)
			dag := firstFiles["hello.py"]
			upload(t, page, tree{"one/dags/a.py": dag, "two/dags/b.py": dag + "\n", "README.md": "x"}.plain(t, "project.tar"))
			see(t, page, "Say above which folder of the archive is the dags folder.")
			for _, choice := range [][2]string{{"one/dags/ (1 DAG file)", "a.py"}, {"two/dags/ (1 DAG file)", "b.py"}} {
				ok(t, page.GetByLabel(choice[0]).Check())
				press(t, page, "Use this folder")
				waitFor(t, page, page.GetByText("It was chosen by").First())
				waitFor(t, page, page.Locator(".filelist").Filter(playwright.LocatorFilterOptions{HasText: choice[1]}).First())
			}
			deployDAGs(t, page)
			theMount(t, p).holds(t, tree{"b.py": dag + "\n"})
			see(t, page, "two/dags")
		})
	}
}

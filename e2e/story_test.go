package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/playwright-community/playwright-go"
)

// tree is a folder of files: contents by path.
type tree map[string]string

var firstFiles = tree{
	"hello.py":         "from airflow.decorators import dag\n\n\n@dag(schedule=None)\ndef hello():\n    pass\n\n\nhello()\n",
	"sales/orders.py":  "from airflow import DAG\n\nretries = 1\nwith DAG('orders') as dag:\n    pass\n",
	"sales/orders.sql": "SELECT 1;\n",
	"data/logo.bin":    "\x00\x01\x02\xff",
}

// TestFromNothingToAReturn is the whole story: a one-time link, a Deployment,
// an upload, what it will do, files where Airflow reads them, a history and the
// way back.
func TestFromNothingToAReturn(t *testing.T) {
	t.Parallel()
	for name, noScript := range map[string]bool{"with scripts": false, "without scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir())
			page := open(t, p, options{noScript: noScript})
			setUp(t, p, page)

			upload(t, page, firstFiles.archive(t, "project.tar.gz"))
			see(t, page, "+4")
			see(t, page, "orders.py")
			deployDAGs(t, page)
			mount := theMount(t, p)
			mount.holds(t, firstFiles)
			first := mount.target(t)

			changed := maps.Clone(firstFiles)
			changed["sales/orders.py"] = "from airflow import DAG\n\nretries = 4\nwith DAG('orders') as dag:\n    pass\n"
			follow(t, page, "sales-prod")
			orders := changed.file(t, "sales/orders.py")
			ok(t, page.Locator("input[name=files]").SetInputFiles(orders))
			openFolderField(t, page)
			fill(t, page, "Folder inside dags/", "sales")
			upload(t, page, orders)
			see(t, page, "~1")
			see(t, page, "retries = 4")
			deployDAGs(t, page)
			mount.holds(t, changed)
			if _, err := os.Stat(first); err != nil {
				t.Errorf("the version before is gone: %v", err)
			}

			follow(t, page, "Deploy history")
			ok(t, expect.Locator(page.GetByTestId("deploy")).ToHaveCount(2))
			fromMenu(t, page, "1", "Return to #1")
			see(t, page, "retries = 1")
			fill(t, page, "Reason (optional)", "too many retries")
			agree(t, page, "Return to #1")
			deployed(t, page)
			see(t, page, "too many retries")
			mount.holds(t, firstFiles)
			if again := mount.target(t); again != first {
				t.Errorf("current is %s after the return, want the old version's folder %s", again, first)
			}
		})
	}
}

func setUp(t *testing.T, p *portal, page person) {
	t.Helper()
	visit(t, page, p.setupLink(t))
	fill(t, page, "Email address", "ada@example.com")
	fill(t, page, "Name", "Ada Lovelace")
	fill(t, page, "Password", password)
	fill(t, page, "Workspace", "Data Platform")
	fill(t, page, "Deployment", "sales-prod")
	press(t, page, "Set up Slipway")
	arrive(t, page, `/deployments/[^/]+$`)
	see(t, page, "Nothing is deployed yet.")
}

// upload chooses files on an Overview page and waits for what they will do.
func upload(t *testing.T, page person, files ...string) {
	t.Helper()
	ok(t, page.Locator("input[name=files]").SetInputFiles(files))
	press(t, page, "Upload and check")
	arrive(t, page, `/deploys/[^/]+$`)
	waitFor(t, page, page.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "What this deploy will do"}))
}

// deployDAGs confirms, and waits until the deploy is live.
func deployDAGs(t *testing.T, page person) {
	t.Helper()
	agree(t, page, "Deploy DAGs")
	deployed(t, page)
}

func deployed(t *testing.T, page person) {
	t.Helper()
	waitFor(t, page, page.GetByText("DEPLOYED", playwright.PageGetByTextOptions{Exact: playwright.Bool(true)}).First())
}

// waitFor waits until something is on the page: live where scripts run, else
// by reloading, as a person would.
func waitFor(t *testing.T, page person, what playwright.Locator) {
	t.Helper()
	var err error
	for range 20 {
		if err = what.WaitFor(playwright.LocatorWaitForOptions{Timeout: playwright.Float(1000)}); err == nil {
			return
		}
		if page.noScript {
			_, err := page.Reload()
			ok(t, err)
		}
	}
	t.Fatalf("not on %s: %v", page.URL(), err)
}

func openFolderField(t *testing.T, page person) {
	t.Helper()
	ok(t, page.GetByText("Put the files into a folder inside dags/").Click())
}

// archive writes the tree, below dags/, as a .tar.gz and returns its path.
func (f tree) archive(t *testing.T, name string) string {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	for _, path := range slices.Sorted(maps.Keys(f)) {
		text, executable := strings.CutPrefix(f[path], "+x ")
		mode := int64(0o644)
		if executable {
			mode = 0o755
		}
		ok(t, tw.WriteHeader(&tar.Header{Name: "dags/" + path, Mode: mode, Size: int64(len(text))}))
		_, err := tw.Write([]byte(text))
		ok(t, err)
	}
	ok(t, tw.Close())
	ok(t, zw.Close())
	return write(t, name, buf.String())
}

// file writes one file of the tree, without its folder, and returns its path.
func (f tree) file(t *testing.T, path string) string {
	t.Helper()
	return write(t, filepath.Base(path), f[path])
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	ok(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// mount is where Airflow reads: <data>/mounts/<namespace>.
type mount string

// theMount returns the folder of p's only Deployment.
func theMount(t *testing.T, p *portal) mount {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(p.data, "mounts", "*"))
	ok(t, err)
	if len(dirs) != 1 {
		t.Fatalf("mounts %v, want one", dirs)
	}
	return mount(dirs[0])
}

// holds compares what Airflow would read with what was deployed, byte for byte.
func (m mount) holds(t *testing.T, want tree) {
	t.Helper()
	dags := os.DirFS(filepath.Join(m.target(t), "dags"))
	got := tree{}
	err := fs.WalkDir(dags, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(dags, path)
		got[path] = string(b)
		return err
	})
	ok(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("current/dags holds something else (-want +got):\n%s", diff)
	}
}

// target returns the folder that current points to.
func (m mount) target(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(filepath.Join(string(m), "current"))
	ok(t, err)
	return dir
}

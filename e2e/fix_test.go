package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/playwright-community/playwright-go"
)

// TestOneFileFix mends a file in the portal: edited, read, deployed, mounted,
// and brought into the repository by its patch; then its history is read.
func TestOneFileFix(t *testing.T) {
	t.Parallel()
	for name, noScript := range map[string]bool{"with scripts": false, "without scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir())
			page := open(t, p, options{noScript: noScript})
			setUp(t, p, page)
			files := maps.Clone(firstFiles)
			files["sales/windows.sql"] = "\r\nSELECT 1,\r\n  2;\r\n"
			files["sales/no newline.sql"] = "SELECT 3"
			files["sales/bom.sql"] = "\ufeffSELECT\u200b 5;\r\n"
			upload(t, page, files.archive(t, "project.tar.gz"))
			deployDAGs(t, page)

			late := open(t, p, options{noScript: noScript})
			signIn(t, late, "ada")
			openFix(t, late, "sales/", "windows.sql")

			openFix(t, page, "sales/", "bom.sql")
			see(t, page, "Encoding: UTF-8 with BOM. Line endings: CRLF. They stay as they are.")
			see(t, page, "Hidden: ZWSP (U+200B) in line 1")
			repository := files.repository(t)
			for path, change := range map[string][2]string{
				"sales/windows.sql":    {"SELECT 1,", "SELECT 10,"},
				"sales/no newline.sql": {"3", "30"},
				"sales/bom.sql":        {"5;", "50;"},
				"hello.py":             {"pass", "print('<b>&amp;</b>')"},
			} {
				mend(t, page, path, change[0], change[1])
				files[path] = strings.Replace(files[path], change[0], change[1], 1)
				theMount(t, p).holds(t, files)
				applyPatch(t, page, repository)
			}
			repository.holds(t, files)

			conflicts(t, late)
			files["sales/windows.sql"] = "\r\nSELECT 77;\r\n"
			theMount(t, p).holds(t, files)
			readsFileHistory(t, late)
		})
	}
}

// openFix goes from a Deployments page to the form that mends a file.
func openFix(t *testing.T, page person, names ...string) {
	t.Helper()
	follow(t, page, "sales-prod")
	follow(t, page, "Bundle versions")
	ok(t, page.GetByTestId("version").First().GetByRole("link").First().Click())
	for _, name := range names {
		follow(t, page, name)
	}
	follow(t, page, "Edit or replace")
	see(t, page, "Edit the text")
}

// mend changes a word of a file and deploys that.
func mend(t *testing.T, page person, path, old, next string) {
	t.Helper()
	folder, name := filepath.Split(path)
	if folder == "" {
		openFix(t, page, name)
	} else {
		openFix(t, page, folder, name)
	}
	text, err := page.GetByLabel("Text", playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)}).InputValue()
	ok(t, err)
	fill(t, page, "Text", strings.Replace(text, old, next, 1))
	fill(t, page, "Description", "Mended "+name)
	press(t, page, "Check the change")
	arrive(t, page, `/deploys/[^/]+$`)
	waitFor(t, page, page.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "What this deploy will do"}))
	see(t, page, "~1")
	see(t, page, "made in the portal")
	deployDAGs(t, page)
	waitFor(t, page, page.GetByText("Made in the portal: bring it into your repository."))
}

// conflicts sends an edit of a file that was changed since it was opened.
func conflicts(t *testing.T, page person) {
	t.Helper()
	fill(t, page, "Text", "\nSELECT 77;\n")
	press(t, page, "Check the change")
	see(t, page, "changed this file while you were at it")
	see(t, page, "What was changed meanwhile")
	see(t, page, "SELECT 10,")
	text, err := page.GetByLabel("Text", playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)}).InputValue()
	ok(t, err)
	if text != "\nSELECT 77;\n" {
		t.Fatalf("the form has %q now", text)
	}
	press(t, page, "Check the change")
	arrive(t, page, `/deploys/[^/]+$`)
	waitFor(t, page, page.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "What this deploy will do"}))
	deployDAGs(t, page)
}

// readsFileHistory goes from a deploy's changed file to the file's history.
func readsFileHistory(t *testing.T, page person) {
	t.Helper()
	follow(t, page, "history of sales/windows.sql")
	see(t, page, "History of windows.sql")
	ok(t, expect.Locator(page.GetByTestId("file-step")).ToHaveCount(3))
	press(t, page, "Compare")
	see(t, page, "SELECT 77;")
	for name, value := range map[string]string{"from": "1", "to": "6"} {
		_, err := page.Locator("select[name=" + name + "]").SelectOption(playwright.SelectOptionValues{Values: &[]string{value}})
		ok(t, err)
	}
	press(t, page, "Compare")
	see(t, page, "From #1 to #6")
	see(t, page, "SELECT 1,")
	ok(t, page.GetByTestId("file-step").Last().GetByRole("link", playwright.LocatorGetByRoleOptions{Name: "See the file"}).Click())
	see(t, page, "SELECT 1,")
	follow(t, page, "History")
	ok(t, page.GetByTestId("file-step").First().GetByRole("link", playwright.LocatorGetByRoleOptions{Name: "Difference"}).Click())
	see(t, page, "SELECT 77;")
}

// checkout is a repository whose dags folder is deployed.
type checkout string

func (f tree) repository(t *testing.T) checkout {
	t.Helper()
	dir := t.TempDir()
	for path, text := range f {
		name := filepath.Join(dir, "dags", path)
		ok(t, os.MkdirAll(filepath.Dir(name), 0o700))
		ok(t, os.WriteFile(name, []byte(text), 0o600))
	}
	c := checkout(dir)
	c.git(t, "init", "-q")
	return c
}

func (c checkout) git(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = string(c), append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// applyPatch downloads the patch of the deploy that is shown, and applies it.
func applyPatch(t *testing.T, page person, to checkout) {
	t.Helper()
	d, err := page.ExpectDownload(func() error {
		return page.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Download the patch"}).Click()
	})
	ok(t, err)
	patch := filepath.Join(t.TempDir(), "fix.patch")
	ok(t, d.SaveAs(patch))
	to.git(t, "apply", patch)
}

func (c checkout) holds(t *testing.T, want tree) {
	t.Helper()
	got := tree{}
	for path := range want {
		b, err := os.ReadFile(filepath.Join(string(c), "dags", path))
		ok(t, err)
		got[path] = string(b)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the repository holds something else (-want +got):\n%s", diff)
	}
}

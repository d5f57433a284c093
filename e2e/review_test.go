package e2e

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// started is a portal with a Deployment that has these files.
func started(t *testing.T, files tree) (*portal, person) {
	t.Helper()
	p := start(t, t.TempDir())
	page := open(t, p, options{bypassCSP: true})
	setUp(t, p, page)
	upload(t, page, files.archive(t, "project.tar.gz"))
	deployDAGs(t, page)
	follow(t, page, "sales-prod")
	return p, page
}

// ticks ticks all boxes of a review, after the browser refused to go on without them.
func ticks(t *testing.T, page person, want int) {
	t.Helper()
	boxes := page.Locator("#review input[type=checkbox]")
	ok(t, expect.Locator(boxes).ToHaveCount(want))
	before := page.URL()
	agree(t, page, "Deploy DAGs")
	if page.URL() != before {
		t.Errorf("deployed without ticks, on %s", page.URL())
	}
	for i := range want {
		ok(t, boxes.Nth(i).Check())
	}
}

// looksGood keeps pictures of a page, and holds the page to axe.
func looksGood(t *testing.T, page person, name string) {
	t.Helper()
	picturesOf(t, page, name)
	for _, v := range violations(t, page) {
		t.Errorf("%s: axe: %s", name, v)
	}
}

// TestGuardNamesWhatStops: each file that Airflow would no longer load is named, with
// the reason, before it happens.
func TestGuardNamesWhatStops(t *testing.T) {
	t.Parallel()
	var pack bytes.Buffer
	z := zip.NewWriter(&pack)
	_, err := z.Create("dag.py")
	ok(t, err)
	ok(t, z.Close())
	files := maps.Clone(firstFiles)
	files["pack.zip"], files["asset.py"], files["legacy/old.py"] = pack.String(), "from airflow.sdk import asset\n", firstFiles["hello.py"]
	_, page := started(t, files)

	changed := maps.Clone(files)
	delete(changed, "pack.zip")
	changed["hello.py"], changed[".airflowignore"] = "", "legacy/\n"
	changed["asset.py"] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
	upload(t, page, changed.archive(t, "project.tar.gz"))
	for _, text := range []string{
		"Yes, remove the DAG file pack.zip, and let Airflow stop loading 3 DAG files", "1 DAG file stays, and Airflow no longer loads it: a Git LFS pointer.asset.py",
		"no longer loads it: empty.hello.py", "no longer loads it: named by .airflowignore.legacy/old.py",
		"Yes, deploy 1 Git LFS pointer in place of the files themselves",
	} {
		ok(t, expect.Locator(page.Locator("#review")).ToContainText(text))
	}
	looksGood(t, page, "guard")
	ticks(t, page, 2)
	deployDAGs(t, page)

	follow(t, page, "sales-prod")
	follow(t, page, "Bundle versions")
	ok(t, page.GetByTestId("version").First().GetByRole("link").First().Click())
	rows := page.Locator("li", playwright.PageLocatorOptions{HasText: "DAG file"})
	texts, err := rows.AllInnerTexts()
	ok(t, err)
	if len(texts) != 0 {
		t.Errorf("DAG files at the root: %s", strings.Join(texts, ", "))
	}
}

// TestDeployOfNothing: an empty archive removes all DAGs, after the red consent.
func TestDeployOfNothing(t *testing.T) {
	t.Parallel()
	p, page := started(t, firstFiles)
	upload(t, page, tree{}.archive(t, "empty.tar.gz"))
	ok(t, expect.Locator(page.Locator("#review .problems .bad")).ToContainText("There is no DAG file in it"))
	looksGood(t, page, "nothing")
	ticks(t, page, 2)
	deployDAGs(t, page)
	theMount(t, p).holds(t, tree{})
	follow(t, page, "sales-prod")
	follow(t, page, "Bundle versions")
	ok(t, page.GetByTestId("version").First().GetByRole("link").First().Click())
	see(t, page, "There are no files in it.")
	looksGood(t, page, "no-files")
}

// TestReviewShowsHiddenCharacters: what the eye passes over is named in the review,
// in the file and in the patch.
func TestReviewShowsHiddenCharacters(t *testing.T) {
	t.Parallel()
	files := maps.Clone(firstFiles)
	files["latin.sql"], files["windows.sql"] = "-- caf\xe9\n", "SELECT 1;\nSELECT 2;\n"
	_, page := started(t, files)
	files["hello.py"] += "admin = 'user\u202e \u2066# only admins\u2069 \u2066'  # \u200b\n"
	files["windows.sql"], files["latin.sql"], files["sales/orders.sql"] = "SELECT 1;\r\nSELECT 2;\r\n", "-- café\n", "\ufeffSELECT 1;\n"
	upload(t, page, files.archive(t, "project.tar.gz"))
	follow(t, page, "Open all")
	review := page.Locator("main")
	for _, text := range []string{
		"user" + "RLO LRI" + "# only adminsPDI LRI", "ZWSP", "Line endings: changed from LF to CRLF", "SELECT 1;CR", "BOMSELECT 1;", "Encoding: changed from UTF-8 to UTF-8 with BOM",
		"Encoding: changed from unknown (shown as Latin-1) to UTF-8", "-- café", "in changed lines, which can make code look like other code",
	} {
		ok(t, expect.Locator(review).ToContainText(text))
	}
	looksGood(t, page, "hidden")
	ticks(t, page, 1)
	deployDAGs(t, page)

	follow(t, page, "sales-prod")
	openVersionFile(t, page, "hello.py")
	ok(t, expect.Locator(page.Locator(".code")).ToContainText("RLO"))
	looksGood(t, page, "hidden-file")
}

// openVersionFile goes from a Deployment's page to a file of the newest version.
func openVersionFile(t *testing.T, page person, name string) {
	t.Helper()
	follow(t, page, "Bundle versions")
	ok(t, page.GetByTestId("version").First().GetByRole("link").First().Click())
	follow(t, page, name)
}

// TestReviewNamesModes: a change of the mode is named as git names it, and 30 such changes
// take one line beside the change that counts.
func TestReviewNamesModes(t *testing.T) {
	t.Parallel()
	files := maps.Clone(firstFiles)
	for i := range 30 {
		files[fmt.Sprintf("bin/step%02d.sh", i)] = "echo\n"
	}
	_, page := started(t, files)
	for path, text := range files {
		if strings.HasPrefix(path, "bin/") {
			files[path] = "+x " + text
		}
	}
	files["sales/orders.sql"] = "SELECT 2;\n"
	upload(t, page, files.archive(t, "project.tar.gz"))
	fold := page.Locator("#changes").GetByTestId("modes")
	ok(t, expect.Locator(fold.Locator("summary")).ToHaveText("30 files differ by their mode alone: 100644 → 100755"))
	ok(t, expect.Locator(fold.GetByText("step07.sh")).ToBeHidden())
	ok(t, fold.Locator("summary").Click())
	ok(t, expect.Locator(fold.GetByText("step07.sh")).ToBeVisible())
	ok(t, expect.Locator(page.Locator("#review")).ToContainText("31 files change (30 by mode alone)"))
	looksGood(t, page, "modes")
	deployDAGs(t, page)

	files["bin/step07.sh"] = "echo\n"
	follow(t, page, "sales-prod")
	upload(t, page, files.archive(t, "project.tar.gz"))
	ok(t, expect.Locator(page.Locator("#changes")).ToContainText("mode 100755 → 100644"))
	ok(t, expect.Locator(page.Locator("main")).Not().ToContainText("+0 −0"))
	deployDAGs(t, page)
	ok(t, page.Locator("#changes summary").First().Click())
	ok(t, page.Locator("#changes a", playwright.PageLocatorOptions{HasText: "history"}).First().Click())
	ok(t, expect.Locator(page.GetByTestId("file-step").First()).ToContainText("mode 100755 → 100644"))
	looksGood(t, page, "modes-history")
}

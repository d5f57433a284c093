package e2e

import (
	"maps"
	"testing"
)

// TestReviewMarksNames: of two files that would look alike, the review shows which has a
// character that nobody sees, and asks for a tick.
func TestReviewMarksNames(t *testing.T) {
	t.Parallel()
	files := maps.Clone(firstFiles)
	files["bin/run.sh"] = "echo\n"
	_, page := started(t, files)
	files["sales/orders\u200b.py"] = files["sales/orders.py"]
	files["sales/or\u3164ders.py"] = files["sales/orders.py"]
	files["\u2800\ufe0f.py"] = files["sales/orders.py"]
	files["bin/run.sh"] = "+x echo\n"
	files["sales/orders.sql"] = "SELECT 2;\n"
	upload(t, page, files.archive(t, "project.tar.gz"))
	see(t, page, "Yes, deploy new files with characters in their names that nobody sees")
	ok(t, expect.Locator(page.Locator("#review")).ToContainText("sales/ordersZWSP.py"))
	ok(t, expect.Locator(page.Locator("#changes")).ToContainText("U+2800VS16.py"))
	inspectNarrow(t, page, "names")
	ticks(t, page, 1)
	deployDAGs(t, page)
	inspectNarrow(t, page, "names-done")
}

// inspectNarrow keeps pictures of a page, and holds the page to axe and to a phone's width.
func inspectNarrow(t *testing.T, page person, name string) {
	t.Helper()
	looksGood(t, page, name)
	ok(t, page.SetViewportSize(360, 900))
	inspect(t, page, name, "narrow")
	ok(t, page.SetViewportSize(1280, 900))
}

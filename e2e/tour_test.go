package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestTour is the README's tour, step by step, and takes its pictures: with
// E2E_SCREENSHOTS set they are kept there as tour-*.png.
func TestTour(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	page := open(t, p, options{width: 1100})
	setUp(t, p, page)

	ok(t, page.Locator("input[name=folder]").SetInputFiles("../examples/hello-dags"))
	fill(t, page, "Description", "Our first DAGs")
	picture(t, page, "tour-upload")
	press(t, page, "Upload and check")
	arrive(t, page, `/deploys/1$`)
	see(t, page, "What this deploy will do")
	see(t, page, "requirements.txt")
	picture(t, page, "tour-review")
	deployDAGs(t, page)
	theMount(t, p).has(t, "hello_slipway.py")

	changed := filepath.Join(t.TempDir(), "hello_slipway.py")
	text, err := os.ReadFile("../examples/hello-dags/dags/hello_slipway.py")
	ok(t, err)
	ok(t, os.WriteFile(changed, []byte(strings.Replace(string(text), "Hello", "Good morning", 1)), 0o600))
	follow(t, page, "sales-prod")
	upload(t, page, changed)
	see(t, page, "Good morning")
	picture(t, page, "tour-diff")
	deployDAGs(t, page)
	picture(t, page, "tour-deployed")

	follow(t, page, "sales-prod")
	see(t, page, "LIVE")
	picture(t, page, "tour-overview")
	fromMenu(t, page, "1", "Return to #1")
	agree(t, page, "Return to #1")
	deployed(t, page)
	visit(t, page, strings.Replace(page.URL(), "/deploys/3", "/switch?to=off", 1))
	see(t, page, "Turn off DAG-only deploys")
	picture(t, page, "tour-switch")
}

// has asks for a file that Airflow would read.
func (m mount) has(t *testing.T, path string) {
	t.Helper()
	_, err := os.Stat(filepath.Join(m.target(t), "dags", path))
	ok(t, err)
}

func picture(t *testing.T, page person, name string) {
	t.Helper()
	dir := os.Getenv("E2E_SCREENSHOTS")
	if dir == "" {
		return
	}
	path := filepath.Join(dir, name+".png")
	_, err := page.Screenshot(playwright.PageScreenshotOptions{Path: &path})
	ok(t, err)
}

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestReadme follows "Five minutes from nothing to a deployed DAG" by the words of the README, in
// order: each step's sentences are still there, and the page does what they say.
func TestReadme(t *testing.T) {
	t.Parallel()
	steps := readmeSteps(t)
	says := func(step int, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(steps[step], w) {
				t.Errorf("step %d of the README does not say %q any more: change this test with it", step, w)
			}
		}
	}
	p := start(t, t.TempDir())
	page := open(t, p, options{})

	says(2, "Open the second link.", "*On this machine*")
	setUp(t, p, page)

	says(3, "Drop your DAGs.", "You are on the Deployment's Overview", "`examples/hello-dags`", "press *Choose a folder*", "*Upload and check*")
	chooser, err := page.ExpectFileChooser(func() error { return page.GetByText("Choose a folder").Click() })
	ok(t, err)
	ok(t, chooser.SetFiles("../examples/hello-dags"))
	press(t, page, "Upload and check")

	says(4, "Read what the deploy will do.", "what lies outside `dags/`", "Nothing has moved yet.")
	arrive(t, page, `/deploys/1$`)
	see(t, page, "What this deploy will do")
	see(t, page, "hello_slipway.py")
	see(t, page, "requirements.txt")

	says(5, "*Deploy DAGs*", "DEPLOYED", "data/mounts/<namespace>/current/dags")
	deployDAGs(t, page)
	theMount(t, p).has(t, "hello_slipway.py")

	says(6, "Point Airflow at it.", "The Overview shows the lines for your `airflow.cfg`, ready to copy", "`LocalDagBundle`", "`refresh_interval`", "`dags_folder`")
	follow(t, page, "sales-prod")
	see(t, page, "Point Airflow at it")
	for id, words := range map[string][]string{"#airflow-3": {"LocalDagBundle", "refresh_interval"}, "#airflow-2": {"dags_folder"}, "#mount-dir": {"/mounts/"}} {
		lines := page.Locator("pre" + id)
		ok(t, expect.Locator(lines).ToBeVisible())
		for _, w := range words {
			ok(t, expect.Locator(lines).ToContainText(w))
		}
	}
	ok(t, expect.Locator(page.GetByRole("button", playwright.PageGetByRoleOptions{Name: "Copy airflow.cfg for Airflow 3"})).ToBeVisible())

	says(7, "Change something.", "*Add or change only these files* is ticked", "press *Undo: return to #1*", "*Return to #1* does it")
	text, err := os.ReadFile("../examples/hello-dags/dags/hello_slipway.py")
	ok(t, err)
	changed := filepath.Join(t.TempDir(), "hello_slipway.py")
	ok(t, os.WriteFile(changed, []byte(strings.Replace(string(text), "Hello", "Good morning", 1)), 0o600))
	ok(t, page.Locator("input[name=files]").SetInputFiles(changed))
	ok(t, expect.Locator(page.GetByLabel("Add or change only these files")).ToBeChecked())
	upload(t, page, changed)
	see(t, page, "Good morning")
	deployDAGs(t, page)
	follow(t, page, "sales-prod")
	follow(t, page, "Undo: return to #1")
	press(t, page, "Return to #1")
	deployed(t, page)
}

// readmeSteps are the numbered steps of the README by number.
func readmeSteps(t *testing.T) map[int]string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	ok(t, err)
	_, part, _ := strings.Cut(string(text), "## Five minutes")
	part, _, _ = strings.Cut(part, "\n## ")
	steps := map[int]string{}
	starts := regexp.MustCompile(`(?m)^\*\*([1-9])\.`).FindAllStringSubmatchIndex(part, -1)
	for i, at := range starts {
		end := len(part)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		steps[int(part[at[2]]-'0')] = strings.Join(strings.Fields(part[at[0]:end]), " ")
	}
	if len(steps) != 7 {
		t.Fatalf("the README has %d steps, want 7", len(steps))
	}
	return steps
}

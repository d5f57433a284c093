package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestAPIToken: somebody makes a token, a program uses it, and revoked it opens
// nothing any more. With and without JavaScript.
func TestAPIToken(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]options{"script": {}, "no script": {noScript: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := seeded(t)
			page := open(t, p, o)
			signIn(t, page, "ada")
			follow(t, page, "API tokens")
			see(t, page, "No API tokens yet")
			fill(t, page, "Name", "ci-sales")
			ok(t, page.GetByRole("checkbox", playwright.PageGetByRoleOptions{Name: "Image and DAGs"}).Uncheck())
			press(t, page, "Make the token")
			see(t, page, "it is not shown again")
			token, err := page.Locator("#new-token").TextContent()
			ok(t, err)
			wantStatus(t, p, token, http.StatusOK)

			follow(t, page, "API tokens")
			row := page.GetByTestId("token")
			ok(t, expect.Locator(row).ToContainText("deploys DAGs, Image only"))
			ok(t, expect.Locator(row).Not().ToContainText("never")) // it was used, and expires
			follow(t, page, "Rotate ci-sales")
			press(t, page, "Rotate")
			see(t, page, "The token ci-sales is ready.")
			next, err := page.Locator("#new-token").TextContent()
			ok(t, err)
			wantStatus(t, p, token, http.StatusUnauthorized)
			wantStatus(t, p, next, http.StatusOK)

			follow(t, page, "Revoke ci-sales")
			press(t, page, "Revoke")
			see(t, page, "The token ci-sales is revoked.")
			wantStatus(t, p, next, http.StatusUnauthorized)
		})
	}
}

// TestTokenInThreeClicks goes from the Overview to a token with lines that work:
// a link, the button, and Copy. The lines then deploy, also with a token for a
// folder.
func TestTokenInThreeClicks(t *testing.T) {
	t.Parallel()
	p := start(t, t.TempDir())
	page := open(t, p, options{})
	setUp(t, p, page)
	ok(t, page.Context().GrantPermissions([]string{"clipboard-write"}))
	overview := page.URL()
	clicks := 0
	click := func(what playwright.Locator) {
		t.Helper()
		ok(t, what.Click())
		clicks++
	}
	click(page.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Deploy from CI or a terminal"}))
	click(page.GetByRole("button", playwright.PageGetByRoleOptions{Name: "Make the token"}))
	see(t, page, "The token ci-sales-prod is ready.")
	click(page.Locator(`button[data-copy="#curl-lines"]`))
	ok(t, expect.Locator(page.Locator(`button[data-copy="#curl-lines"]`)).ToContainText("Copied"))
	if clicks != 3 {
		t.Errorf("%d clicks, want 3", clicks)
	}
	dag := firstFiles["hello.py"]
	project := tree{"team_b/b.py": dag, "team_b/deep/c.py": dag, "team_a/a.py": dag}.repository(t)
	runLines(t, page, project)
	theMount(t, p).holds(t, tree{"team_b/b.py": dag, "team_b/deep/c.py": dag, "team_a/a.py": dag})

	visit(t, page, overview)
	follow(t, page, "Deploy from CI or a terminal")
	fill(t, page, "Folder inside dags/", "team_b")
	press(t, page, "Make the token")
	see(t, page, "everything else stays.")
	project = tree{"team_b/deep/c.py": dag + "# 2\n", "team_a/a.py": dag + "# 2\n"}.repository(t)
	runLines(t, page, project)
	theMount(t, p).holds(t, tree{"team_b/deep/c.py": dag + "# 2\n", "team_a/a.py": dag})
}

// runLines runs the lines for curl on the page, in a project.
func runLines(t *testing.T, page person, project checkout) {
	t.Helper()
	lines, err := page.Locator("#curl-lines").InnerText()
	ok(t, err)
	lines = strings.ReplaceAll(lines, "/tmp/", t.TempDir()+"/") // other tests run them, too
	cmd := exec.CommandContext(t.Context(), "bash", "-e", "-c", lines)
	cmd.Dir = string(project)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `"status":"DEPLOYED"`) {
		t.Fatalf("%v: %s", err, out)
	}
}

// wantStatus asks the API with a token.
func wantStatus(t *testing.T, p *portal, token string, want int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/v1/organizations", nil)
	ok(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	ok(t, err)
	ok(t, res.Body.Close())
	if res.StatusCode != want {
		t.Errorf("answer %d, want %d", res.StatusCode, want)
	}
}

package e2e

import (
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestReplaceAFolder replaces a team's folder: the review says that the rest stays,
// and it does. A token for the folder is made, and its row says what it changes.
func TestReplaceAFolder(t *testing.T) {
	t.Parallel()
	for name, noScript := range map[string]bool{"with scripts": false, "without scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir())
			page := open(t, p, options{noScript: noScript})
			setUp(t, p, page)
			dag := firstFiles["hello.py"]
			upload(t, page, tree{"team_a/a.py": dag, "team_b/b.py": dag, "team_b/old.py": dag}.archive(t, "project.tar.gz"))
			deployDAGs(t, page)

			follow(t, page, "sales-prod")
			team := tree{"b.py": dag + "\n", "new.py": dag}.plain(t, "team.tar")
			ok(t, page.Locator("input[name=files]").SetInputFiles(team))
			ok(t, page.GetByLabel("Replace this folder").Check())
			if noScript {
				openFolderField(t, page)
			}
			fill(t, page, "Folder inside dags/", "team_b")
			upload(t, page, team)
			ok(t, expect.Locator(page.GetByTestId("folder")).ToContainText("Replaces the folder dags/team_b alone"))
			see(t, page, "All other files stay as they are.")
			see(t, page, "old.py")
			ok(t, page.GetByRole("checkbox", playwright.PageGetByRoleOptions{Name: "Yes, remove the DAG file"}).Check())
			deployDAGs(t, page)
			theMount(t, p).holds(t, tree{"team_a/a.py": dag, "team_b/b.py": dag + "\n", "team_b/new.py": dag})

			follow(t, page, "API tokens")
			fill(t, page, "Name", "ci-team-b")
			fill(t, page, "Folder inside dags/", "team_b")
			press(t, page, "Make the token")
			see(t, page, "The token ci-team-b is ready.")
			ok(t, expect.Locator(page.GetByTestId("token")).ToContainText("changes the folder dags/team_b alone"))
		})
	}
}

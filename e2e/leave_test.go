package e2e

import (
	"net/http"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// makeToken makes an API token on its page and returns it.
func makeToken(t *testing.T, page person, name, role string) string {
	t.Helper()
	follow(t, page, "API tokens")
	fill(t, page, "Name", name)
	_, err := page.GetByLabel("Role of the token").SelectOption(playwright.SelectOptionValues{Labels: &[]string{role}})
	ok(t, err)
	press(t, page, "Make the token")
	see(t, page, "it is not shown again")
	token, err := page.Locator("#new-token").TextContent()
	ok(t, err)
	return token
}

// TestRemovingAPersonEndsTheirTokens: the Owner sees what goes, keeps one token,
// and the other opens nothing any more. With and without JavaScript.
func TestRemovingAPersonEndsTheirTokens(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]options{"script": {}, "no script": {noScript: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := seeded(t)
			oli, ada := open(t, p, o), open(t, p, o)
			signIn(t, oli, "oli")
			gone, kept := makeToken(t, oli, "old-laptop", "Operator"), makeToken(t, oli, "ci-nightly", "Author")
			wantStatus(t, p, gone, http.StatusOK) // used now

			signIn(t, ada, "ada")
			follow(t, ada, "People")
			follow(t, ada, "Remove Oli Operator")
			rows := ada.GetByTestId("leaving-token")
			ok(t, expect.Locator(rows).ToHaveCount(2))
			ok(t, expect.Locator(rows.Nth(0)).ToContainText("old-laptop")) // it was used last
			ok(t, expect.Locator(rows.Nth(0)).ToContainText("Operator of the Workspace"))
			ok(t, expect.Locator(rows.Nth(0)).Not().ToContainText("never"))
			ok(t, expect.Locator(rows.Nth(1)).ToContainText("never"))
			ok(t, ada.GetByRole("checkbox", playwright.PageGetByRoleOptions{Name: "Revoke the API token ci-nightly"}).Uncheck())
			press(t, ada, "Remove Oli Operator")
			see(t, ada, "Oli Operator is no longer in this Workspace.")

			wantStatus(t, p, gone, http.StatusUnauthorized)
			wantStatus(t, p, kept, http.StatusOK)
			follow(t, ada, "API tokens")
			ok(t, expect.Locator(ada.GetByTestId("token")).ToHaveCount(1))
			see(t, ada, "Oli Operator, who is no longer in this Workspace, knows the secret.")
			follow(t, ada, "Audit log")
			see(t, ada, "1 token revoked, 1 kept.")
		})
	}
}

// TestDemotionAsksFirst: a smaller role that would end tokens is asked about on a
// page of its own. With and without JavaScript.
func TestDemotionAsksFirst(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]options{"script": {}, "no script": {noScript: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := seeded(t)
			oli, ada := open(t, p, o), open(t, p, o)
			signIn(t, oli, "oli")
			above, same := makeToken(t, oli, "above", "Operator"), makeToken(t, oli, "same", "Author")

			signIn(t, ada, "ada")
			follow(t, ada, "People")
			_, err := ada.GetByLabel("Role of Oli Operator", playwright.PageGetByLabelOptions{Exact: playwright.Bool(true)}).SelectOption(playwright.SelectOptionValues{Labels: &[]string{"Author"}})
			ok(t, err)
			press(t, ada, "Change the role of Oli Operator")
			see(t, ada, "Change the role of Oli Operator to Author?")
			rows := ada.GetByTestId("leaving-token")
			ok(t, expect.Locator(rows).ToHaveCount(1))
			ok(t, expect.Locator(rows).ToContainText("above"))
			wantStatus(t, p, above, http.StatusOK) // nothing has happened yet
			press(t, ada, "Change to Author")
			see(t, ada, "The role of Oli Operator is Author now.")

			wantStatus(t, p, above, http.StatusUnauthorized)
			wantStatus(t, p, same, http.StatusOK)
		})
	}
}

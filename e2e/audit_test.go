package e2e

import (
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestAuditLog: an Owner reads who did what and goes to it; others have no link
// to it. With and without JavaScript.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]options{"script": {}, "no script": {noScript: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := seeded(t)
			ada, eve := open(t, p, o), open(t, p, o)
			signIn(t, eve, "eve")
			ok(t, expect.Locator(eve.GetByRole("link", playwright.PageGetByRoleOptions{Name: "Audit log"})).ToHaveCount(0))
			follow(t, eve, "sales-prod")
			upload(t, eve, firstFiles.archive(t, "project.tar.gz"))

			signIn(t, ada, "ada")
			follow(t, ada, "Audit log")
			deployed := ada.GetByTestId("event").Nth(1) // Ada's sign-in is the first
			ok(t, expect.Locator(deployed).ToContainText("uploaded deploy #1 of sales-prod"))
			ok(t, expect.Locator(deployed).ToContainText("Eve Author"))
			ok(t, expect.Locator(deployed).ToContainText("portal, 127.0.0.1"))
			follow(t, ada, "deploy #1 of sales-prod")
			see(t, ada, "Eve Author")
		})
	}
}

package e2e

import (
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestInstallationInEveryLook opens the administrator's pages wide and narrow,
// light and dark.
func TestInstallationInEveryLook(t *testing.T) {
	t.Parallel()
	p, _, pages := fullPortal(t)
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := open(t, p, look)
			signIn(t, page, "root")
			for what, path := range pages {
				visit(t, page, path)
				inspect(t, page, what, name)
			}
		})
	}
}

// TestForgottenPassword: an admin makes a link, and its holder sets a new
// password and signs in. Without JavaScript.
func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	p, _ := seeded(t)
	root, eve := open(t, p, options{noScript: true}), open(t, p, options{noScript: true})
	signIn(t, root, "root")
	visit(t, root, "/admin/people")
	follow(t, root, "Eve Author")
	press(t, root, "Make a password link")
	link, err := root.Locator("#password-link").TextContent()
	ok(t, err)
	_, err = eve.Goto(link)
	ok(t, err)
	fill(t, eve, "New password", "a long new password")
	press(t, eve, "Set the password")
	see(t, eve, "Your new password is set.")
	fill(t, eve, "Email address", "eve@example.com")
	fill(t, eve, "Password", "a long new password")
	press(t, eve, "Sign in")
	ok(t, expect.Locator(eve.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "Deployments"})).ToBeVisible())
}

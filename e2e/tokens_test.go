package e2e

import (
	"net/http"
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

package e2e

import (
	"strings"
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestSettings: each section is reached by the menu and saved alone, and links
// from before there were sections lead to them.
func TestSettings(t *testing.T) {
	t.Parallel()
	for name, noScript := range map[string]bool{"with scripts": false, "without scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, t.TempDir())
			page := open(t, p, options{noScript: noScript})
			setUp(t, p, page)
			settings := strings.TrimPrefix(page.URL(), p.url) + "/settings"
			follow(t, page, "Settings")
			fill(t, page, "Description", "Orders")
			press(t, page, "Save General")
			see(t, page, "The settings are saved.")
			fill(t, page, "At least the last", "20")
			press(t, page, "Save Keep old versions")
			see(t, page, "The settings are saved.")
			ok(t, expect.Locator(page.GetByLabel("Description")).ToHaveValue("Orders"))

			follow(t, page, "Images")
			fill(t, page, "Dags folder of the image", "/typed")
			fill(t, page, "Platform that images must offer", "windows")
			press(t, page, "Save Images")
			see(t, page, "is no platform")
			ok(t, expect.Locator(page.GetByLabel("Dags folder of the image")).ToHaveValue("/typed"))
			follow(t, page, "Airflow")
			see(t, page, "Point Airflow at it")
			if noScript {
				return
			}
			for anchor, heading := range map[string]string{"delete": "Delete this Deployment", "agents": "Connect an agent", "apply": "Apply command"} {
				visit(t, page, "/account")
				visit(t, page, settings+"#"+anchor)
				ok(t, expect.Locator(page.GetByRole("heading", playwright.PageGetByRoleOptions{Name: heading})).ToBeVisible())
			}
		})
	}
}

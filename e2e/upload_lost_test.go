package e2e

import (
	"testing"

	"github.com/playwright-community/playwright-go"
)

// TestLostAnswer: when the answer to the last bytes of an upload never arrives,
// the page goes on to the deploy that they made, and makes no second one.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	p, _ := seeded(t)
	page, other := open(t, p, options{}), open(t, p, options{})
	signIn(t, page, "eve")
	signIn(t, other, "ada")
	follow(t, page, "sales-prod")
	follow(t, other, "sales-prod")
	lose := holdAnswer(t, page, "PATCH")

	ok(t, page.Locator("input[name=files]").SetInputFiles(firstFiles.archive(t, "project.tar.gz")))
	press(t, page, "Upload and check")
	ok(t, expect.Locator(other.GetByTestId("deploy").First()).ToContainText("To confirm")) // all of it arrived
	lose()

	waitFor(t, page, page.GetByRole("heading", playwright.PageGetByRoleOptions{Name: "What this deploy will do"}))
	_, err := other.Reload()
	ok(t, err)
	ok(t, expect.Locator(other.GetByTestId("deploy")).ToHaveCount(1))
}

// holdAnswer keeps the first answer to requests of a method from a page. lose
// waits for it, and breaks the connection instead of delivering it.
func holdAnswer(t *testing.T, page person, method string) (lose func()) {
	t.Helper()
	s, err := page.Context().NewCDPSession(page.Page)
	ok(t, err)
	held := make(chan string, 1)
	s.On("Fetch.requestPaused", func(params map[string]any) {
		id, _ := params["requestId"].(string)
		request, _ := params["request"].(map[string]any)
		if request["method"] == method {
			select {
			case held <- id:
				return
			default: // one is held already
			}
		}
		go func() { _, _ = s.Send("Fetch.continueRequest", map[string]any{"requestId": id}) }() // the page may be gone
	})
	_, err = s.Send("Fetch.enable", map[string]any{"patterns": []any{map[string]any{"urlPattern": "*/uploads/*", "requestStage": "Response"}}})
	ok(t, err)
	return func() {
		t.Helper()
		_, err := s.Send("Fetch.failRequest", map[string]any{"requestId": <-held, "errorReason": "ConnectionReset"})
		ok(t, err)
	}
}

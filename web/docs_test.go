package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"slipway/docs"
)

// Everybody reads the documentation, signed in or not.
func TestDocsAreServed(t *testing.T) {
	a := newApp(t)
	nobody, ada := a.browser(t), a.as(t, a.Ada)
	all, err := docs.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		want(t, nobody.get(docsPath+d.Name), http.StatusOK, "<h1", `aria-current="page">`, `href="/docs/decisions/004-sqlite.md"`)
	}
	for path, to := range map[string]string{"/docs": docsPath, docsPath: docsPath + "airflow.md", docsPath + "operations": docsPath + "operations.md"} {
		if w := nobody.get(path); w.Code != http.StatusFound || w.Header().Get("Location") != to {
			t.Errorf("%s: answer %d to %q", path, w.Code, w.Header().Get("Location"))
		}
	}
	want(t, nobody.get(docsPath+"nothing.md"), http.StatusNotFound, "There is no document")
	want(t, nobody.get(docsPath+"docs.go"), http.StatusNotFound)
	want(t, nobody.get("/signin"), http.StatusOK, `href="/docs/"`)
	want(t, ada.get(docsPath+"api.md"), http.StatusOK, "Ada Lovelace", "Sign out")
}

// The page of the API has the menus, and is small on the wire.
func TestAPIDocsPage(t *testing.T) {
	a := newApp(t)
	want(t, a.as(t, a.Ada).get("/v1/docs"), http.StatusOK, "Ada Lovelace", "Data Platform")
	r := httptest.NewRequest(http.MethodGet, "/v1/docs", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := a.browser(t).do(r)
	if w.Code != http.StatusOK || w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > 100_000 {
		t.Errorf("answer %d of %d bytes, encoded %q", w.Code, w.Body.Len(), w.Header().Get("Content-Encoding"))
	}
	if strings.Contains(a.browser(t).get("/v1/docs").Body.String(), "Sign out") {
		t.Error("nobody is offered to sign out")
	}
}

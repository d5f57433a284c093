package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// TestLongListsHavePages opens lists of some more rows than a page has.
func TestLongListsHavePages(t *testing.T) {
	a := newApp(t)
	const more = 60
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		for i := range more {
			name := fmt.Sprintf("person%02d Long", i)
			if _, err := storetest.AddPerson(tx, name, a.Workspace.ID, slipway.Member); err != nil {
				return err
			}
			if _, err := tx.AddWorkspace(fmt.Sprintf("Workspace %02d", i)); err != nil {
				return err
			}
			if _, err := storetest.AddDeployment(tx, a.Workspace.ID, fmt.Sprintf("airflow-%02d", i)); err != nil {
				return err
			}
			token := store.Token{ID: tx.NewTokenID(), Secret: name, Kind: store.APIToken, Name: fmt.Sprintf("ci-%02d", i), Workspace: a.Workspace.ID, Role: slipway.Author}
			if _, err := tx.AddToken(token); err != nil {
				return err
			}
		}
		return nil
	})
	for name, tt := range map[string]struct {
		path, row string
		total     int
		search    string
	}{
		"accounts":    {path: accountsPath, row: "account", total: 6 + more, search: "PERSON07"},
		"people":      {path: peoplePath(a.Workspace.ID), row: "member", total: 4 + more, search: "person07@"},
		"tokens":      {path: tokensPath(a.Workspace.ID), row: "token", total: more, search: "ci-07"},
		"Deployments": {path: workspacePath(a.Workspace.ID), row: "deployment", total: 1 + more, search: "airflow-07"},
		"Workspaces":  {path: "/workspaces", row: "workspace", total: 2 + more, search: "workspace 07"},
	} {
		t.Run(name, func(t *testing.T) {
			b := a.as(t, a.Root)
			count := func(query string) (int, string) {
				w := b.get(tt.path + query)
				want(t, w, http.StatusOK)
				return strings.Count(w.Body.String(), `data-testid="`+tt.row+`"`), w.Body.String()
			}
			n, page := count("")
			if n != pageSize || !strings.Contains(page, `rel="next"`) || strings.Contains(page, `rel="prev"`) {
				t.Errorf("the first page has %d rows, want %d and a next page alone", n, pageSize)
			}
			if part := fmt.Sprintf("1–%d of %d", pageSize, tt.total); !strings.Contains(page, part) {
				t.Errorf("the first page does not say %q", part)
			}
			n, page = count("?page=2")
			if n != tt.total-pageSize || strings.Contains(page, `rel="next"`) || !strings.Contains(page, `rel="prev"`) {
				t.Errorf("the second page has %d rows, want %d and a page before alone", n, tt.total-pageSize)
			}
			if n, _ = count("?q=" + strings.ReplaceAll(tt.search, " ", "+")); n != 1 {
				t.Errorf("%q finds %d rows, want 1", tt.search, n)
			}
			if n, page = count("?q=nobody+at+all"); n != 0 || !strings.Contains(page, "or show all.") {
				t.Errorf("an empty search has %d rows, want 0 and what to do", n)
			}
		})
	}
}

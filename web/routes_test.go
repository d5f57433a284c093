package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// access is who gets which answer at a route. Every route of the portal has
// one; those of the Deployments' pages are in pageAccess.
type access struct {
	route string   // "POST /workspaces/:workspace"
	form  []string // names and values
	// The answer to someone who is not signed in, to a stranger of the
	// Workspace, and to each role in it.
	nobody, stranger, member, author, operator, owner, admin int
}

const (
	ok        = http.StatusOK
	seen      = http.StatusSeeOther // done, and on to a page; or to the sign-in page
	forbidden = http.StatusForbidden
	missing   = http.StatusNotFound
	invalid   = http.StatusUnprocessableEntity
	conflict  = http.StatusConflict
)

var portalAccess = []access{
	{"GET /static/*", nil, missing, missing, missing, missing, missing, missing, missing}, // "*" is no file
	{"GET /favicon.ico", nil, http.StatusFound, http.StatusFound, http.StatusFound, http.StatusFound, http.StatusFound, http.StatusFound, http.StatusFound},
	{"GET /docs", nil, http.StatusFound, http.StatusFound, http.StatusFound, http.StatusFound, http.StatusFound, http.StatusFound, http.StatusFound},
	{"GET /docs/*", nil, missing, missing, missing, missing, missing, missing, missing}, // "*" is no document
	{"GET /healthz", nil, ok, ok, ok, ok, ok, ok, ok},
	{"GET /readyz", nil, 503, 503, 503, 503, 503, 503, 503}, // the engine does not run here

	{"GET /signin", nil, ok, seen, seen, seen, seen, seen, seen},
	{"POST /signin", []string{"email", "x@example.com", "password", "wrong"}, 401, 401, 401, 401, 401, 401, 401},
	{"GET /setup/:secret", nil, missing, missing, missing, missing, missing, missing, missing},
	{"POST /setup/:secret", nil, missing, missing, missing, missing, missing, missing, missing},
	{"GET /invitations/:secret", nil, ok, ok, ok, ok, ok, ok, ok},
	{"POST /invitations/:secret", nil, invalid, seen, seen, conflict, conflict, conflict, seen}, // as Author

	{"GET /", nil, seen, seen, seen, seen, seen, seen, seen},
	{"POST /signout", nil, seen, seen, seen, seen, seen, seen, seen},
	{"GET /account", nil, seen, ok, ok, ok, ok, ok, ok},
	{"POST /account", []string{"name", "New"}, seen, seen, seen, seen, seen, seen, seen},
	{"POST /account/password", []string{"current", "wrong"}, seen, invalid, invalid, invalid, invalid, invalid, invalid},
	{"POST /account/sessions/end", nil, seen, seen, seen, seen, seen, seen, seen},

	{"GET /auth/authorize", nil, seen, invalid, invalid, invalid, invalid, invalid, invalid}, // no challenge
	{"POST /auth/authorize", []string{"answer", "deny"}, seen, seen, seen, seen, seen, seen, seen},

	// For agents no person's session counts: TestAgentsSeeTheirDeployment.
	{"GET /agent/v1/desired", nil, 401, 401, 401, 401, 401, 401, 401},
	{"GET /agent/v1/manifests/:version", nil, 401, 401, 401, 401, 401, 401, 401},
	{"GET /agent/v1/packs/:pack", nil, 401, 401, 401, 401, 401, 401, 401},
	{"POST /agent/v1/report", nil, 401, 401, 401, 401, 401, 401, 401},
	{"POST /agent/v1/log", nil, 401, 401, 401, 401, 401, 401, 401},

	{"GET /password/:secret", nil, missing, missing, missing, missing, missing, missing, missing},
	{"POST /password/:secret", nil, missing, missing, missing, missing, missing, missing, missing},
	{"GET /admin", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"GET /admin/storage", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"GET /admin/backups", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"GET /admin/agents", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"GET /admin/insights", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"GET /admin/insights/export", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"GET /admin/audit", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"GET /admin/audit/export", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, invalid}, // no format
	{"GET /admin/people", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"GET /admin/people/:user", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"POST /admin/people/:user/password", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"POST /admin/people/:user/sessions/end", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, seen},
	{"POST /admin/people/:user/disable", []string{"sure", "yes"}, seen, forbidden, forbidden, forbidden, forbidden, forbidden, seen},
	{"POST /admin/people/:user/enable", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, conflict}, // the account works

	{"GET /workspaces/:workspace/delete", nil, seen, missing, forbidden, forbidden, forbidden, forbidden, ok},
	{"POST /workspaces/:workspace/delete", []string{"typed", "Data Platform"}, seen, missing, forbidden, forbidden, forbidden, forbidden, conflict}, // a Deployment is in it
	{"GET /workspaces", nil, seen, forbidden, forbidden, forbidden, forbidden, forbidden, ok},
	{"POST /workspaces", []string{"name", "New"}, seen, forbidden, forbidden, forbidden, forbidden, forbidden, seen},
	{"POST /workspaces/:workspace", []string{"name", "New"}, seen, missing, forbidden, forbidden, forbidden, forbidden, seen},
	{"POST /workspaces/:workspace/own", nil, seen, missing, forbidden, forbidden, forbidden, forbidden, seen},
	{"GET /workspaces/:workspace/insights", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /workspaces/:workspace/insights/export", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /workspaces/:workspace/audit", nil, seen, missing, forbidden, forbidden, forbidden, ok, ok},
	{"GET /workspaces/:workspace/audit/export", nil, seen, missing, forbidden, forbidden, forbidden, invalid, invalid}, // no format in the address
	{"GET /workspaces/:workspace/people", nil, seen, missing, ok, ok, ok, ok, ok},
	{"POST /workspaces/:workspace/people/:user", []string{"role", "Operator"}, seen, missing, forbidden, forbidden, forbidden, seen, seen},
	{"GET /workspaces/:workspace/people/:user/role", nil, seen, missing, forbidden, forbidden, forbidden, invalid, invalid}, // no role
	{"GET /workspaces/:workspace/people/:user/remove", nil, seen, missing, forbidden, forbidden, forbidden, ok, ok},
	{"POST /workspaces/:workspace/people/:user/remove", nil, seen, missing, forbidden, forbidden, forbidden, seen, seen},
	{"POST /workspaces/:workspace/invitations", []string{"role", "Author"}, seen, missing, forbidden, forbidden, forbidden, ok, ok},
	{"POST /workspaces/:workspace/invitations/:invitation/remove", nil, seen, missing, forbidden, forbidden, forbidden, seen, seen},
	{"GET /workspaces/:workspace/registries", nil, seen, missing, ok, ok, ok, ok, ok}, // what they may see of them: TestRegistriesPage
	{"POST /workspaces/:workspace/registries", []string{"host", "quay.io", "user", "x", "password", "y"}, seen, missing, forbidden, forbidden, seen, seen, seen},
	{"POST /workspaces/:workspace/registries/remove", []string{"host", "quay.io"}, seen, missing, forbidden, forbidden, missing, missing, missing}, // there is none
	{"GET /workspaces/:workspace/tokens", nil, seen, missing, ok, ok, ok, ok, ok},                                                                  // what they may see of them: TestTokensPage
	{"POST /workspaces/:workspace/tokens", []string{"name", "New", "role", "Author", "kind", "DAG_ONLY", "days", "30"}, seen, missing, forbidden, forbidden, ok, ok, ok},
	{"GET /workspaces/:workspace/tokens/:token/rotate", nil, seen, missing, forbidden, forbidden, ok, ok, ok},
	{"POST /workspaces/:workspace/tokens/lines", []string{"token", "x"}, seen, missing, forbidden, forbidden, missing, missing, missing},
	{"POST /workspaces/:workspace/tokens/:token/rotate", nil, seen, missing, forbidden, forbidden, ok, ok, ok},
	{"GET /workspaces/:workspace/tokens/:token/revoke", nil, seen, missing, forbidden, forbidden, ok, ok, ok},
	{"POST /workspaces/:workspace/tokens/:token/revoke", nil, seen, missing, forbidden, forbidden, seen, seen, seen},
}

// invitationSecret opens an invitation to the Workspace as Author.
const invitationSecret = "come-in"

// portalParams fills the world up for portalAccess and returns what stands for
// the parameters of its routes.
func portalParams(t *testing.T, a *app) []string {
	t.Helper()
	var other slipway.Actor // whom nobody of the table is
	var token store.Token
	id := auth.Fingerprint(invitationSecret)
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		if other, err = storetest.AddPerson(tx, "Bob Bystander", a.Workspace.ID, slipway.Author); err != nil {
			return err
		}
		if _, token, err = auth.IssueToken(tx, a.Ada, auth.NewToken{Name: "ci", Workspace: a.Workspace.ID, Role: slipway.Author}); err != nil {
			return err
		}
		return tx.AddInvitation(slipway.Invitation{ID: id, Workspace: a.Workspace.ID, Role: slipway.Author, By: a.Ada.User})
	})
	return []string{":workspace", string(a.Workspace.ID), ":user", string(other.User), ":invitation", id, ":secret", invitationSecret, ":token", string(token.ID)}
}

func TestRoutes(t *testing.T) {
	table := slices.Concat(portalAccess, pageAccess)
	var routes []string
	for _, r := range newApp(t).server.router().Routes() {
		if ofAPI(r.Path) {
			continue
		}
		routes = append(routes, r.Method+" "+r.Path)
	}
	for _, row := range table {
		if !slices.Contains(routes, row.route) {
			t.Errorf("%s is in the table, but is no route", row.route)
		}
		t.Run(row.route, func(t *testing.T) { testAccess(t, row) })
	}
	for _, r := range routes {
		if !slices.ContainsFunc(table, func(row access) bool { return row.route == r }) {
			t.Errorf("%s: the table does not say who may", r)
		}
	}
}

// ofAPI reports whether path is of package api, whose tests have a table of
// their own, or says that there is nothing.
func ofAPI(path string) bool {
	if path == agentsPath+"*" {
		return true
	}
	for _, prefix := range []string{"/v1/", "/v2", "/v1alpha1/", "/private/", "/auth/userinfo", "/auth/oauth/", "/spec/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// testAccess asks for a route as everybody, in a new world after each action
// that was carried out.
func testAccess(t *testing.T, row access) {
	var a *app
	var params []string
	for _, tt := range []struct {
		name string
		who  func(*app) slipway.Actor
		want int
	}{
		{"nobody", func(*app) slipway.Actor { return slipway.Actor{} }, row.nobody},
		{"stranger", sam, row.stranger}, {"member", mia, row.member}, {"author", eve, row.author},
		{"operator", oli, row.operator}, {"owner", ada, row.owner}, {"admin", root, row.admin},
	} {
		if a == nil {
			a = newApp(t)
			params = append(portalParams(t, a), pageParams(t, a)...)
		}
		method, path, _ := strings.Cut(strings.NewReplacer(params...).Replace(row.route), " ")
		r := httptest.NewRequest(method, path, nil)
		if method == http.MethodPost {
			r = postRequest(path, row.form...)
		}
		b := a.as(t, tt.who(a))
		if strings.HasSuffix(path, "/live") { // it would go on and on
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			r = r.WithContext(ctx)
		}

		w := b.do(r)

		if w.Code != tt.want {
			t.Errorf("%s: answer %d to %q, want %d:\n%s", tt.name, w.Code, w.Header().Get("Location"), tt.want, text(w))
		}
		if toSignIn := strings.HasPrefix(w.Header().Get("Location"), "/signin?next="); tt.name == "nobody" && row.nobody == seen && !toSignIn {
			t.Errorf("nobody goes to %q", w.Header().Get("Location"))
		}
		if method != http.MethodGet && w.Code < http.StatusBadRequest && tt.name != "nobody" {
			a = nil
		}
	}
}

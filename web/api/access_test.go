package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
	"slipway/web/api"
)

// access is who gets which answer at an operation.
type access struct {
	route, body string
	// The answer without a token; to people who are logged in, by role; and to
	// tokens: of one Deployment as Owner and as Member, of the Workspace as
	// Operator, of another Workspace as Owner.
	nobody, stranger, member, author, operator, owner, admin int
	one, oneMember, whole, foreign                           int
}

const (
	good      = http.StatusOK
	gone      = http.StatusNoContent
	unknown   = http.StatusUnauthorized
	forbidden = http.StatusForbidden
	missing   = http.StatusNotFound
	invalid   = http.StatusBadRequest
	conflict  = http.StatusConflict
)

var accessTable = []access{
	{"GET /v1/organizations", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"GET /v1/organizations/:org", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"GET /v1/organizations/:org/workspaces", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"GET /v1/organizations/:org/workspaces/:workspace", "", unknown, missing, good, good, good, good, good, missing, missing, good, missing},
	{"GET /v1/organizations/:org/deployment-options", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"GET /v1/organizations/:org/cluster-options", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"GET /v1/users/self", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"GET /auth/userinfo", "", unknown, good, good, good, good, good, good, good, good, good, good},

	{"GET /v1/organizations/:org/deployments", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"POST /v1/organizations/:org/deployments", `{"name":"x","workspaceId":":workspace"}`, unknown, missing, forbidden, forbidden, good, good, good, missing, missing, good, missing},
	{"GET /v1/organizations/:org/deployments/:deployment", "", unknown, missing, good, good, good, good, good, good, good, good, missing},
	{"POST /v1/organizations/:org/deployments/:deployment", `{"description":"new"}`, unknown, missing, forbidden, forbidden, good, good, good, good, forbidden, good, missing},
	{"POST /v1/organizations/:org/deployments/:deployment", `{"isDagDeployEnabled":false}`, unknown, missing, forbidden, forbidden, forbidden, good, good, good, forbidden, forbidden, missing},
	{"DELETE /v1/organizations/:org/deployments/:deployment", "", unknown, missing, forbidden, forbidden, gone, gone, gone, gone, forbidden, gone, missing},

	{"GET /v1/organizations/:org/deployments/:deployment/deploys", "", unknown, missing, good, good, good, good, good, good, good, good, missing},
	{"POST /v1/organizations/:org/deployments/:deployment/deploys", `{"type":"DAG_ONLY"}`, unknown, missing, forbidden, good, good, good, good, good, forbidden, good, missing},
	{"POST /v1/organizations/:org/deployments/:deployment/deploys", `{"type":"IMAGE_ONLY"}`, unknown, missing, forbidden, good, good, good, good, good, forbidden, good, missing},
	{"POST /v1/organizations/:org/deployments/:deployment/deploys", `{"type":"IMAGE_AND_DAG"}`, unknown, missing, forbidden, good, good, good, good, good, forbidden, good, missing},
	{"POST /v1alpha1/organizations/:org/deployments/:deployment/deploys", `{"type":"DAG","dagBundleName":"B","description":""}`, unknown, missing, forbidden, invalid, invalid, invalid, invalid, invalid, forbidden, invalid, missing},
	{"GET /v1/organizations/:org/deployments/:deployment/deploys/:deploy", "", unknown, missing, good, good, good, good, good, good, good, good, missing},
	{"POST /v1/organizations/:org/deployments/:deployment/deploys/:deploy/finalize", `{"dagTarballVersion":":version"}`, unknown, missing, forbidden, good, good, good, good, good, forbidden, good, missing},
	{"POST /v1/organizations/:org/deployments/:deployment/deploys/:deploy/rollback", `{}`, unknown, missing, conflict, conflict, conflict, conflict, conflict, conflict, conflict, conflict, missing}, // it never went live

	{"POST /v1/organizations/:org/deployments/:deployment/deploys/upload", "", unknown, missing, forbidden, invalid, invalid, invalid, invalid, invalid, forbidden, invalid, missing}, // no files

	{"GET /v1/organizations/:org/users", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"GET /v1/organizations/:org/users?workspaceId=:workspace", "", unknown, missing, good, good, good, good, good, missing, missing, good, missing},
	{"GET /v1/organizations/:org/tokens?workspaceId=:workspace", "", unknown, missing, forbidden, forbidden, good, good, good, missing, missing, good, missing},
	{"GET /v1/organizations/:org/tokens?deploymentId=:deployment", "", unknown, missing, forbidden, forbidden, forbidden, good, good, good, forbidden, forbidden, missing},
	{"GET /v1/organizations/:org/tokens", "", unknown, good, good, good, good, good, good, good, good, good, good},
	{"POST /v1/organizations/:org/tokens", `{"scope":"WORKSPACE","entityId":":workspace","name":"n","role":"WORKSPACE_OPERATOR"}`, unknown, missing, forbidden, forbidden, good, good, good, missing, missing, good, missing},
	{"POST /v1/organizations/:org/tokens", `{"scope":"WORKSPACE","entityId":":workspace","name":"n","role":"WORKSPACE_OWNER"}`, unknown, missing, forbidden, forbidden, forbidden, good, good, missing, missing, forbidden, missing},
	{"POST /v1/organizations/:org/tokens", `{"scope":"DEPLOYMENT","entityId":":deployment","name":"n","role":"DEPLOYMENT_ADMIN"}`, unknown, missing, forbidden, forbidden, forbidden, good, good, good, forbidden, forbidden, missing},
	{"GET /v1/organizations/:org/tokens/:token", "", unknown, missing, forbidden, forbidden, good, good, good, missing, missing, good, missing},
	{"POST /v1/organizations/:org/tokens/:token", `{"name":"n","description":"d"}`, unknown, missing, forbidden, forbidden, good, good, good, missing, missing, good, missing},
	{"POST /v1/organizations/:org/tokens/:token/roles", `{"roles":[{"entityType":"WORKSPACE","entityId":":workspace","role":"WORKSPACE_OPERATOR"}]}`, unknown, missing, forbidden, forbidden, good, good, good, missing, missing, good, missing},
	{"POST /v1/organizations/:org/tokens/:token/rotate", "", unknown, missing, forbidden, forbidden, good, good, good, missing, missing, good, missing},
	{"DELETE /v1/organizations/:org/tokens/:token", "", unknown, missing, forbidden, forbidden, gone, gone, gone, missing, missing, gone, missing},

	{"GET /v1/openapi.yaml", "", good, good, good, good, good, good, good, good, good, good, good},
	{"GET /spec/v1.0", "", good, good, good, good, good, good, good, good, good, good, good},
	{"GET /v1/docs", "", good, good, good, good, good, good, good, good, good, good, good},
	{"PUT /v1/uploads/:upload", "", forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden}, // no signature
	{"HEAD /v1/uploads/:upload", "", forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden},
	{"GET /v1/uploads/:upload", "", forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden, forbidden},
	{"GET /private/v1alpha1/cli/auth-config", "", good, good, good, good, good, good, good, good, good, good, good},
	{"POST /auth/oauth/token", "", invalid, invalid, invalid, invalid, invalid, invalid, invalid, invalid, invalid, invalid, invalid}, // no grant_type
}

// TestAccess asks for each operation as everybody, in a new world after each
// action that was carried out.
func TestAccess(t *testing.T) {
	asked := map[string]bool{}
	for _, row := range accessTable {
		route, _, _ := strings.Cut(row.route, "?")
		asked[route] = true
		t.Run(row.route+" "+row.body, func(t *testing.T) { testAccess(t, row) })
	}
	for _, route := range api.Operations() {
		if !asked[route] {
			t.Errorf("%s: the table does not say who may", route)
		}
		delete(asked, route)
	}
	for route := range asked {
		t.Errorf("%s is in the table, but is no operation", route)
	}
}

// TestOtherOrganization: no operation answers for another Organization.
func TestOtherOrganization(t *testing.T) {
	a := newApp(t)
	for _, route := range api.Operations() {
		method, path, _ := strings.Cut(strings.ReplaceAll(route, "/:org", "/other"), " ")
		if !strings.Contains(path, "/other") {
			continue
		}
		t.Run(route, func(t *testing.T) {
			wantRefused(t, a.send(t, a.owner, method, path, ""), missing, "There is no Organization")
			wantRefused(t, a.send(t, "", method, path, ""), unknown, "Send an API token")
		})
	}
}

func testAccess(t *testing.T, row access) {
	var a *app
	var params *strings.Replacer
	for _, tt := range []struct {
		name  string
		token func(*app) string
		want  int
	}{
		{"nobody", func(*app) string { return "" }, row.nobody},
		{"stranger", func(a *app) string { return a.login(t, a.Sam.User) }, row.stranger},
		{"member", func(a *app) string { return a.login(t, a.Mia.User) }, row.member},
		{"author", func(a *app) string { return a.login(t, a.Eve.User) }, row.author},
		{"operator", func(a *app) string { return a.login(t, a.Oli.User) }, row.operator},
		{"owner", func(a *app) string { return a.login(t, a.Ada.User) }, row.owner},
		{"admin", func(a *app) string { return a.login(t, a.Root.User) }, row.admin},
		{"token of the Deployment", func(a *app) string {
			return a.token(t, store.Token{Workspace: a.Workspace.ID, Deployment: a.Sales.ID, Role: slipway.Owner})
		}, row.one},
		{"Member's token of the Deployment", func(a *app) string {
			return a.token(t, store.Token{Workspace: a.Workspace.ID, Deployment: a.Sales.ID, Role: slipway.Member})
		}, row.oneMember},
		{"token of the Workspace", func(a *app) string {
			return a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Operator})
		}, row.whole},
		{"token of another Workspace", func(a *app) string {
			return a.token(t, store.Token{Workspace: a.Other.ID, Role: slipway.Owner})
		}, row.foreign},
	} {
		if a == nil {
			a = newApp(t)
			params = a.params(t)
		}
		method, path, _ := strings.Cut(params.Replace(row.route), " ")

		w := a.send(t, tt.token(a), method, path, params.Replace(row.body))

		if w.status != tt.want {
			t.Errorf("%s: answer %d, want %d:\n%s", tt.name, w.status, tt.want, w.text)
		}
		if w.status < http.StatusBadRequest && method != http.MethodGet {
			a = nil
		}
	}
}

// params stand for the parameters of the routes: a deploy whose files are here.
func (a *app) params(t *testing.T) *strings.Replacer {
	t.Helper()
	d := a.start(t)
	version := a.upload(t, d, map[string]string{"a.py": dag})
	var token store.Token
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		_, token, err = auth.AddToken(tx, store.Token{Name: "other", Workspace: a.Workspace.ID, Role: slipway.Author})
		return err
	})
	return strings.NewReplacer(":org", slipway.OrganizationID, ":workspace", string(a.Workspace.ID), ":deployment", string(a.Sales.ID),
		":token", string(token.ID), ":deploy", d.id, ":upload", d.id, ":version", version)
}

// TestTokensThatAreNone asks with what is not, or no longer, a token.
func TestTokensThatAreNone(t *testing.T) {
	a := newApp(t)
	late := a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Owner, ExpiresAt: time.Now().Add(time.Minute)})
	revoked := a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Owner})
	wantOK(t, a.send(t, late, "GET", a.sales(), ""))
	wantOK(t, a.send(t, revoked, "GET", a.sales(), ""))
	a.revoke(t, revoked)
	a.later.Add(int64(2 * time.Minute))
	head, signature, _ := strings.Cut(a.owner, ".")
	body, signature, _ := strings.Cut(signature, ".")
	for name, token := range map[string]string{
		"expired": late, "revoked": revoked, "opaque": "abc", "unsigned": head + "." + body + ".", "other body": head + "." + body + "e30." + signature,
		"alg none": "eyJhbGciOiJub25lIn0." + body + ".", "login": "swl_unknown", "agent": "swa_unknown",
	} {
		w := a.send(t, token, "GET", a.sales(), "")
		if w.status != http.StatusUnauthorized || w.body["message"] == "" {
			t.Errorf("%s: answer %d: %s", name, w.status, w.text)
		}
	}
}

func TestLastUse(t *testing.T) {
	a := newApp(t)
	lastUse := func() (at time.Time) {
		storetest.View(t, a.store, func(tx *store.Tx) error {
			u, err := tx.Token(fingerprint(a.owner))
			at = u.LastUsedAt
			return err
		})
		return at
	}
	a.get(t, orgPath)
	first := lastUse()
	a.later.Add(int64(30 * time.Second))
	a.get(t, orgPath)
	if second := lastUse(); first.IsZero() || second != first {
		t.Errorf("used at %s and, within the minute, at %s", first, second)
	}
	a.later.Add(int64(31 * time.Second))
	a.get(t, orgPath)
	if third := lastUse(); third == first {
		t.Errorf("still used at %s", third)
	}
}

package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// newToken is the request of section 9.
func newToken(scope, entity, role, more string) string {
	return fmt.Sprintf(`{"scope":%q,"entityId":%q,"name":"ci","role":%q,"description":"nightly"%s}`, scope, entity, role, more)
}

// good reports whether a token opens the API.
func (a *app) good(t *testing.T, token string) bool {
	t.Helper()
	return a.send(t, token, "GET", "/v1/organizations?limit=100&offset=0", "").status == http.StatusOK
}

// made issues a token by the API and returns its id and secret.
func (a *app) made(t *testing.T, by, body string) (id, secret string) {
	t.Helper()
	w := a.send(t, by, "POST", orgPath+"/tokens", body)
	wantOK(t, w)
	return w.body["id"].(string), w.body["token"].(string)
}

func TestCreateToken(t *testing.T) {
	a := newApp(t)
	for name, tt := range map[string]struct{ scope, entity, role, more string }{
		"Workspace":               {"WORKSPACE", string(a.Workspace.ID), "WORKSPACE_OPERATOR", ""},
		"Workspace, expires":      {"WORKSPACE", string(a.Workspace.ID), "WORKSPACE_AUTHOR", `,"tokenExpiryPeriodInDays":30`},
		"Deployment":              {"DEPLOYMENT", string(a.Sales.ID), "DEPLOYMENT_ADMIN", ""},
		"Deployment, of one kind": {"DEPLOYMENT", string(a.Sales.ID), "DEPLOYMENT_AUTHOR", `,"deployKinds":["DAG_ONLY"]`},
	} {
		t.Run(name, func(t *testing.T) {
			w := a.post(t, orgPath+"/tokens", newToken(tt.scope, tt.entity, tt.role, tt.more))
			wantOK(t, w)
			secret := w.body["token"].(string)
			if !a.good(t, secret) || !strings.HasSuffix(secret, w.body["shortToken"].(string)) {
				t.Errorf("the token is no good: %v", w.body)
			}
			seen := a.get(t, orgPath+"/tokens/"+w.body["id"].(string))
			role := seen["roles"].([]any)[0].(map[string]any)
			if seen["token"] != nil || seen["scope"] != tt.scope || seen["kind"] != tt.scope || seen["name"] != "ci" || seen["description"] != "nightly" ||
				role["entityType"] != tt.scope || role["entityId"] != tt.entity || role["role"] != tt.role {
				t.Errorf("%v", seen)
			}
			if maker := seen["createdBy"].(map[string]any); maker["apiTokenName"] != "ci" || maker["id"] == "" {
				t.Errorf("made by %v", maker)
			}
			if expires := seen["expiryPeriodInDays"] == float64(30) && seen["endAt"] != nil; expires != strings.Contains(tt.more, "Expiry") {
				t.Errorf("expires: %v, %v", seen["expiryPeriodInDays"], seen["endAt"])
			}
			if kinds := seen["deployKinds"].([]any); (len(kinds) == 1) != strings.Contains(tt.more, "Kinds") {
				t.Errorf("kinds: %v", kinds)
			}
		})
	}
}

func TestCreateTokenRefused(t *testing.T) {
	a := newApp(t)
	ws, ds := string(a.Workspace.ID), string(a.Sales.ID)
	good := newToken("WORKSPACE", ws, "WORKSPACE_MEMBER", "")
	oli := a.login(t, a.Oli.User)
	for name, tt := range map[string]struct {
		by     string
		body   string
		status int
		says   string
	}{
		"no token":                {"", good, 401, "Send an API token"},
		"Author":                  {a.login(t, a.Eve.User), good, 403, "needs the Operator role"},
		"stranger":                {a.login(t, a.Sam.User), good, 404, "There is no Workspace"},
		"Operator, larger":        {oli, newToken("WORKSPACE", ws, "WORKSPACE_OWNER", ""), 403, "up to your own role"},
		"Operator, Deployment":    {oli, newToken("DEPLOYMENT", ds, "DEPLOYMENT_MEMBER", ""), 403, "needs the Owner role"},
		"Deployment's, Workspace": {a.token(t, store.Token{Workspace: a.Workspace.ID, Deployment: a.Sales.ID, Role: slipway.Owner}), good, 404, "There is no Workspace"},
		"of one kind, all": {a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Owner, Kinds: "DAG_ONLY"}), good, 403,
			"hands on no more than it has"},
		"that expires, for ever": {a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Owner, ExpiresAt: time.Now().Add(time.Hour)}), good, 403,
			"issues none that outlasts it"},
		"other Workspace":         {a.owner, newToken("WORKSPACE", string(a.Other.ID), "WORKSPACE_MEMBER", ""), 404, "There is no Workspace"},
		"no such scope":           {a.owner, newToken("ORGANIZATION", "slipway", "ORGANIZATION_OWNER", ""), 400, "WORKSPACE or DEPLOYMENT"},
		"no entity":               {a.owner, newToken("WORKSPACE", "", "WORKSPACE_MEMBER", ""), 400, "entityId"},
		"no such role":            {a.owner, newToken("WORKSPACE", ws, "DEPLOYMENT_ADMIN", ""), 400, "WORKSPACE_MEMBER, WORKSPACE_AUTHOR"},
		"no such kind":            {a.owner, newToken("WORKSPACE", ws, "WORKSPACE_MEMBER", `,"deployKinds":["BUNDLE"]`), 400, "no kind of deploy"},
		"too long":                {a.owner, newToken("WORKSPACE", ws, "WORKSPACE_MEMBER", `,"tokenExpiryPeriodInDays":4000`), 400, "lasts 1 to 3650 days"},
		"no name":                 {a.owner, strings.Replace(good, `"ci"`, `""`, 1), 400, "An API token needs a name."},
		"in another Organisation": {a.owner, good, 404, "There is no Organization"},
	} {
		t.Run(name, func(t *testing.T) {
			path := orgPath
			if strings.HasPrefix(name, "in another") {
				path = "/v1/organizations/other"
			}
			wantRefused(t, a.send(t, tt.by, "POST", path+"/tokens", tt.body), tt.status, tt.says)
		})
	}
}

// TestTokenForAFolder: the folder is cleaned, limits the other rights, and never
// changes.
func TestTokenForAFolder(t *testing.T) {
	a := newApp(t)
	ws := string(a.Workspace.ID)
	for more, says := range map[string]string{
		`,"folder":"team_b","deployKinds":["DAG_ONLY","IMAGE_ONLY"]`: "makes deploys of DAGs alone",
		`,"folder":"team_b","deployKinds":["IMAGE_ONLY"]`:            "makes deploys of DAGs alone",
		`,"folder":"../x"`:     `".."`,
		`,"folder":"a/../b"`:   `".."`,
		`,"folder":"dags"`:     "is no folder inside dags",
		`,"folder":"/"`:        "is no folder inside dags",
		`,"folder":"a\u0000b"`: "control character",
	} {
		wantRefused(t, a.send(t, a.owner, "POST", orgPath+"/tokens", newToken("WORKSPACE", ws, "WORKSPACE_AUTHOR", more)), 400, says)
	}
	for _, role := range []string{"WORKSPACE_OPERATOR", "WORKSPACE_OWNER"} {
		wantRefused(t, a.send(t, a.owner, "POST", orgPath+"/tokens", newToken("WORKSPACE", ws, role, `,"folder":"team_b"`)), 400, "is an Author at most")
	}
	id, secret := a.made(t, a.owner, newToken("WORKSPACE", ws, "WORKSPACE_AUTHOR", `,"folder":"dags/team_b/"`))
	path := orgPath + "/tokens/" + id
	wantFolder := func() {
		t.Helper()
		if seen := a.get(t, path); seen["folder"] != "team_b" || !slices.Equal(seen["deployKinds"].([]any), []any{"DAG_ONLY"}) {
			t.Errorf("%v", seen)
		}
	}
	wantFolder()
	for body, says := range map[string]string{
		`{"folder":"team_a"}`: "never changes", `{"folder":""}`: "never changes", `{"deployKinds":[]}`: "deploys of DAGs alone", `{"deployKinds":["DAG_ONLY","IMAGE_ONLY"]}`: "deploys of DAGs alone",
	} {
		wantRefused(t, a.send(t, a.owner, "POST", path, body), 400, says)
	}
	wantRefused(t, a.send(t, a.owner, "POST", path+"/roles", `{"roles":[{"entityType":"WORKSPACE","entityId":"`+ws+`","role":"WORKSPACE_OPERATOR"}]}`), 400, "is an Author at most")
	wantOK(t, a.send(t, a.owner, "POST", path, `{"name":"ci-b","folder":"team_b"}`))
	wantOK(t, a.send(t, a.owner, "POST", path+"/rotate", ""))
	wantFolder()
	if a.good(t, secret) {
		t.Error("the old secret is good")
	}
}

func TestListTokens(t *testing.T) {
	a := newApp(t)
	a.made(t, a.owner, newToken("DEPLOYMENT", string(a.Sales.ID), "DEPLOYMENT_ADMIN", ""))
	a.made(t, a.owner, newToken("WORKSPACE", string(a.Workspace.ID), "WORKSPACE_MEMBER", ""))
	oli, eve := a.login(t, a.Oli.User), a.login(t, a.Eve.User)
	of := a.token(t, store.Token{Workspace: a.Workspace.ID, Deployment: a.Sales.ID, Role: slipway.Owner})
	for name, tt := range map[string]struct {
		by, query string
		status    int
		total     int
	}{
		"all":                        {a.owner, "", 200, 4},
		"Workspace's":                {a.owner, "&workspaceId=" + string(a.Workspace.ID), 200, 2},
		"Deployment's":               {a.owner, "&deploymentId=" + string(a.Sales.ID), 200, 2},
		"Organization's":             {a.owner, "&includeOnlyOrganizationTokens=true", 200, 0},
		"Operator":                   {oli, "", 200, 2},
		"Operator, Deployment's":     {oli, "&deploymentId=" + string(a.Sales.ID), 403, 0},
		"Author":                     {eve, "", 200, 0},
		"Author, Workspace's":        {eve, "&workspaceId=" + string(a.Workspace.ID), 403, 0},
		"another Workspace's":        {a.owner, "&workspaceId=" + string(a.Other.ID), 404, 0},
		"token of one Deployment":    {of, "", 200, 2},
		"that one, of its Workspace": {of, "&workspaceId=" + string(a.Workspace.ID), 404, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := a.send(t, tt.by, "GET", orgPath+"/tokens?limit=100&offset=0"+tt.query, "")
			if w.status != tt.status {
				t.Fatalf("answer %d, want %d:\n%s", w.status, tt.status, w.text)
			}
			if tt.status == http.StatusOK && (w.body["totalCount"] != float64(tt.total) || len(w.body["tokens"].([]any)) != tt.total) {
				t.Errorf("%v tokens, want %d:\n%s", w.body["totalCount"], tt.total, w.text)
			}
		})
	}
}

func TestTokensPaging(t *testing.T) {
	a := newApp(t)
	for range 129 {
		a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Member})
	}
	ids := map[any]bool{}
	for _, offset := range []int{0, 100, 200} {
		w := a.get(t, fmt.Sprintf("%s/tokens?workspaceId=%s&limit=100&offset=%d", orgPath, a.Workspace.ID, offset))
		for _, o := range w["tokens"].([]any) {
			ids[o.(map[string]any)["id"]] = true
		}
	}
	if len(ids) != 130 {
		t.Errorf("%d tokens, want 130", len(ids))
	}
}

func TestRotateToken(t *testing.T) {
	a := newApp(t)
	id, old := a.made(t, a.owner, newToken("DEPLOYMENT", string(a.Sales.ID), "DEPLOYMENT_AUTHOR", `,"tokenExpiryPeriodInDays":30`))
	a.later.Store(int64(20 * 24 * time.Hour))
	w := a.post(t, orgPath+"/tokens/"+id+"/rotate", "")
	wantOK(t, w)
	next := w.body["token"].(string)
	if a.good(t, old) || !a.good(t, next) || w.body["id"] != id {
		t.Errorf("old %v, new %v", a.good(t, old), a.good(t, next))
	}
	a.later.Store(int64(49 * 24 * time.Hour))
	if !a.good(t, next) {
		t.Error("it has ended before its time")
	}
	a.later.Store(int64(51 * 24 * time.Hour))
	if a.good(t, next) {
		t.Error("it has not ended")
	}
}

func TestRevokeToken(t *testing.T) {
	a := newApp(t)
	id, secret := a.made(t, a.owner, newToken("WORKSPACE", string(a.Workspace.ID), "WORKSPACE_OWNER", ""))
	wantRefused(t, a.send(t, a.login(t, a.Oli.User), "DELETE", orgPath+"/tokens/"+id, ""), 403, "up to your own role")
	wantRefused(t, a.send(t, a.login(t, a.Eve.User), "DELETE", orgPath+"/tokens/"+id, ""), 403, "needs the Operator role")
	wantRefused(t, a.send(t, a.login(t, a.Sam.User), "DELETE", orgPath+"/tokens/"+id, ""), 404, "There is no API token")
	if w := a.send(t, a.owner, "DELETE", orgPath+"/tokens/"+id, ""); w.status != http.StatusNoContent {
		t.Fatalf("answer %d:\n%s", w.status, w.text)
	}
	if a.good(t, secret) {
		t.Error("a revoked token is good")
	}
	wantRefused(t, a.send(t, a.owner, "DELETE", orgPath+"/tokens/"+id, ""), 404, "There is no API token")
}

func TestUpdateToken(t *testing.T) {
	a := newApp(t)
	id, secret := a.made(t, a.owner, newToken("WORKSPACE", string(a.Workspace.ID), "WORKSPACE_AUTHOR", ""))
	path := orgPath + "/tokens/" + id
	w := a.post(t, path, `{"name":"other","description":""}`)
	wantOK(t, w)
	if w.body["name"] != "other" || w.body["description"] != "" {
		t.Errorf("%v", w.body)
	}
	role := func(scope, id, role string) string {
		return fmt.Sprintf(`{"roles":[{"entityType":%q,"entityId":%q,"role":%q}]}`, scope, id, role)
	}
	own := role("WORKSPACE", string(a.Workspace.ID), "WORKSPACE_OWNER")
	wantRefused(t, a.send(t, a.login(t, a.Oli.User), "POST", path+"/roles", own), 403, "up to your own role")
	wantRefused(t, a.post(t, path+"/roles", role("DEPLOYMENT", string(a.Sales.ID), "DEPLOYMENT_ADMIN")), 400, "has one role")
	wantRefused(t, a.post(t, path+"/roles", `{}`), 400, "has one role")
	wantRefused(t, a.send(t, secret, "POST", path+"/roles", own), 403, "needs the Operator role")
	wantOK(t, a.post(t, path+"/roles", own))
	if got := a.get(t, path)["roles"].([]any)[0].(map[string]any)["role"]; got != "WORKSPACE_OWNER" {
		t.Errorf("role %v", got)
	}
	wantOK(t, a.send(t, secret, "GET", path, "")) // it may by its new role
}

func TestUsers(t *testing.T) {
	a := newApp(t)
	w := a.get(t, orgPath+"/users?limit=100&offset=0&workspaceId="+string(a.Workspace.ID))
	roles := map[string]any{}
	for _, o := range w["users"].([]any) {
		u := o.(map[string]any)
		role := u["workspaceRoles"].([]any)[0].(map[string]any)
		if role["workspaceId"] != string(a.Workspace.ID) || u["id"] == "" || u["createdAt"] == "" {
			t.Errorf("%v", u)
		}
		roles[u["username"].(string)] = role["role"]
	}
	if fmt.Sprint(roles) != "map[ada@example.com:WORKSPACE_OWNER eve@example.com:WORKSPACE_AUTHOR mia@example.com:WORKSPACE_MEMBER oli@example.com:WORKSPACE_OPERATOR]" {
		t.Errorf("%v", roles)
	}
	if w := a.get(t, orgPath+"/users"); w["totalCount"] != float64(4) {
		t.Errorf("%v users", w["totalCount"])
	}
	wantRefused(t, a.send(t, a.owner, "GET", orgPath+"/users?workspaceId="+string(a.Other.ID), ""), 404, "There is no Workspace")
	of := a.token(t, store.Token{Workspace: a.Workspace.ID, Deployment: a.Sales.ID, Role: slipway.Owner})
	if w := a.send(t, of, "GET", orgPath+"/users", ""); w.body["totalCount"] != float64(0) {
		t.Errorf("a token of one Deployment sees %v", w.text)
	}
}

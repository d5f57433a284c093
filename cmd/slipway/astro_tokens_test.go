package main

import (
	"fmt"
	"net/http"
	"testing"
)

// TestAstroManagesTokens is `astro workspace token`, `astro deployment token`
// and `astro workspace user`; then the history and the way back, which the CLI
// reaches by `astro api cloud`.
func TestAstroManagesTokens(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			in := install(t, scheme)
			for _, tt := range []struct{ scope, id, role, query string }{
				{"WORKSPACE", string(in.WorkspaceID), "WORKSPACE_AUTHOR", "workspaceId=" + string(in.WorkspaceID)},
				{"DEPLOYMENT", string(in.DeploymentID), "DEPLOYMENT_ADMIN", "deploymentId=" + string(in.DeploymentID)},
			} {
				t.Run(tt.scope, func(t *testing.T) {
					a := in.astro(t, in.Token)
					id, secret := a.newToken(tt.scope, tt.id, tt.role)
					a.wantListed(tt.query, id)
					deploy := archiveOf(map[string]string{"dags/sales.py": tt.scope})
					in.astro(t, secret).deployDags("", deploy)
					next := a.rotate(id)
					in.astro(t, secret).refused("GET", "/v1/organizations?limit=100&offset=0", "", "token")
					in.astro(t, next).deployDags("", deploy)
					a.edit(id, tt.scope, tt.id, tt.role)
					a.revoke(id)
					in.astro(t, next).refused("GET", "/v1/organizations?limit=100&offset=0", "", "token")
				})
			}
			t.Run("users", func(t *testing.T) { wantUsers(in.astro(t, in.Token)) })
			t.Run("way back", func(t *testing.T) { goBack(in.astro(t, in.Token)) })
		})
	}
}

// newToken is `token create`.
func (a *astro) newToken(scope, of, role string) (id, secret string) {
	a.Helper()
	a.hello()
	body := fmt.Sprintf(`{"scope":%q,"entityId":%q,"name":"ci","role":%q,"description":"nightly","tokenExpiryPeriodInDays":30}`, scope, of, role)
	got := a.do("POST", a.org+"/tokens", body, "id", "token", "shortToken", "startAt", "createdBy", "roles")
	return got["id"].(string), got["token"].(string)
}

// wantListed is `token list`: the CLI shows what comes, so the server filters.
func (a *astro) wantListed(query, id string) {
	a.Helper()
	a.hello()
	found := 0
	for _, each := range a.do("GET", a.org+"/tokens?limit=100&offset=0&"+query, "", "tokens", "totalCount")["tokens"].([]any) {
		if got := each.(fields); got["id"] == id && got["token"] == nil {
			found++
		}
	}
	if found != 1 {
		a.Errorf("token %s is listed %d times by %s", id, found, query)
	}
}

// rotate is `token rotate ID --force`.
func (a *astro) rotate(id string) (secret string) {
	a.Helper()
	a.hello()
	a.do("GET", a.org+"/tokens/"+id, "", "id", "scope")
	return a.do("POST", a.org+"/tokens/"+id+"/rotate", "", "token")["token"].(string)
}

// edit is `token update`.
func (a *astro) edit(id, scope, of, role string) {
	a.Helper()
	a.do("POST", a.org+"/tokens/"+id, `{"name":"ci 2","description":"weekly"}`, "id")
	body := fmt.Sprintf(`{"roles":[{"entityType":%q,"entityId":%q,"role":%q}]}`, scope, of, role)
	a.do("POST", a.org+"/tokens/"+id+"/roles", body, "roles")
	if got := a.do("GET", a.org+"/tokens/"+id, ""); got["name"] != "ci 2" || got["description"] != "weekly" {
		a.Errorf("the token is %v", got)
	}
}

// revoke is `token delete`.
func (a *astro) revoke(id string) {
	a.Helper()
	a.do("GET", a.org+"/tokens/"+id, "", "scope")
	if answer, text := a.request("DELETE", a.org+"/tokens/"+id, ""); answer.StatusCode != http.StatusNoContent && answer.StatusCode != http.StatusOK {
		a.Errorf("revoke: answer %d: %s", answer.StatusCode, text)
	}
}

// wantUsers is `astro workspace user list`.
func wantUsers(a *astro) {
	a.hello()
	users := a.do("GET", a.org+"/users?limit=100&offset=0&workspaceId="+string(a.in.WorkspaceID), "", "users", "totalCount")["users"].([]any)
	ada := users[0].(fields)
	a.need(ada, "id", "username", "fullName", "status", "createdAt", "workspaceRoles")
	role := ada["workspaceRoles"].([]any)[0].(fields)
	if len(users) != 1 || ada["username"] != "ada@example.com" || role["workspaceId"] != string(a.in.WorkspaceID) || role["role"] != "WORKSPACE_OWNER" {
		a.Errorf("users %v", users)
	}
}

// goBack returns to the first deploy by hand.
func goBack(a *astro) {
	a.hello()
	got := a.do("GET", a.deploymentPath()+"/deploys?limit=100&offset=0", "", "deploys", "totalCount")
	all := got["deploys"].([]any)
	if len(all) < 2 || got["totalCount"] != float64(len(all)) {
		a.Fatalf("%d deploys, %v in all", len(all), got["totalCount"])
	}
	first := all[len(all)-1].(fields)
	path := fmt.Sprintf("%s/deploys/%s", a.deploymentPath(), first["id"])
	a.do("GET", path, "", "id", "status", "dagTarballVersion")
	w := a.do("POST", path+"/rollback", `{"description":"undo"}`, "id", "returnTo")
	a.awaitHealthy()
	d := a.deployment()
	if w["returnTo"] != first["number"] || d["currentDagTarballVersion"] != first["dagTarballVersion"] || a.in.mounted(a.T, "sales.py") != "WORKSPACE" {
		a.Errorf("after the return: %v, mounted %q", d, a.in.mounted(a.T, "sales.py"))
	}
}

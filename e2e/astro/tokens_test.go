package astro

import (
	"fmt"
	"net/http"
	"testing"

	"slipway/e2e/program"
)

// TestAstroManagesTokens is `astro workspace token`, `astro deployment token`
// and `astro workspace user`; then the history and the way back, which the CLI
// reaches by `astro api cloud`.
func TestAstroManagesTokens(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			in := program.Install(t, scheme)
			for _, tt := range []struct{ scope, id, role, query string }{
				{"WORKSPACE", string(in.WorkspaceID), "WORKSPACE_AUTHOR", "workspaceId=" + string(in.WorkspaceID)},
				{"DEPLOYMENT", string(in.DeploymentID), "DEPLOYMENT_ADMIN", "deploymentId=" + string(in.DeploymentID)},
			} {
				t.Run(tt.scope, func(t *testing.T) {
					a := astro{in.Astro(t, in.Token)}
					id, secret := a.newToken(tt.scope, tt.id, tt.role)
					a.wantListed(tt.query, id)
					deploy := program.ArchiveOf(map[string]string{"dags/sales.py": tt.scope})
					astro{in.Astro(t, secret)}.DeployDAGs("", deploy)
					next := a.rotate(id)
					astro{in.Astro(t, secret)}.WantRefusal("GET", "/v1/organizations?limit=100&offset=0", "", "token")
					astro{in.Astro(t, next)}.DeployDAGs("", deploy)
					a.edit(id, tt.scope, tt.id, tt.role)
					a.revoke(id)
					astro{in.Astro(t, next)}.WantRefusal("GET", "/v1/organizations?limit=100&offset=0", "", "token")
				})
			}
			t.Run("users", func(t *testing.T) { wantUsers(astro{in.Astro(t, in.Token)}) })
			t.Run("way back", func(t *testing.T) { goBack(astro{in.Astro(t, in.Token)}) })
		})
	}
}

// newToken is `token create`.
func (a astro) newToken(scope, of, role string) (id, secret string) {
	a.Helper()
	a.CheckOrganization()
	body := fmt.Sprintf(`{"scope":%q,"entityId":%q,"name":"ci","role":%q,"description":"nightly","tokenExpiryPeriodInDays":30}`, scope, of, role)
	got := a.Do("POST", a.Organization+"/tokens", body, "id", "token", "shortToken", "startAt", "createdBy", "roles")
	return got["id"].(string), got["token"].(string)
}

// wantListed is `token list`: the CLI shows what comes, so the server filters.
func (a astro) wantListed(query, id string) {
	a.Helper()
	a.CheckOrganization()
	found := 0
	for _, each := range a.Do("GET", a.Organization+"/tokens?limit=100&offset=0&"+query, "", "tokens", "totalCount")["tokens"].([]any) {
		if got := each.(program.Fields); got["id"] == id && got["token"] == nil {
			found++
		}
	}
	if found != 1 {
		a.Errorf("token %s is listed %d times by %s", id, found, query)
	}
}

// rotate is `token rotate ID --force`.
func (a astro) rotate(id string) (secret string) {
	a.Helper()
	a.CheckOrganization()
	a.Do("GET", a.Organization+"/tokens/"+id, "", "id", "scope")
	return a.Do("POST", a.Organization+"/tokens/"+id+"/rotate", "", "token")["token"].(string)
}

// edit is `token update`.
func (a astro) edit(id, scope, of, role string) {
	a.Helper()
	a.Do("POST", a.Organization+"/tokens/"+id, `{"name":"ci 2","description":"weekly"}`, "id")
	body := fmt.Sprintf(`{"roles":[{"entityType":%q,"entityId":%q,"role":%q}]}`, scope, of, role)
	a.Do("POST", a.Organization+"/tokens/"+id+"/roles", body, "roles")
	if got := a.Do("GET", a.Organization+"/tokens/"+id, ""); got["name"] != "ci 2" || got["description"] != "weekly" {
		a.Errorf("the token is %v", got)
	}
}

// revoke is `token delete`.
func (a astro) revoke(id string) {
	a.Helper()
	a.Do("GET", a.Organization+"/tokens/"+id, "", "scope")
	if r := a.Request("DELETE", a.Organization+"/tokens/"+id, ""); r.Status != http.StatusNoContent && r.Status != http.StatusOK {
		a.Errorf("revoke: answer %d: %s", r.Status, r.Body)
	}
}

// wantUsers is `astro workspace user list`.
func wantUsers(a astro) {
	a.CheckOrganization()
	users := a.Do("GET", a.Organization+"/users?limit=100&offset=0&workspaceId="+string(a.Installation.WorkspaceID), "", "users", "totalCount")["users"].([]any)
	ada := users[0].(program.Fields)
	a.RequireFields(ada, "id", "username", "fullName", "status", "createdAt", "workspaceRoles")
	role := ada["workspaceRoles"].([]any)[0].(program.Fields)
	if len(users) != 1 || ada["username"] != "ada@example.com" || role["workspaceId"] != string(a.Installation.WorkspaceID) || role["role"] != "WORKSPACE_OWNER" {
		a.Errorf("users %v", users)
	}
}

// goBack returns to the first deploy by hand.
func goBack(a astro) {
	a.CheckOrganization()
	got := a.Do("GET", a.DeploymentPath()+"/deploys?limit=100&offset=0", "", "deploys", "totalCount")
	all := got["deploys"].([]any)
	if len(all) < 2 || got["totalCount"] != float64(len(all)) {
		a.Fatalf("%d deploys, %v in all", len(all), got["totalCount"])
	}
	first := all[len(all)-1].(program.Fields)
	path := fmt.Sprintf("%s/deploys/%s", a.DeploymentPath(), first["id"])
	a.Do("GET", path, "", "id", "status", "dagTarballVersion")
	w := a.Do("POST", path+"/rollback", `{"description":"undo"}`, "id", "returnTo")
	a.AwaitHealthy()
	d := a.Deployment()
	if w["returnTo"] != first["number"] || d["currentDagTarballVersion"] != first["dagTarballVersion"] || a.Installation.Mounted(a.T, "sales.py") != "WORKSPACE" {
		a.Errorf("after the return: %v, mounted %q", d, a.Installation.Mounted(a.T, "sales.py"))
	}
}

package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestOrganizations(t *testing.T) {
	a := newApp(t)
	w := a.get(t, "/v1/organizations?limit=100&offset=0")
	first := w["organizations"].([]any)[0].(map[string]any)
	if first["id"] != slipway.OrganizationID || first["product"] != "HOSTED" || first["name"] != "Slipway" || w["totalCount"] != float64(1) {
		t.Errorf("%v", w)
	}
	if w := a.get(t, "/v1/organizations?limit=100&offset=1"); len(w["organizations"].([]any)) != 0 {
		t.Errorf("the second page is %v", w)
	}
	if w := a.get(t, orgPath); w["id"] != slipway.OrganizationID {
		t.Errorf("%v", w)
	}
}

func TestErrorsAreJSON(t *testing.T) {
	a := newApp(t)
	for path, want := range map[string]int{
		"/v1/organizations//workspaces":                        http.StatusNotFound, // never a redirect
		"/v1/organizations/other/workspaces":                   http.StatusNotFound,
		"/v1/organizations/other":                              http.StatusNotFound,
		"/v1/nothing":                                          http.StatusNotFound,
		"/private/nothing":                                     http.StatusNotFound,
		orgPath + "/deployments/nope":                          http.StatusNotFound,
		orgPath + "/workspaces?limit=-1":                       http.StatusBadRequest,
		orgPath + "/workspaces?sorts=size%3Aasc":               http.StatusBadRequest,
		orgPath + "/deployments?limit=x":                       http.StatusBadRequest,
		a.sales() + "/deploys/nope":                            http.StatusNotFound,
		"/v1/organizations//deployments/" + string(a.Sales.ID): http.StatusNotFound,
	} {
		wantRefused(t, a.send(t, a.owner, "GET", path, ""), want, "")
	}
	wantRefused(t, a.send(t, "", "GET", orgPath, ""), http.StatusUnauthorized, "Send an API token")
}

// No page of another site, and none of ours, can make a browser act here: a
// session's cookie is nothing. A script that has a token may come from anywhere.
func TestCookiesDoNotCount(t *testing.T) {
	a := newApp(t)
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.AddSession(fingerprint("s3cret"), a.Ada.User) })
	r, err := http.NewRequestWithContext(t.Context(), "GET", a.server.URL+orgPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "slipway", Value: "s3cret"})
	wantRefused(t, a.do(t, r), http.StatusUnauthorized, "")
	r, err = http.NewRequestWithContext(t.Context(), "POST", a.server.URL+a.sales(), strings.NewReader(`{"description":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Authorization", "Bearer "+a.owner)
	wantOK(t, a.do(t, r))
}

func TestWorkspaces(t *testing.T) {
	a := newApp(t)
	admin := a.login(t, a.Root.User)
	for query, want := range map[string]string{
		"?limit=1000&offset=0&sorts=name%3Aasc": "Data Platform, Other",
		"?sorts=name%3Adesc":                    "Other, Data Platform",
		"?limit=1&sorts=name%3Aasc":             "Data Platform",
		"?limit=1&offset=1&sorts=name":          "Other",
	} {
		w := a.send(t, admin, "GET", orgPath+"/workspaces"+query, "")
		wantOK(t, w)
		if got := names(w.body["workspaces"]); got != want || w.body["totalCount"] != float64(2) {
			t.Errorf("%s: %s of %v, want %s", query, got, w.body["totalCount"], want)
		}
	}
	only := a.get(t, orgPath+"/workspaces?limit=1000&offset=0&sorts=name%3Aasc")
	if names(only["workspaces"]) != "Data Platform" || only["workspaces"].([]any)[0].(map[string]any)["organizationId"] != slipway.OrganizationID {
		t.Errorf("%v", only)
	}
	if w := a.get(t, orgPath+"/workspaces/"+string(a.Workspace.ID)); w["name"] != "Data Platform" {
		t.Errorf("%v", w)
	}
}

func names(list any) string {
	var all []string
	for _, v := range list.([]any) {
		all = append(all, fmt.Sprint(v.(map[string]any)["name"]))
	}
	return strings.Join(all, ", ")
}

func TestListDeployments(t *testing.T) {
	a := newApp(t)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		_, err := storetest.AddDeployment(tx, a.Workspace.ID, "alpha")
		_, err2 := storetest.AddDeployment(tx, a.Other.ID, "foreign")
		return errors.Join(err, err2)
	})
	one := a.token(t, store.Token{Workspace: a.Workspace.ID, Deployment: a.Sales.ID, Role: slipway.Author})
	for name, tt := range map[string]struct{ token, query, want string }{
		"workspace":        {a.owner, "?limit=1000&offset=0&workspaceIds=" + string(a.Workspace.ID), "alpha, sales-prod"},
		"all":              {a.owner, "?limit=1000&offset=0", "alpha, sales-prod"},
		"foreign":          {a.owner, "?workspaceIds=" + string(a.Other.ID), ""},
		"two workspaces":   {a.owner, "?workspaceIds=" + string(a.Other.ID) + "&workspaceIds=" + string(a.Workspace.ID), "alpha, sales-prod"},
		"second page":      {a.owner, "?limit=1&offset=1", "sales-prod"},
		"one Deployment's": {one, "?workspaceIds=" + string(a.Workspace.ID), "sales-prod"},
		"admin":            {a.login(t, a.Root.User), "", "alpha, foreign, sales-prod"},
		"stranger":         {a.login(t, a.Sam.User), "", "foreign"},
	} {
		w := a.send(t, tt.token, "GET", orgPath+"/deployments"+tt.query, "")
		wantOK(t, w)
		if got := names(w.body["deployments"]); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// Without any of these the CLI panics, or takes the Deployment for none.
func TestDeploymentObject(t *testing.T) {
	a := newApp(t)
	o := a.get(t, a.sales())
	for _, field := range strings.Fields(`id workspaceId organizationId isDagDeployEnabled type executor schedulerSize isHighAvailability isDevelopmentMode
		workspaceName defaultTaskPodCpu defaultTaskPodMemory resourceQuotaCpu resourceQuotaMemory workerQueues namespace status
		runtimeVersion name description isCicdEnforced environmentVariables contactEmails createdAt updatedAt`) {
		if v, there := o[field]; !there || v == nil {
			t.Errorf("%s is missing", field)
		}
	}
	if o["type"] != "STANDARD" || o["executor"] != "CELERY" || o["schedulerSize"] != "SMALL" || o["clusterId"] != nil ||
		o["workspaceName"] != "Data Platform" || o["namespace"] != a.Sales.Namespace || o["name"] != "sales-prod" {
		t.Errorf("%v", o)
	}
	listed := a.get(t, orgPath+"/deployments")["deployments"].([]any)[0].(map[string]any)
	if fmt.Sprint(listed["id"], listed["type"], listed["executor"]) != fmt.Sprint(o["id"], o["type"], o["executor"]) {
		t.Errorf("the list has %v", listed)
	}
}

// whole is what the CLI sends to update a Deployment: all that it knows.
func (a *app) whole(on bool) string {
	return fmt.Sprintf(`{"type":"STANDARD","name":"sales-prod","description":"","workspaceId":%q,"executor":"CELERY","schedulerSize":"SMALL",
		"isDagDeployEnabled":%v,"isCicdEnforced":false,"isHighAvailability":false,"isDevelopmentMode":false,"defaultTaskPodCpu":"0.25",
		"defaultTaskPodMemory":"0.5Gi","resourceQuotaCpu":"10","resourceQuotaMemory":"20Gi","environmentVariables":[],"workerQueues":[]}`, a.Workspace.ID, on)
}

func TestSwitch(t *testing.T) {
	a := newApp(t)
	operator := a.token(t, store.Token{Workspace: a.Workspace.ID, Role: slipway.Operator})
	wantRefused(t, a.send(t, operator, "POST", a.sales(), a.whole(false)), http.StatusForbidden, "needs the Owner role")
	if o := a.get(t, a.sales()); o["isDagDeployEnabled"] != true {
		t.Fatalf("an Operator switched: %v", o)
	}
	w := a.post(t, a.sales(), a.whole(false))
	wantOK(t, w)
	if w.body["isDagDeployEnabled"] != false || w.body["needsImageDeploy"] != true || w.body["type"] != "STANDARD" || w.body["id"] != string(a.Sales.ID) {
		t.Errorf("%v", w.body)
	}
	wantOK(t, a.post(t, a.sales(), a.whole(false))) // nothing to do
	wantRefused(t, a.post(t, a.sales()+"/deploys", `{"type":"DAG_ONLY","description":""}`), http.StatusConflict, "DAG-only deploys are not enabled for this Deployment.")
	if w := a.post(t, a.sales(), a.whole(true)); w.body["isDagDeployEnabled"] != true || w.body["needsImageDeploy"] != false {
		t.Errorf("back: %v", w.body)
	}
}

func TestUpdateDeployment(t *testing.T) {
	a := newApp(t)
	w := a.post(t, a.sales(), `{"name":"sales","description":"new","isCicdEnforced":true,"environmentVariables":[]}`)
	wantOK(t, w)
	if w.body["name"] != "sales" || w.body["description"] != "new" || w.body["isCicdEnforced"] != true || w.body["isDagDeployEnabled"] != true {
		t.Errorf("%v", w.body)
	}
	wantOK(t, a.post(t, a.sales(), `{}`))
	if o := a.get(t, a.sales()); o["name"] != "sales" || o["description"] != "new" || o["isCicdEnforced"] != true {
		t.Errorf("nothing sent, but %v", o)
	}
	wantRefused(t, a.post(t, a.sales(), `{"name":" "}`), http.StatusBadRequest, "needs a name")
	wantRefused(t, a.post(t, a.sales(), `{"workspaceId":"`+string(a.Other.ID)+`"}`), http.StatusBadRequest, "cannot move")
	// What is refused in part is not done in part.
	wantRefused(t, a.post(t, a.sales(), `{"name":" ","isDagDeployEnabled":false}`), http.StatusBadRequest, "needs a name")
	if o := a.get(t, a.sales()); o["isDagDeployEnabled"] != true {
		t.Error("it switched although the name was refused")
	}
}

func TestCreateAndDeleteDeployment(t *testing.T) {
	a := newApp(t)
	w := a.post(t, orgPath+"/deployments", `{"type":"STANDARD","name":"new","description":"d","workspaceId":"`+string(a.Workspace.ID)+`","isDagDeployEnabled":false,"isCicdEnforced":true}`)
	wantOK(t, w)
	if w.body["name"] != "new" || w.body["description"] != "d" || w.body["isDagDeployEnabled"] != false || w.body["isCicdEnforced"] != true {
		t.Errorf("%v", w.body)
	}
	wantRefused(t, a.post(t, orgPath+"/deployments", `{"name":"new","workspaceId":"`+string(a.Workspace.ID)+`"}`), http.StatusConflict, "named new")
	wantRefused(t, a.post(t, orgPath+"/deployments", `{"name":"x","workspaceId":"`+string(a.Other.ID)+`"}`), http.StatusNotFound, "There is no Workspace")
	wantRefused(t, a.post(t, orgPath+"/deployments", `{"name":"x"}`), http.StatusBadRequest, "workspaceId")
	path := orgPath + "/deployments/" + w.body["id"].(string)
	if w := a.send(t, a.owner, "DELETE", path, ""); w.status != http.StatusNoContent {
		t.Fatalf("answer %d:\n%s", w.status, w.text)
	}
	wantRefused(t, a.send(t, a.owner, "GET", path, ""), http.StatusNotFound, "There is no Deployment")
}

func TestDeploymentOptions(t *testing.T) {
	a := newApp(t)
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		d := a.Sales
		d.Runtime = "12.42.0-private"
		return tx.SaveState(d)
	})
	var got []string
	for _, v := range a.get(t, orgPath+"/deployment-options")["runtimeReleases"].([]any) {
		got = append(got, v.(map[string]any)["version"].(string))
	}
	for _, want := range []string{"3.99-1", "12.42.0-private", "3.0-4", "13.0.0"} { // given, seen, embedded
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
	if got[0] != "3.99-1" {
		t.Errorf("the newest is %s", got[0])
	}
}

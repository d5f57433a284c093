package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// TestFieldsWithoutEffect: what a request asks of a Deployment is done or refused by
// name. What the Deployment has already, and what asks for nothing, is taken.
func TestFieldsWithoutEffect(t *testing.T) {
	a := newApp(t)
	for _, tt := range []struct {
		field, value   string
		update, create string // part of the refusal; "": taken
	}{
		{"type", `"STANDARD"`, "", ""},
		{"type", `"DEDICATED"`, `it is "STANDARD" for every Deployment`, `it is "STANDARD"`},
		{"type", `"HYBRID"`, "STANDARD", "STANDARD"},
		{"type", `""`, "", ""},
		{"executor", `"CELERY"`, "", ""},
		{"executor", `"KUBERNETES"`, `executor cannot be "KUBERNETES": it is "CELERY"`, "KUBERNETES"},
		{"executor", `"ASTRO"`, `executor cannot be "ASTRO"`, ""}, // the CLI's default
		{"executor", `"celery"`, `cannot be "celery"`, `cannot be "celery"`},
		{"executor", `"X"`, `cannot be "X"`, `cannot be "X"`},
		{"executor", `7`, "cannot be 7", "cannot be 7"},
		{"schedulerSize", `"SMALL"`, "", ""},
		{"schedulerSize", `"LARGE"`, `schedulerSize cannot be "LARGE"`, "LARGE"},
		{"schedulerSize", `""`, "", ""},
		{"schedulerReplicas", `1`, "", ""},
		{"schedulerReplicas", `2`, "schedulerReplicas cannot be 2", "cannot be 2"},
		{"isHighAvailability", `false`, "", ""},
		{"isHighAvailability", `true`, "isHighAvailability cannot be true", "cannot be true"},
		{"isDevelopmentMode", `true`, "isDevelopmentMode cannot be true", "cannot be true"},
		{"defaultTaskPodCpu", `"0.25"`, "", ""},
		{"defaultTaskPodCpu", `"2"`, `defaultTaskPodCpu cannot be "2"`, `cannot be "2"`},
		{"defaultTaskPodMemory", `"4Gi"`, "defaultTaskPodMemory", "defaultTaskPodMemory"},
		{"resourceQuotaCpu", `"20"`, "resourceQuotaCpu", "resourceQuotaCpu"},
		{"resourceQuotaMemory", `"40Gi"`, "resourceQuotaMemory", "resourceQuotaMemory"},
		{"environmentVariables", `[]`, "", ""},
		{"environmentVariables", `[{"key":"K","value":"s3cret","isSecret":true}]`, "Set them where Airflow runs", "Slipway sets no environment variables"},
		{"workerQueues", `[]`, "", ""},
		{"workerQueues", `[{"name":"default","isDefault":true,"astroMachine":"A5"}]`, "manages no worker queues", "manages no worker queues"},
		{"contactEmails", `["a@example.com"]`, "sends no e-mail", "sends no e-mail"},
		{"scalingSpec", `null`, "", ""},
		{"scalingSpec", `{"hibernationSpec":{"schedules":[{"hibernateAtCron":"1 * * * *"}]}}`, "does not scale", "does not scale"},
		{"remoteExecution", `{"enabled":false}`, "", ""},
		{"remoteExecution", `{"enabled":true}`, "agents are connected", "agents are connected"},
		{"workloadIdentity", `"arn:aws:iam::1:role/x"`, "no identity", "no identity"},
		{"clusterId", `"c1"`, "no clusters", "no clusters"},
		{"cloudProvider", `"AZURE"`, "has no cloud", ""}, // the CLI's default
		{"cloudProvider", `"AWS"`, "has no cloud", "has no cloud"},
		{"region", `"self-hosted"`, "no regions but", ""},
		{"region", `"eu-west-1"`, "no regions but", "no regions but"},
		{"astroRuntimeVersion", `"3.1-4"`, "does not change it", ""},
		{"isCicdEnforce", `true`, `There is no field "isCicdEnforce"`, `There is no field "isCicdEnforce"`},
		{"isCicdEnforce", `false`, "", ""},
		{"taskPodNodePoolId", `"x"`, "There is no field", "There is no field"},
		{"namespace", `"other"`, "does not change it", "There is no field"},
		{"imageTag", `"v2"`, "does not change it", "There is no field"},
		{"needsImageDeploy", `true`, "needsImageDeploy is false", "There is no field"},
		{"status", `"HEALTHY"`, "", "There is no field"}, // changes by itself
		{"health", `"CREATING"`, "", "There is no field"},
		{"isMountedHere", `true`, "", ""},
		{"isMountedHere", `false`, "isMountedHere is true", ""},
	} {
		update := a.post(t, a.sales(), fmt.Sprintf(`{"description":"new",%q:%s}`, tt.field, tt.value))
		create := a.post(t, orgPath+"/deployments", fmt.Sprintf(`{"workspaceId":%q,"name":"made",%q:%s}`, a.Workspace.ID, tt.field, tt.value))
		for what, got := range map[string]struct {
			answer
			says string
		}{"update": {update, tt.update}, "create": {create, tt.create}} {
			message := fmt.Sprint(got.body["message"])
			if got.says == "" && got.status != 200 || got.says != "" && (got.status != 400 || !strings.Contains(message, got.says) || !strings.Contains(message, "Nothing was changed")) {
				t.Errorf("%s with %s = %s: %d %s, want %q", what, tt.field, tt.value, got.status, got.text, got.says)
			}
			if strings.Contains(message, "s3cret") {
				t.Errorf("the refusal tells a secret: %s", message)
			}
		}
		if (a.get(t, a.sales())["description"] == "new") != (tt.update == "") {
			t.Errorf("update with %s = %s: the description is %v", tt.field, tt.value, a.get(t, a.sales())["description"])
		}
		a.post(t, a.sales(), `{"description":""}`)
		if id, made := create.body["id"]; made {
			a.send(t, a.owner, "DELETE", orgPath+"/deployments/"+id.(string), "")
		}
	}
}

// TestWholeObjectComesBack: what a client read may be sent back as it is, with a
// change of what can be changed.
func TestWholeObjectComesBack(t *testing.T) {
	a := newApp(t)
	o := a.get(t, a.sales())
	o = maps.Clone(o)
	o["description"] = "read, and sent back"
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	w := a.post(t, a.sales(), string(b))
	wantOK(t, w)
	if w.body["description"] != "read, and sent back" {
		t.Errorf("%v", w.body)
	}
}

// TestTokenFieldsWithoutEffect: a token is not made without a limit that was asked for.
func TestTokenFieldsWithoutEffect(t *testing.T) {
	a := newApp(t)
	body := func(more string) string {
		return fmt.Sprintf(`{"scope":"WORKSPACE","entityId":%q,"name":"n","role":"WORKSPACE_AUTHOR"%s}`, a.Workspace.ID, more)
	}
	wantRefused(t, a.post(t, orgPath+"/tokens", body(`,"expiresInDays":1`)), 400, `There is no field "expiresInDays"`)
	wantRefused(t, a.post(t, orgPath+"/tokens", body(`,"dagIds":["a"]`)), 400, `There is no field "dagIds"`)
	wantRefused(t, a.post(t, orgPath+"/tokens", body(`,"kind":"DIRECT_ACCESS"`)), 400, "kind STANDARD")
	w := a.post(t, orgPath+"/tokens", body(`,"dagIds":[],"kind":"STANDARD"`))
	wantOK(t, w)
	token := orgPath + "/tokens/" + w.body["id"].(string)
	wantRefused(t, a.post(t, token, `{"name":"n","tokenExpiryPeriodInDays":1}`), 400, "There is no field")
	wantOK(t, a.post(t, token, `{"name":"other","description":""}`))
}

// TestDeployFieldsWithoutEffect: a deploy is not made without what was asked for.
func TestDeployFieldsWithoutEffect(t *testing.T) {
	a := newApp(t)
	for body, says := range map[string]string{
		`{"type":"DAG_ONLY","merge":"add"}`:                           "There is no field \"merge\"",
		`{"type":"DAG_ONLY","bundleMountPath":"/x"}`:                  "does not take dbt bundles",
		`{"type":"BUNDLE","bundleType":"dbt","bundleMountPath":"/x"}`: "does not take dbt bundles",
		`{"type":"IMAGE"}`:                  "There is no kind of deploy",
		`{"type":""}`:                       "There is no kind of deploy",
		`{}`:                                "There is no kind of deploy",
		`{"type":"DAG_ONLY","dryRun":true}`: "There is no field \"dryRun\"",
	} {
		wantRefused(t, a.post(t, a.sales()+"/deploys", body), 400, says)
	}
	if a.total(t) != float64(0) {
		t.Errorf("%v deploys were made", a.total(t))
	}
	wantOK(t, a.post(t, a.sales()+"/deploys", `{"type":"DAG_ONLY","description":"","dryRun":false,"git":{"provider":"GENERIC","remoteUrl":"x","branch":"b","commitSha":"c","authorName":"a","beforeCommitSha":"d"}}`))
	d := a.start(t)
	path := a.sales() + "/deploys/" + d.id
	version := a.upload(t, d, map[string]string{"a.py": dag})
	wantRefused(t, a.post(t, path+"/finalize", `{"dagTarballVersion":"`+version+`","wait":"5m"}`), 400, "There is no field \"wait\"")
	wantRefused(t, a.post(t, path+"/finalize", `{"bundleTarballVersion":"v"}`), 400, "dbt")
	wantOK(t, a.finalize(t, d, version))
	a.awaitDeployed(t, d)
	wantRefused(t, a.post(t, path+"/rollback", `{"version":"v"}`), 400, "There is no field")
	wantRefused(t, a.deployNow(t, "merge=add&merge=replace", map[string]string{"a.py": dag}), 400, `The field "merge" was sent twice.`)
}

// TestUpdatedAt: the time of the last change, and who made the change.
func TestUpdatedAt(t *testing.T) {
	a := newApp(t)
	path, workspace := a.sales(), orgPath+"/workspaces/"+string(a.Workspace.ID)
	before, beforeWorkspace := a.get(t, path), a.get(t, workspace)
	self := a.login(t, a.Ada.User)
	beforeSelf := a.send(t, self, "GET", "/v1/users/self", "").body
	step := func(what string, change func()) {
		t.Helper()
		a.later.Add(int64(time.Hour))
		change()
		now := a.get(t, path)
		if now["updatedAt"].(string) <= before["updatedAt"].(string) || now["createdAt"] != before["createdAt"] {
			t.Errorf("%s: updatedAt is %v after %v", what, now["updatedAt"], before["updatedAt"])
		}
		before = now
	}
	step("a setting", func() { wantOK(t, a.post(t, path, `{"description":"x"}`)) })
	if by := before["updatedBy"].(map[string]any)["id"]; by != "token ci" {
		t.Errorf("updated by %v", by)
	}
	step("a deploy", func() { wantOK(t, a.deployNow(t, "wait=30s", map[string]string{"a.py": dag})) })
	step("the switch", func() {
		wantOK(t, a.post(t, path, `{"isDagDeployEnabled":false}`))
		for end := time.Now().Add(10 * time.Second); a.get(t, path)["needsImageDeploy"] != true && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
	})
	storetest.Update(t, a.store, func(tx *store.Tx) error {
		if err := tx.RenameUser(a.Ada.User, "Ada L."); err != nil {
			return err
		}
		return tx.RenameWorkspace(a.Workspace.ID, "Renamed")
	})
	if now := a.get(t, workspace)["updatedAt"].(string); now <= beforeWorkspace["updatedAt"].(string) {
		t.Errorf("the Workspace's updatedAt is %s", now)
	}
	now := a.send(t, self, "GET", "/v1/users/self", "")
	if beforeSelf["updatedAt"] == nil || fmt.Sprint(now.body["updatedAt"]) <= fmt.Sprint(beforeSelf["updatedAt"]) {
		t.Errorf("the user's updatedAt is %v after %v", now.body["updatedAt"], beforeSelf["updatedAt"])
	}
}

// TestFilters: lists have only what was asked for, and refuse what they cannot filter by.
func TestFilters(t *testing.T) {
	a := newApp(t)
	var alpha slipway.Deployment
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		alpha, err = storetest.AddDeployment(tx, a.Workspace.ID, "alpha")
		return err
	})
	admin := a.login(t, a.Root.User)
	a.token(t, store.Token{Workspace: a.Workspace.ID, Deployment: a.Sales.ID, Role: slipway.Author})
	for _, tt := range []struct{ list, query, want string }{
		{"deployments", "names=alpha", "alpha"},
		{"deployments", "names=alpha&names=sales-prod", "alpha, sales-prod"},
		{"deployments", "names=nope", ""},
		{"deployments", "names=ALPHA", ""},
		{"deployments", "names=", "alpha, sales-prod"},
		{"deployments", "deploymentIds=" + string(alpha.ID), "alpha"},
		{"deployments", "deploymentIds=" + string(alpha.ID) + "&deploymentIds=" + string(a.Sales.ID), "alpha, sales-prod"},
		{"deployments", "deploymentIds=" + string(alpha.ID) + "," + string(a.Sales.ID), "alpha, sales-prod"},
		{"deployments", "deploymentIds=nope", ""},
		{"deployments", "deploymentIds=" + string(alpha.ID) + "&names=sales-prod", ""},
		{"deployments", "workspaceIds=" + string(a.Other.ID), ""},
		{"deployments", "search=SALES", "sales-prod"},
		{"deployments", "search=" + string(alpha.ID), "alpha"},
		{"deployments", "search=nope", ""},
		{"workspaces", "names=Other", "Other"},
		{"workspaces", "workspaceIds=" + string(a.Other.ID), "Other"},
		{"workspaces", "search=plat", "Data Platform"},
		{"tokens", "kind=DEPLOYMENT", "ci"},
		{"tokens", "search=nope", ""},
	} {
		w := a.send(t, admin, "GET", orgPath+"/"+tt.list+"?"+tt.query, "")
		wantOK(t, w)
		if got := names(w.body[tt.list]); got != tt.want || w.body["totalCount"] != float64(len(w.body[tt.list].([]any))) {
			t.Errorf("%s?%s: %s of %v, want %s", tt.list, tt.query, got, w.body["totalCount"], tt.want)
		}
	}
	users := func(query string) int {
		return len(a.send(t, admin, "GET", orgPath+"/users?"+query, "").body["users"].([]any))
	}
	all, members := users(""), users("workspaceId="+string(a.Workspace.ID))
	if members == 0 || members >= all || users("deploymentId="+string(a.Sales.ID)) != members || users("search="+string(a.Ada.User)) != 1 ||
		users("deploymentId="+string(a.Sales.ID)+"&workspaceId="+string(a.Other.ID)) != 0 {
		t.Errorf("%d users, %d of the Workspace", all, members)
	}
	for list, query := range map[string]string{
		"deployments": "name=alpha", "workspaces": "deploymentIds=x", "users": "dagId=x", "tokens": "dagTags=x", "tokens ": "kind=ORGANIZATION", "users ": "sorts=size",
		"deployments/" + string(a.Sales.ID) + "/deploys": "status=FAILED", "deployments/" + string(a.Sales.ID) + "/deploys ": "sorts=createdAt:asc",
	} {
		wantRefused(t, a.send(t, admin, "GET", orgPath+"/"+strings.TrimSpace(list)+"?"+query, ""), 400, "")
	}
	wantRefused(t, a.send(t, admin, "GET", "/v1/organizations?names=x", ""), 400, `This list has no parameter "names". Its parameters are limit, offset.`)
	wantRefused(t, a.send(t, admin, "GET", orgPath+"/users?deploymentId=nope", ""), 404, "There is no Deployment")
}

// TestMissingGroups: calls that do not exist say what is used instead.
func TestMissingGroups(t *testing.T) {
	a := newApp(t)
	people := a.server.URL + "/workspaces/" + string(a.Workspace.ID) + "/people"
	page := a.server.URL + "/deployments/" + string(a.Sales.ID)
	alpha := "/v1alpha1/organizations/slipway/deployments/" + string(a.Sales.ID)
	for call, says := range map[string]string{
		"POST " + orgPath + "/users/u1/roles":                                "Members are managed on the page People: " + people,
		"DELETE " + orgPath + "/users/u1":                                    people,
		"POST " + orgPath + "/invites":                                       people,
		"DELETE " + orgPath + "/invites/i1":                                  people,
		"GET " + orgPath + "/teams":                                          "There are no teams",
		"POST " + orgPath + "/teams/t1/members":                              people,
		"GET " + orgPath + "/roles":                                          "Member, Author, Operator and Owner",
		"POST " + orgPath + "/roles/r1":                                      people,
		"GET " + orgPath + "/role-templates":                                 people,
		"GET /v1/authorization/permission-groups":                            people,
		"GET " + orgPath + "/environment-objects":                            "Set them in Airflow",
		"POST " + orgPath + "/environment-objects":                           "secrets backend",
		"GET " + orgPath + "/environment-objects/e1":                         "Connections",
		"GET " + orgPath + "/audit-logs":                                     a.server.URL + "/workspaces/" + string(a.Workspace.ID) + "/audit",
		"GET " + orgPath + "/clusters":                                       "no clusters",
		"GET " + orgPath + "/clusters/c1":                                    "no clusters",
		"POST " + orgPath + "/allowed-ip-address-ranges":                     "firewall",
		"POST " + orgPath + "/workspaces":                                    "on the page Workspaces: " + a.server.URL + "/workspaces",
		"POST " + orgPath + "/workspaces/" + string(a.Workspace.ID):          "Workspaces are made and renamed",
		"DELETE " + orgPath + "/workspaces/" + string(a.Workspace.ID):        "Workspaces are made and renamed",
		"GET " + a.sales() + "/logs?sources=scheduler":                       "The log of a deploy is on its page: " + page + "/deploys",
		"GET " + a.sales() + "/agent-tokens":                                 page + "/settings/agents",
		"POST " + a.sales() + "/hibernation-override":                        "hibernate",
		"GET " + alpha + "/bundles":                                          page + "/versions",
		"POST " + alpha + "/bundles/b1":                                      page + "/versions",
		"GET " + alpha + "/deploys/diff":                                     page + "/deploys",
		"GET " + alpha + "/deploy-git":                                       page + "/deploys",
		"GET /v1alpha1/organizations/slipway/workspaces/w/astroide/projects": "no editor",
		"GET " + orgPath + "/nothing":                                        "The operations are listed at " + a.server.URL + "/v1/docs",
		"PATCH " + a.sales():                                                 "for PATCH",
	} {
		method, path, _ := strings.Cut(call, " ")
		w := a.send(t, a.owner, method, path, "")
		if w.status != 404 || !strings.Contains(fmt.Sprint(w.body["message"]), says) {
			t.Errorf("%s: %d %s, want %s", call, w.status, w.text, says)
		}
	}
	wantRefused(t, a.send(t, "", "GET", orgPath+"/teams", ""), 401, "Send an API token")
	wantRefused(t, a.send(t, a.owner, "GET", "/v1/organizations/other/teams", ""), 404, "There is no Organization")
	stranger := a.login(t, a.Sam.User)
	wantRefused(t, a.send(t, stranger, "GET", a.sales()+"/logs", ""), 404, "There is no Deployment")
	wantRefused(t, a.send(t, a.login(t, a.Root.User), "GET", orgPath+"/teams", ""), 404, a.server.URL+"/workspaces")
	wantOK(t, a.send(t, a.owner, "GET", orgPath+"/users", ""))
	wantOK(t, a.send(t, a.owner, "GET", orgPath+"/workspaces", ""))
}

// TestCreateAsTheCLIDoes sends the requests of "astro deployment create --name X".
func TestCreateAsTheCLIDoes(t *testing.T) {
	a := newApp(t)
	options := a.get(t, orgPath+"/deployment-options?deploymentType=STANDARD&cloudProvider=AZURE")
	quota := func(group, of string) any {
		return options["resourceQuotas"].(map[string]any)[group].(map[string]any)[of].(map[string]any)["default"]
	}
	a.get(t, orgPath+"/workspaces?limit=1000&offset=0")
	w := a.send(t, a.owner, "GET", orgPath+"/cluster-options?provider=AZURE&type=DEDICATED", "")
	var clusters []struct{ Regions []struct{ Name string } }
	if err := json.Unmarshal([]byte(w.text), &clusters); err != nil || w.status != 200 || len(clusters) != 1 || len(clusters[0].Regions) != 1 {
		t.Fatalf("cluster-options: %d %s", w.status, w.text)
	}
	wantRefused(t, a.send(t, a.owner, "GET", orgPath+"/cluster-options?provider=AWS&type=DEDICATED", ""), 400, "has no cloud")
	for executor, runtime := range map[string]string{"ASTRO": "3.3-2", "CELERY": "13.9.0"} {
		body, err := json.Marshal(map[string]any{
			"astroRuntimeVersion": runtime, "cloudProvider": "AZURE", "description": "", "name": "cli-" + executor, "executor": executor,
			"isCicdEnforced": false, "region": clusters[0].Regions[0].Name, "isDagDeployEnabled": true, "isHighAvailability": false, "isDevelopmentMode": false,
			"workspaceId": a.Workspace.ID, "type": "STANDARD", "defaultTaskPodCpu": quota("defaultPodSize", "cpu"), "defaultTaskPodMemory": quota("defaultPodSize", "memory"),
			"resourceQuotaCpu": quota("resourceQuota", "cpu"), "resourceQuotaMemory": quota("resourceQuota", "memory"),
		})
		if err != nil {
			t.Fatal(err)
		}
		w := a.post(t, orgPath+"/deployments", string(body))
		wantOK(t, w)
		if w.body["name"] != "cli-"+executor || w.body["type"] != "STANDARD" || w.body["isDagDeployEnabled"] != true || w.body["id"] == "" {
			t.Errorf("%v", w.body)
		}
	}
	// From a deployment file: no region, and empty texts for what the file does not have.
	file := fmt.Sprintf(`{"astroRuntimeVersion":"3.3-2","cloudProvider":"","region":"","name":"file","description":"","workspaceId":%q,"executor":"CELERY","type":"STANDARD","schedulerSize":"",
		"isCicdEnforced":true,"isDagDeployEnabled":true,"isHighAvailability":false,"isDevelopmentMode":false,"defaultTaskPodCpu":"0.25","defaultTaskPodMemory":"0.5Gi","resourceQuotaCpu":"10","resourceQuotaMemory":"20Gi"}`, a.Workspace.ID)
	w = a.post(t, orgPath+"/deployments", file)
	wantOK(t, w)
	if w.body["isCicdEnforced"] != true {
		t.Errorf("%v", w.body)
	}
}

// TestSearchesOfManyKinds: a search knows the case of any letter, and an order that is
// asked for again and again is one order.
func TestSearchesOfManyKinds(t *testing.T) {
	a := newApp(t)
	wantOK(t, a.post(t, orgPath+"/tokens", fmt.Sprintf(`{"scope":"WORKSPACE","entityId":%q,"name":"Jürgen Öztürk","role":"WORKSPACE_AUTHOR"}`, a.Workspace.ID)))
	for _, search := range []string{"jürgen öztürk", "JÜRGEN Öz", "gen ÖZT"} {
		if n := a.get(t, orgPath+"/tokens?search="+url.QueryEscape(search))["totalCount"]; n != 1.0 {
			t.Errorf("%q finds %v tokens", search, n)
		}
	}
	if n := a.get(t, orgPath+"/deployments?"+strings.Repeat("sorts=name&", 2100))["totalCount"]; n == 0.0 {
		t.Error("no Deployment is listed")
	}
}

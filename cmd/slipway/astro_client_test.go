package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// astro sends what the astro CLI sends, in its order, and stumbles over what
// the CLI stumbles over.
type astro struct {
	*testing.T
	in    *installation
	token string
	org   string // the path of the Organization
}

// fields is a JSON object of an answer.
type fields = map[string]any

// request makes one request with the CLI's header.
func (a *astro) request(method, path, body string) (*http.Response, string) {
	a.Helper()
	r, err := http.NewRequestWithContext(a.Context(), method, a.in.base+path, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + a.token, "X-Astro-Client-Identifier": "cli", "X-Astro-Client-Version": "1.45.0",
		"X-Client-Os-Identifier": "linux-amd64", "User-Agent": "astro-cli/1.45.0",
	} {
		r.Header.Set(name, value)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := a.in.client.Do(r)
	if err != nil {
		a.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		a.Fatal(err)
	}
	return answer, string(text)
}

// do makes a request that must be answered with 200 in JSON, and with the
// fields that are named.
func (a *astro) do(method, path, body string, needed ...string) fields {
	a.Helper()
	answer, text := a.request(method, path, body)
	if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Header.Get("Content-Type"), "json") {
		a.Fatalf("%s %s: answer %d as %q: %s", method, path, answer.StatusCode, answer.Header.Get("Content-Type"), text)
	}
	got := fields{}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		a.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	a.need(got, needed...)
	return got
}

// need fails the test where the CLI would panic.
func (a *astro) need(got fields, names ...string) {
	a.Helper()
	for _, name := range names {
		if got[name] == nil {
			a.Fatalf("the answer has no %s: %v", name, got)
		}
	}
}

// refused makes a request that must be refused with a sentence that the CLI
// prints.
func (a *astro) refused(method, path, body, says string) {
	a.Helper()
	answer, text := a.request(method, path, body)
	var got struct{ Message string }
	if err := json.Unmarshal([]byte(text), &got); err != nil || answer.StatusCode < 400 || !strings.Contains(got.Message, says) {
		a.Fatalf("%s %s: answer %d %q, %v; want one that says %q", method, path, answer.StatusCode, text, err, says)
	}
}

// hello is what the CLI asks before each command with a token.
func (a *astro) hello() {
	a.Helper()
	got := a.do("GET", "/v1/organizations?limit=100&offset=0", "")
	first := got["organizations"].([]any)[0].(fields)
	if first["product"] != "HOSTED" || "/v1/organizations/"+first["id"].(string) != a.org {
		a.Fatalf("Organization %v", first)
	}
}

// listed are the Deployments of the token's Workspace.
func (a *astro) listed() []any {
	a.Helper()
	got := a.do("GET", a.org+"/deployments?limit=1000&offset=0&workspaceIds="+string(a.in.WorkspaceID), "", "deployments", "totalCount")
	return got["deployments"].([]any)
}

// deployment is the Deployment with all that the CLI reads of it.
func (a *astro) deployment() fields {
	a.Helper()
	got := a.do("GET", a.deploymentPath(), "", inspected...)
	if got["workspaceId"] != string(a.in.WorkspaceID) {
		a.Fatalf("Invalid workspace id %v", got["workspaceId"])
	}
	return got
}

// inspected are the fields without which the CLI panics.
var inspected = []string{
	"id", "workspaceId", "organizationId", "isDagDeployEnabled", "isCicdEnforced", "type", "executor", "schedulerSize", "isHighAvailability",
	"isDevelopmentMode", "workspaceName", "defaultTaskPodCpu", "defaultTaskPodMemory", "resourceQuotaCpu", "resourceQuotaMemory", "namespace", "status",
}

// upload sends an archive with the client of the CLI, and returns the version
// that it was given.
func (a *astro) upload(address string, archive []byte) string {
	a.Helper()
	client, err := blockblob.NewClientWithNoCredential(address, &blockblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: a.in.client}})
	if err != nil {
		a.Fatal(err)
	}
	done, err := client.UploadStream(a.Context(), bytes.NewReader(archive), nil)
	if err != nil || done.VersionID == nil {
		a.Fatalf("upload: version %v, %v", done.VersionID, err)
	}
	return *done.VersionID
}

// awaitHealthy is --wait, without its pauses: only the status is read.
func (a *astro) awaitHealthy() {
	a.Helper()
	var status any
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if status = a.do("GET", a.deploymentPath(), "", "status")["status"]; status == "HEALTHY" || status == "HIBERNATING" {
			return
		}
	}
	a.Fatalf("timed out waiting for the Deployment to enter a Healthy state: it is %v", status)
}

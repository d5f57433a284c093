package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"slipway/internal/slipway"
)

// Astro sends the requests of the astro CLI in the CLI's order, and fails the test
// wherever the CLI fails.
type Astro struct {
	*testing.T
	Installation *Installation
	Token        string
	Organization string // path of the Organization
}

// Fields is a JSON object.
type Fields = map[string]any

// Astro returns a CLI with a token.
func (in *Installation) Astro(t *testing.T, token string) *Astro {
	t.Helper()
	return &Astro{T: t, Installation: in, Token: token, Organization: "/v1/organizations/" + slipway.OrganizationID}
}

// DeploymentPath is the path of the Deployment in the API.
func (a *Astro) DeploymentPath() string {
	return fmt.Sprintf("%s/deployments/%s", a.Organization, a.Installation.DeploymentID)
}

// Request sends one request with the CLI's header.
func (a *Astro) Request(method, path, body string) Reply {
	a.Helper()
	r, err := http.NewRequestWithContext(a.Context(), method, a.Installation.Base+path, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + a.Token, "X-Astro-Client-Identifier": "cli", "X-Astro-Client-Version": "1.45.0",
		"X-Client-Os-Identifier": "linux-amd64", "User-Agent": "astro-cli/1.45.0",
	} {
		r.Header.Set(name, value)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := a.Installation.Client.Do(r)
	if err != nil {
		a.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		a.Fatal(err)
	}
	return Reply{Status: answer.StatusCode, Header: answer.Header, Body: string(text)}
}

// Do sends a request and wants the answer 200 in JSON, with the needed fields.
func (a *Astro) Do(method, path, body string, needed ...string) Fields {
	a.Helper()
	r := a.Request(method, path, body)
	if r.Status != http.StatusOK || !strings.Contains(r.Header.Get("Content-Type"), "json") {
		a.Fatalf("%s %s: answer %d as %q: %s", method, path, r.Status, r.Header.Get("Content-Type"), r.Body)
	}
	got := Fields{}
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil {
		a.Fatalf("%s %s: %v in %s", method, path, err, r.Body)
	}
	a.RequireFields(got, needed...)
	return got
}

// RequireFields fails the test for a missing field: the CLI would panic.
func (a *Astro) RequireFields(got Fields, names ...string) {
	a.Helper()
	for _, name := range names {
		if got[name] == nil {
			a.Fatalf("the answer has no %s: %v", name, got)
		}
	}
}

// WantRefusal sends a request and wants a refusal with a sentence for the CLI to print.
func (a *Astro) WantRefusal(method, path, body, says string) {
	a.Helper()
	r := a.Request(method, path, body)
	var got struct{ Message string }
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil || r.Status < 400 || !strings.Contains(got.Message, says) {
		a.Fatalf("%s %s: answer %d %q, %v; want one that says %q", method, path, r.Status, r.Body, err, says)
	}
}

// CheckOrganization sends the request before each command with a token.
func (a *Astro) CheckOrganization() {
	a.Helper()
	got := a.Do("GET", "/v1/organizations?limit=100&offset=0", "")
	first := got["organizations"].([]any)[0].(Fields)
	if first["product"] != "HOSTED" || "/v1/organizations/"+first["id"].(string) != a.Organization {
		a.Fatalf("Organization %v", first)
	}
}

// Deployments lists the Deployments of the Workspace.
func (a *Astro) Deployments() []any {
	a.Helper()
	got := a.Do("GET", a.Organization+"/deployments?limit=1000&offset=0&workspaceIds="+string(a.Installation.WorkspaceID), "", "deployments", "totalCount")
	return got["deployments"].([]any)
}

// Deployment reads the Deployment, with all fields that the CLI reads.
func (a *Astro) Deployment() Fields {
	a.Helper()
	got := a.Do("GET", a.DeploymentPath(), "", neededFields...)
	if got["workspaceId"] != string(a.Installation.WorkspaceID) {
		a.Fatalf("Invalid workspace id %v", got["workspaceId"])
	}
	return got
}

// neededFields are the fields without which the CLI panics.
var neededFields = []string{
	"id", "workspaceId", "organizationId", "isDagDeployEnabled", "isCicdEnforced", "type", "executor", "schedulerSize", "isHighAvailability",
	"isDevelopmentMode", "workspaceName", "defaultTaskPodCpu", "defaultTaskPodMemory", "resourceQuotaCpu", "resourceQuotaMemory", "namespace", "status",
}

// Upload sends an archive with the client library of the CLI, and returns the
// version from the answer.
func (a *Astro) Upload(address string, archive []byte) string {
	a.Helper()
	client, err := blockblob.NewClientWithNoCredential(address, &blockblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: a.Installation.Client}})
	if err != nil {
		a.Fatal(err)
	}
	done, err := client.UploadStream(a.Context(), bytes.NewReader(archive), nil)
	if err != nil || done.VersionID == nil {
		a.Fatalf("upload: version %v, %v", done.VersionID, err)
	}
	return *done.VersionID
}

// DeployDAGs is astro deploy ID --dags --wait. git is a field of the JSON body with a
// comma before, or "".
func (a *Astro) DeployDAGs(git string, archive []byte) (version string) {
	a.Helper()
	a.CheckOrganization()
	d := a.Deployment()
	if d["isCicdEnforced"] == true && !strings.Contains(a.Token, ".") {
		a.Fatal("cannot deploy since ci/cd enforcement is enabled for the deployment")
	}
	w := a.Do("POST", a.DeploymentPath()+"/deploys", `{"type":"DAG_ONLY","description":"nightly"`+git+`}`, "id", "dagsUploadUrl", "deploymentId", "type", "status", "createdAt")
	if w["isDagDeployEnabled"] != true {
		a.Fatal("DAG-only deploys are not enabled for this Deployment.")
	}
	version = a.Upload(w["dagsUploadUrl"].(string), archive)
	done := a.Do("POST", fmt.Sprintf("%s/deploys/%s/finalize", a.DeploymentPath(), w["id"]), `{"dagTarballVersion":"`+version+`"}`)
	if done["dagTarballVersion"] != version {
		a.Errorf("Deployed DAG bundle: %v, want %s", done["dagTarballVersion"], version)
	}
	a.AwaitHealthy()
	return version
}

// AwaitHealthy is the CLI's --wait without pauses: only the status is read.
func (a *Astro) AwaitHealthy() {
	a.Helper()
	var status any
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if status = a.Do("GET", a.DeploymentPath(), "", "status")["status"]; status == "HEALTHY" || status == "HIBERNATING" {
			return
		}
	}
	a.Fatalf("timed out waiting for the Deployment to enter a Healthy state: it is %v", status)
}

package main

import (
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// schemes are how the CLI reaches a portal.
var schemes = []string{"http", "https"}

// deployDags is `astro deploy ID --dags --wait`.
func (a *astro) deployDags(git string, archive []byte) (version string) {
	a.Helper()
	a.hello()
	d := a.deployment()
	if d["isCicdEnforced"] == true && !strings.Contains(a.token, ".") {
		a.Fatal("cannot deploy since ci/cd enforcement is enabled for the deployment")
	}
	w := a.do("POST", a.deploymentPath()+"/deploys", `{"type":"DAG_ONLY","description":"nightly"`+git+`}`, "id", "dagsUploadUrl", "deploymentId", "type", "status", "createdAt")
	if w["isDagDeployEnabled"] != true {
		a.Fatal("DAG-only deploys are not enabled for this Deployment.")
	}
	version = a.upload(w["dagsUploadUrl"].(string), archive)
	done := a.do("POST", fmt.Sprintf("%s/deploys/%s/finalize", a.deploymentPath(), w["id"]), `{"dagTarballVersion":"`+version+`"}`)
	if done["dagTarballVersion"] != version {
		a.Errorf("Deployed DAG bundle: %v, want %s", done["dagTarballVersion"], version)
	}
	a.awaitHealthy()
	return version
}

const (
	gitOfGitHub = `,"git":{"provider":"GITHUB","account":"acme","repo":"dags","branch":"main","commitSha":"abc123","commitUrl":"https://github.com/acme/dags/commit/abc123","authorName":"Eve","path":"airflow"}`
	gitOfOthers = `,"git":{"provider":"GENERIC","remoteUrl":"https://git.example.com/acme/dags.git","branch":"main","commitSha":"def456","authorName":"Eve"}`
)

// noisy is an archive of a DAG and of 60 MB that cannot be compressed, made once
// for all who send it.
func noisy(text string) (archive []byte, noise string) {
	b := make([]byte, 60<<20)
	rand.Read(b) // it never fails
	return packed(map[string]string{"dags/sales.py": text, "dags/noise.bin": string(b)}, gzip.NoCompression), string(b)
}

// TestAstroDeploysDAGs is `astro deploy --dags`: what is healthy is mounted.
func TestAstroDeploysDAGs(t *testing.T) {
	large, noise := noisy("large")
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			in := install(t, scheme)
			for _, tt := range []struct {
				name    string
				archive []byte
				noise   string
				git     string
				commit  string
			}{
				{"small", archiveOf(map[string]string{"dags/sales.py": "small"}), "", gitOfGitHub, "abc123"},
				{"large", large, noise, gitOfOthers, "def456"},
				{"without git", archiveOf(map[string]string{"dags/sales.py": "without git"}), "", "", ""},
			} {
				t.Run(tt.name, func(t *testing.T) {
					a := in.astro(t, in.Token)
					version := a.deployDags(tt.git, tt.archive)
					if in.mounted(t, "sales.py") != tt.name || in.mounted(t, "noise.bin") != tt.noise {
						t.Error("the Deployment is healthy, and Airflow sees other files")
					}
					wantNewest(a, version, tt.commit)
				})
			}
			t.Run("nothing", func(t *testing.T) { deployNothing(in.astro(t, in.Token)) })
		})
	}
}

// wantNewest checks what the history keeps of the newest deploy.
func wantNewest(a *astro, version, commit string) {
	a.Helper()
	w := a.do("GET", a.deploymentPath()+"/deploys?limit=1&offset=0", "", "deploys", "totalCount")["deploys"].([]any)[0].(fields)
	git, _ := w["git"].(fields)
	got, _ := git["commitSha"].(string)
	if w["status"] != "DEPLOYED" || w["dagTarballVersion"] != version || got != commit || w["description"] != "nightly" {
		a.Errorf("the newest deploy is %v", w)
	}
}

// deployNothing is a deploy of a project without DAGs, whose archive is almost
// empty: the CLI shows what finalize says.
func deployNothing(a *astro) {
	before := a.deployment()["dagTarballVersion"]
	w := a.do("POST", a.deploymentPath()+"/deploys", `{"type":"DAG_ONLY","description":""}`, "id", "dagsUploadUrl")
	version := a.upload(w["dagsUploadUrl"].(string), archiveOf(nil))
	finalize := fmt.Sprintf("%s/deploys/%s/finalize", a.deploymentPath(), w["id"])
	a.refused("POST", finalize, `{"dagTarballVersion":"`+version+`"}`, "The archive holds no file to deploy.")
	if now := a.deployment()["dagTarballVersion"]; now != before {
		a.Errorf("the bundle version is %v, and was %v", now, before)
	}
}

// TestAstroSwitches is `astro deployment update --dag-deploy`, twice each way.
func TestAstroSwitches(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			in := install(t, scheme)
			a := in.astro(t, in.Token)
			a.deployDags("", archiveOf(map[string]string{"dags/sales.py": "one"}))
			for _, on := range []bool{false, true, false, true} {
				a.updateDagDeploy(on)
				if d := a.deployment(); d["isDagDeployEnabled"] != on || d["needsImageDeploy"] != !on {
					t.Fatalf("switched to %v: %v", on, d)
				}
				if !on {
					a.refused("POST", a.deploymentPath()+"/deploys", `{"type":"DAG_ONLY","description":""}`, "DAG-only deploys are not enabled for this Deployment")
				}
			}
			a.deployDags("", archiveOf(map[string]string{"dags/sales.py": "two"}))
			if got := in.mounted(t, "sales.py"); got != "two" {
				t.Errorf("mounted is %q", got)
			}
		})
	}
}

// updateDagDeploy is `astro deployment update ID --dag-deploy enable|disable
// --force`: it sends the whole Deployment back.
func (a *astro) updateDagDeploy(on bool) {
	a.Helper()
	a.hello()
	if all := a.listed(); all[0].(fields)["id"] != string(a.in.DeploymentID) {
		a.Fatalf("the Deployment is not listed: %v", all)
	}
	d := a.deployment()
	if d["isDagDeployEnabled"] == on {
		a.Fatalf("DAG deploys are %v already", on)
	}
	a.do("GET", a.org+"/deployment-options", "", "runtimeReleases")
	body := fields{"isDagDeployEnabled": on}
	for _, name := range []string{
		"type", "name", "description", "workspaceId", "executor", "schedulerSize", "isCicdEnforced", "isHighAvailability", "isDevelopmentMode",
		"defaultTaskPodCpu", "defaultTaskPodMemory", "resourceQuotaCpu", "resourceQuotaMemory", "environmentVariables", "workerQueues",
	} {
		body[name] = d[name]
	}
	text, err := json.Marshal(body)
	if err != nil {
		a.Fatal(err)
	}
	a.do("POST", a.deploymentPath(), string(text), "id", "type")
}

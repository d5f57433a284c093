package astro

import (
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"slipway/e2e/program"
)

// schemes are how the CLI reaches a portal.
var schemes = []string{"http", "https"}

const (
	gitOfGitHub = `,"git":{"provider":"GITHUB","account":"acme","repo":"dags","branch":"main","commitSha":"abc123","commitUrl":"https://github.com/acme/dags/commit/abc123","authorName":"Eve","path":"airflow"}`
	gitOfOthers = `,"git":{"provider":"GENERIC","remoteUrl":"https://git.example.com/acme/dags.git","branch":"main","commitSha":"def456","authorName":"Eve"}`
)

// noisy is an archive of a DAG and of 60 MB that cannot be compressed, made once
// for all who send it.
func noisy(text string) (archive []byte, noise string) {
	b := make([]byte, 60<<20)
	rand.Read(b) // it never fails
	return program.Packed(map[string]string{"dags/sales.py": text, "dags/noise.bin": string(b)}, gzip.NoCompression), string(b)
}

// TestAstroDeploysDAGs is `astro deploy --dags`: what is healthy is mounted.
func TestAstroDeploysDAGs(t *testing.T) {
	large, noise := noisy("large")
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			in := program.Install(t, scheme)
			for _, tt := range []struct {
				name    string
				archive []byte
				noise   string
				git     string
				commit  string
			}{
				{"small", program.ArchiveOf(map[string]string{"dags/sales.py": "small"}), "", gitOfGitHub, "abc123"},
				{"large", large, noise, gitOfOthers, "def456"},
				{"without git", program.ArchiveOf(map[string]string{"dags/sales.py": "without git"}), "", "", ""},
			} {
				t.Run(tt.name, func(t *testing.T) {
					a := astro{in.Astro(t, in.Token)}
					version := a.DeployDAGs(tt.git, tt.archive)
					if in.Mounted(t, "sales.py") != tt.name || in.Mounted(t, "noise.bin") != tt.noise {
						t.Error("the Deployment is healthy, and Airflow sees other files")
					}
					wantNewest(a, version, tt.commit)
				})
			}
			t.Run("nothing", func(t *testing.T) { deployNothing(astro{in.Astro(t, in.Token)}, in) })
		})
	}
}

// wantNewest checks what the history keeps of the newest deploy.
func wantNewest(a astro, version, commit string) {
	a.Helper()
	w := a.Do("GET", a.DeploymentPath()+"/deploys?limit=1&offset=0", "", "deploys", "totalCount")["deploys"].([]any)[0].(program.Fields)
	git, _ := w["git"].(program.Fields)
	got, _ := git["commitSha"].(string)
	if w["status"] != "DEPLOYED" || w["dagTarballVersion"] != version || got != commit || w["description"] != "nightly" {
		a.Errorf("the newest deploy is %v", w)
	}
}

// deployNothing is a deploy of a project without DAGs, with --force: the CLI has asked,
// and sends an almost empty archive, which removes all DAGs with a warning.
func deployNothing(a astro, in *program.Installation) {
	before := a.Deployment()["dagTarballVersion"]
	version := a.DeployDAGs("", program.ArchiveOf(nil))
	w := a.Do("GET", a.DeploymentPath()+"/deploys?limit=1&offset=0", "", "deploys")["deploys"].([]any)[0].(program.Fields)
	if note, _ := w["note"].(string); !strings.Contains(note, "without a single DAG file") || w["status"] != "DEPLOYED" {
		a.Errorf("the deploy of nothing is %v", w)
	}
	if got := in.Mounted(a.T, "sales.py"); got != "" {
		a.Errorf("mounted is still %q", got)
	}
	if now := a.Deployment()["dagTarballVersion"]; now == before || now != version {
		a.Errorf("the bundle version is %v, want %v, and was %v", now, version, before)
	}
}

// TestAstroSwitches is `astro deployment update --dag-deploy`, twice each way.
func TestAstroSwitches(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			in := program.Install(t, scheme)
			a := astro{in.Astro(t, in.Token)}
			a.DeployDAGs("", program.ArchiveOf(map[string]string{"dags/sales.py": "one"}))
			for _, on := range []bool{false, true, false, true} {
				a.updateDagDeploy(on)
				if d := a.Deployment(); d["isDagDeployEnabled"] != on || d["needsImageDeploy"] != !on {
					t.Fatalf("switched to %v: %v", on, d)
				}
				if !on {
					a.WantRefusal("POST", a.DeploymentPath()+"/deploys", `{"type":"DAG_ONLY","description":""}`, "DAG-only deploys are not enabled for this Deployment")
				}
			}
			a.DeployDAGs("", program.ArchiveOf(map[string]string{"dags/sales.py": "two"}))
			if got := in.Mounted(t, "sales.py"); got != "two" {
				t.Errorf("mounted is %q", got)
			}
		})
	}
}

// updateDagDeploy is `astro deployment update ID --dag-deploy enable|disable
// --force`: it sends the whole Deployment back.
func (a astro) updateDagDeploy(on bool) {
	a.Helper()
	a.CheckOrganization()
	if all := a.Deployments(); all[0].(program.Fields)["id"] != string(a.Installation.DeploymentID) {
		a.Fatalf("the Deployment is not listed: %v", all)
	}
	d := a.Deployment()
	if d["isDagDeployEnabled"] == on {
		a.Fatalf("DAG deploys are %v already", on)
	}
	a.Do("GET", a.Organization+"/deployment-options", "", "runtimeReleases")
	body := program.Fields{"isDagDeployEnabled": on}
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
	a.Do("POST", a.DeploymentPath(), string(text), "id", "type")
}

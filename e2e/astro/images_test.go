package astro

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/e2e/program"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/image/dockertest"
)

// imageDeploy is an `astro deploy` with an image.
type imageDeploy struct {
	kind    string // IMAGE_ONLY by --image, IMAGE_AND_DAG without
	runtime string // label of the image
	dags    []byte // archive that goes with it; nil where the project has no DAGs
	bare    bool   // the engine sends the token bare, as after `docker login`
	byHand  bool   // it takes the place of mounted DAGs, and nobody says that Airflow runs it: --wait would time out
}

// deployImage is `astro deploy ID --image-name X --wait`. It returns the digest
// and the bundle version that it brought.
func (a astro) deployImage(i imageDeploy) (digest, version string) {
	a.Helper()
	a.CheckOrganization()
	d := a.Deployment()
	on := d["isDagDeployEnabled"].(bool)
	w := a.Do("POST", a.DeploymentPath()+"/deploys", `{"type":"`+i.kind+`","description":"by hand"}`, "id", "imageRepository", "imageTag")
	a.wantSupported(i.runtime, d["runtimeVersion"].(string))
	digest = a.push(fmt.Sprintf("%s:%s", w["imageRepository"], w["imageTag"]), i)
	body := `{}`
	if on {
		if i.kind == "IMAGE_AND_DAG" && i.dags != nil {
			a.RequireFields(w, "dagsUploadUrl")
			version = a.Upload(w["dagsUploadUrl"].(string), i.dags)
		}
		body = `{"dagTarballVersion":"` + version + `"}`
	}
	done := a.Do("POST", fmt.Sprintf("%s/deploys/%s/finalize", a.DeploymentPath(), w["id"]), body)
	if done["imageTag"] != w["imageTag"] {
		a.Errorf("Deployed Image Tag: %v, want %v", done["imageTag"], w["imageTag"])
	}
	if !i.byHand {
		a.AwaitHealthy()
		return digest, version
	}
	program.Until(a, "it is known that nobody runs the image", func() bool {
		d = a.Deployment()
		run, _ := d["imageToRun"].(string)
		return d["status"] == "UNHEALTHY" && strings.HasSuffix(run, digest)
	})
	return digest, version
}

// wantSupported is what the CLI asks of an image's Runtime before it pushes.
func (a astro) wantSupported(label, now string) {
	a.Helper()
	releases := a.Do("GET", a.Organization+"/deployment-options", "", "runtimeReleases")["runtimeReleases"].([]any)
	known := slices.ContainsFunc(releases, func(r any) bool { return r.(program.Fields)["version"] == label })
	if now != "" && !known {
		a.Fatalf("Cannot deploy an unsupported Astro Runtime version: %s is none of %d", label, len(releases))
	}
}

// push is what the Docker Engine does for the CLI.
func (a astro) push(to string, i imageDeploy) (digest string) {
	a.Helper()
	img := dockertest.Image(a, map[string][]byte{"/usr/local/airflow/dags/carried.py": []byte("from airflow import DAG\n")}, func(c *v1.Config) {
		c.Labels = map[string]string{"io.astronomer.docker.runtime.version": i.runtime}
	})
	password := "Bearer " + a.Token
	if i.bare {
		password = a.Token
	}
	opts := []remote.Option{remote.WithAuth(&authn.Basic{Username: "cli", Password: password})}
	if a.Installation.Client.Transport != nil {
		opts = append(opts, remote.WithTransport(a.Installation.Client.Transport))
	}
	pinned := dockertest.Push(a, img, to, opts...)
	return pinned[strings.Index(pinned, "@")+1:]
}

// wantRuns checks what the Deployment is to run, and what is mounted.
func (a astro) wantRuns(digest, runtime, version, text string) {
	a.Helper()
	d := a.Deployment()
	image, _ := d["image"].(string)
	now, _ := d["dagTarballVersion"].(string)
	if !strings.HasSuffix(image, "@"+digest) || d["runtimeVersion"] != runtime || now != version {
		a.Errorf("it runs %s with Runtime %v and %q, want %s with %s and %q", image, d["runtimeVersion"], now, digest, runtime, version)
	}
	if got := a.Installation.Mounted(a.T, "sales.py"); got != text {
		a.Errorf("mounted is %q, want %q", got, text)
	}
}

// TestAstroDeploysImages is `astro deploy` with and without --image, on both
// sides of the switch, and the way back.
func TestAstroDeploysImages(t *testing.T) {
	large, _ := noisy("two")
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			in := program.Install(t, scheme)
			a := astro{in.Astro(t, in.Token)}
			first := a.DeployDAGs("", program.ArchiveOf(map[string]string{"dags/sales.py": "one"}))

			digest, _ := a.deployImage(imageDeploy{kind: "IMAGE_ONLY", runtime: "3.0-4"})
			a.wantRuns(digest, "3.0-4", first, "one")

			both, second := a.deployImage(imageDeploy{kind: "IMAGE_AND_DAG", runtime: "3.0-5", dags: large, bare: true})
			a.wantRuns(both, "3.0-5", second, "two")

			alone, none := a.deployImage(imageDeploy{kind: "IMAGE_AND_DAG", runtime: "3.1-4"})
			if none != "" {
				t.Errorf("it brought %s", none)
			}
			a.wantRuns(alone, "3.1-4", second, "two")

			a.wantNoDowngrade()
			a.rollBackTo(2)
			a.wantRuns(digest, "3.0-4", first, "one")

			a.updateDagDeploy(false)
			carries, _ := a.deployImage(imageDeploy{kind: "IMAGE_AND_DAG", runtime: "3.1-5", byHand: true})
			a.wantRuns(carries, "3.1-5", "", "")
			if d := a.Deployment(); d["needsImageDeploy"] != false || d["isDagDeployEnabled"] != false {
				t.Errorf("after the switch and its deploy: %v", d)
			}
		})
	}
}

// wantNoDowngrade deploys an older Runtime, which the CLI would refuse by itself
// as long as it knows better.
func (a astro) wantNoDowngrade() {
	a.Helper()
	w := a.Do("POST", a.DeploymentPath()+"/deploys", `{"type":"IMAGE_ONLY","description":""}`, "id", "imageRepository", "imageTag")
	a.push(fmt.Sprintf("%s:%s", w["imageRepository"], w["imageTag"]), imageDeploy{runtime: "3.0-1"})
	finalize := fmt.Sprintf("%s/deploys/%s/finalize", a.DeploymentPath(), w["id"])
	a.WantRefusal("POST", finalize, `{"dagTarballVersion":""}`, "Cannot deploy a downgraded Astro Runtime version")
}

// rollBackTo returns to a deploy by its number.
func (a astro) rollBackTo(number int) {
	a.Helper()
	for _, each := range a.Do("GET", a.DeploymentPath()+"/deploys?limit=100&offset=0", "", "deploys")["deploys"].([]any) {
		if w := each.(program.Fields); w["number"] == float64(number) {
			a.Do("POST", fmt.Sprintf("%s/deploys/%s/rollback", a.DeploymentPath(), w["id"]), `{"description":"undo"}`, "id")
			a.AwaitHealthy()
			return
		}
	}
	a.Fatalf("there is no deploy #%d", number)
}

package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/image/dockertest"
)

const runtimeLabel = "io.astronomer.docker.runtime.version"

// begunImage is a deploy that waits for the push of its image.
type begunImage struct {
	started
	repository, tag string
}

// startImage creates an image deploy as section 7 has it.
func (a *app) startImage(t *testing.T, kind string) begunImage {
	t.Helper()
	w := a.post(t, a.sales()+"/deploys", `{"type":"`+kind+`","description":"by hand"}`)
	wantOK(t, w)
	d := begunImage{started{id: w.body["id"].(string)}, w.body["imageRepository"].(string), w.body["imageTag"].(string)}
	d.url, _ = w.body["dagsUploadUrl"].(string)
	return d
}

// push pushes an image of a Runtime as the Docker Engine does for the CLI.
func (a *app) push(t *testing.T, ref, runtime string) (digest string) {
	t.Helper()
	img := dockertest.Image(t, map[string][]byte{"/usr/local/airflow/dags/carried.py": []byte(dag)}, func(c *v1.Config) {
		c.Labels = map[string]string{}
		if runtime != "" {
			c.Labels[runtimeLabel] = runtime
		}
	})
	pinned := dockertest.Push(t, img, ref, remote.WithAuth(&authn.Basic{Username: "cli", Password: "Bearer " + a.owner}), remote.WithTransport(a.server.Client().Transport))
	return pinned[strings.Index(pinned, "@")+1:]
}

func (a *app) finalizeImage(t *testing.T, d begunImage, version string) answer {
	t.Helper()
	return a.post(t, a.sales()+"/deploys/"+d.id+"/finalize", `{"dagTarballVersion":"`+version+`"}`)
}

// deployedImage takes an image all the way until it is live.
func (a *app) deployedImage(t *testing.T, kind, runtime string) (begunImage, string) {
	t.Helper()
	d := a.startImage(t, kind)
	digest := a.push(t, d.repository+":"+d.tag, runtime)
	w := a.finalizeImage(t, d, "")
	wantOK(t, w)
	if w.body["imageTag"] != d.tag {
		t.Errorf("Deployed Image Tag: %v, want %s", w.body["imageTag"], d.tag)
	}
	a.awaitDeployed(t, d.started)
	return d, digest
}

// wantState checks what the Deployment is to run.
func (a *app) wantState(t *testing.T, digest, runtime, version string) {
	t.Helper()
	o := a.get(t, a.sales())
	image, _ := o["image"].(string)
	got, _ := o["dagTarballVersion"].(string)
	if !strings.HasSuffix(image, "@"+digest) || o["runtimeVersion"] != runtime || got != version {
		t.Errorf("the Deployment runs %v with %v and %q, want %s with %s and %q", image, o["runtimeVersion"], got, digest, runtime, version)
	}
}

// An image alone leaves the DAGs exactly as they are, whatever finalize says
// of them.
func TestDeployImageOnly(t *testing.T) {
	for name, body := range map[string]string{
		"empty version": `{"dagTarballVersion":""}`, "no version": `{}`, "some version": `{"dagTarballVersion":"2026-11-22T14:03:51.2040000Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			a.deployed(t, map[string]string{"a.py": dag})
			version := a.get(t, a.sales())["dagTarballVersion"].(string)
			d := a.startImage(t, "IMAGE_ONLY")
			if d.url != "" {
				t.Errorf("DAGs may be sent to %s", d.url)
			}
			digest := a.push(t, d.repository+":"+d.tag, "3.0-4")
			w := a.post(t, a.sales()+"/deploys/"+d.id+"/finalize", body)
			wantOK(t, w)
			if w.body["dagTarballVersion"] != nil || w.body["type"] != "IMAGE_ONLY" || w.body["runtimeVersion"] != "3.0-4" {
				t.Errorf("finalized: %v", w.body)
			}
			a.awaitDeployed(t, d.started)
			a.wantState(t, digest, "3.0-4", version)
			if a.mounted(t, "a.py") != dag {
				t.Error("the DAGs are gone")
			}
		})
	}
}

func TestDeployImageAndDAGs(t *testing.T) {
	a := newApp(t)
	a.deployed(t, map[string]string{"a.py": dag})
	d := a.startImage(t, "IMAGE_AND_DAG")
	digest := a.push(t, d.repository+":"+d.tag, "3.0-4")
	version := a.upload(t, d.started, map[string]string{"b.py": dag})
	w := a.finalizeImage(t, d, version)
	wantOK(t, w)
	if w.body["dagTarballVersion"] != version || w.body["imageTag"] != d.tag {
		t.Errorf("finalized: %v", w.body)
	}
	a.awaitDeployed(t, d.started)
	a.wantState(t, digest, "3.0-4", version)
	if a.mounted(t, "a.py") != "" || a.mounted(t, "b.py") != dag {
		t.Error("other DAGs are mounted")
	}

	// Without DAGs it moves the image alone.
	next, digest := a.deployedImage(t, "IMAGE_AND_DAG", "3.0-5")
	a.wantState(t, digest, "3.0-5", version)
	if got := a.get(t, a.sales()+"/deploys/"+next.id); got["dagTarballVersion"] != nil {
		t.Errorf("it brought no DAGs: %v", got)
	}
}

// Where DAG-only deploys are off, the image carries the DAGs, and clears the mark.
func TestDeployImageThatCarriesDAGs(t *testing.T) {
	a := newApp(t)
	wantOK(t, a.post(t, a.sales(), `{"isDagDeployEnabled":false}`))
	refused := a.post(t, a.sales()+"/deploys", `{"type":"IMAGE_ONLY","description":""}`)
	wantRefused(t, refused, http.StatusConflict, "An image alone needs DAG-only deploys")
	if o := a.get(t, a.sales()); o["needsImageDeploy"] != true {
		t.Errorf("no image deploy is needed: %v", o)
	}
	d := a.startImage(t, "IMAGE_AND_DAG")
	digest := a.push(t, d.repository+":"+d.tag, "3.0-4")
	wantOK(t, a.post(t, a.sales()+"/deploys/"+d.id+"/finalize", `{}`))
	a.awaitDeployed(t, d.started)
	a.wantState(t, digest, "3.0-4", "")
	if o := a.get(t, a.sales()); d.url != "" || o["needsImageDeploy"] != false || o["isDagDeployEnabled"] != false || o["imageTag"] != d.tag {
		t.Errorf("afterwards, with %q for DAGs: %v", d.url, o)
	}
}

// A release that only an image told us of is one of those that the CLI accepts.
func TestReleaseOfAnImage(t *testing.T) {
	a := newApp(t)
	known := func() bool {
		return slices.ContainsFunc(a.get(t, orgPath+"/deployment-options")["runtimeReleases"].([]any), func(r any) bool {
			return r.(map[string]any)["version"] == "3.98-7"
		})
	}
	if known() {
		t.Fatal("the release is known already")
	}
	a.deployedImage(t, "IMAGE_ONLY", "3.98-7")
	a.deployedImage(t, "IMAGE_ONLY", "3.98-8")
	if !known() {
		t.Error("the release of an image that was deployed is not listed")
	}
}

func TestImageRefusals(t *testing.T) {
	a := newApp(t)
	a.deployedImage(t, "IMAGE_ONLY", "3.1-4")

	d := a.startImage(t, "IMAGE_ONLY")
	wantRefused(t, a.finalizeImage(t, d, ""), http.StatusConflict, "No image has been pushed as ")
	digest := a.push(t, d.repository+":"+d.tag, "3.0-4")
	wantRefused(t, a.finalizeImage(t, d, ""), http.StatusBadRequest, "Cannot deploy a downgraded Astro Runtime version.")
	wantRefused(t, a.finalizeImage(t, d, ""), http.StatusBadRequest, "Cannot deploy a downgraded Astro Runtime version.") // again
	if o := a.get(t, a.sales()); strings.HasSuffix(o["image"].(string), digest) {
		t.Error("the downgraded image is wanted")
	}

	wantOK(t, a.post(t, a.sales(), `{"isApiDeployGuarded":true}`))
	strange := a.startImage(t, "IMAGE_ONLY")
	a.push(t, strange.repository+":"+strange.tag, "")
	wantRefused(t, a.finalizeImage(t, strange, ""), http.StatusConflict, "a person has to confirm this one")
	wantOK(t, a.post(t, a.sales(), `{"isApiDeployGuarded":false}`))
	w := a.finalizeImage(t, strange, "")
	wantOK(t, w)
	if note, _ := w.body["note"].(string); !strings.Contains(note, "Airflow") {
		t.Errorf("noted is %q", note)
	}
}

func TestRollBackAnImage(t *testing.T) {
	a := newApp(t)
	one, digest := a.deployedImage(t, "IMAGE_ONLY", "3.0-4")
	a.deployedImage(t, "IMAGE_ONLY", "3.1-4")

	w := a.post(t, a.sales()+"/deploys/"+one.id+"/rollback", `{"description":"undo"}`)

	wantOK(t, w) // though its Runtime is older
	a.awaitDeployed(t, started{id: w.body["id"].(string)})
	a.wantState(t, digest, "3.0-4", "")
}

func TestUploadDeployWithImage(t *testing.T) {
	a := newApp(t)
	target := a.get(t, a.sales())["imageRepository"].(string)
	digest := a.push(t, target+":1.2", "3.0-4")
	upload := a.sales() + "/deploys/upload?wait=1m&type="
	send := func(query string, body []byte) answer {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, a.server.URL+upload+query, strings.NewReader(string(body)))
		r.RequestURI = ""
		r.Header.Set("Authorization", "Bearer "+a.owner)
		return a.do(t, r)
	}
	w := send("IMAGE_ONLY&image=1.2", nil)
	wantOK(t, w)
	a.wantState(t, digest, "3.0-4", "")
	w = send("IMAGE_AND_DAG&image=1.2", archiveOf(t, map[string]string{"b.py": dag}))
	wantOK(t, w)
	version, _ := w.body["dagTarballVersion"].(string)
	a.wantState(t, digest, "3.0-4", version)
	if version == "" || a.mounted(t, "b.py") != dag {
		t.Errorf("the DAGs are not there: %v", w.body)
	}
	wantOK(t, send("IMAGE_AND_DAG&image=1.2", nil))
	a.wantState(t, digest, "3.0-4", version)

	wantRefused(t, send("IMAGE_ONLY&image=1.2", archiveOf(t, nil)), http.StatusBadRequest, "changes no DAGs")
	wantRefused(t, send("DAG_ONLY&image=1.2", archiveOf(t, nil)), http.StatusBadRequest, "brings no image")
	wantRefused(t, send("IMAGE_ONLY", nil), http.StatusBadRequest, "Say by the field image which image it is")
	wantRefused(t, send("IMAGE_ONLY&image=9.9", nil), http.StatusBadRequest, "9.9")
	wantOK(t, a.post(t, a.sales(), `{"isDagDeployEnabled":false}`))
	wantRefused(t, send("IMAGE_AND_DAG&image=1.2", archiveOf(t, nil)), http.StatusConflict, "Leave the archive out")
}

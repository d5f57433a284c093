package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway"
	"slipway/image/dockertest"
)

// crashImages is how many images there are to push.
const crashImages = 5

// someImages returns images of one Runtime that differ in a layer.
func someImages(t testing.TB) (all []v1.Image) {
	t.Helper()
	for n := range crashImages {
		files := map[string][]byte{
			"/usr/local/airflow/dags/carried.py":  []byte("from airflow import DAG  # carried by the image\n"),
			"/usr/local/airflow/requirements.txt": fmt.Appendf(nil, "package==%d\n", n),
		}
		all = append(all, dockertest.Image(t, files, func(c *v1.Config) {
			c.Labels = map[string]string{"io.astronomer.docker.runtime.version": "3.1-4"}
			c.Env = []string{"AIRFLOW_HOME=/usr/local/airflow"}
		}))
	}
	return all
}

// deployImage pushes an image, with or without DAGs, and finalizes its deploy as
// the astro CLI does.
func (w *worker) deployImage() (reply, error) {
	kind := slipway.ImageOnly
	if w.rng.IntN(2) == 0 {
		kind = slipway.ImageAndDAG
	}
	r, err := w.asks(http.MethodPost, w.deploys(), `{"type":"`+string(kind)+`","description":""}`)
	if err != nil || r.status != http.StatusOK {
		return r, err
	}
	var begun apiDeploy
	if err := json.Unmarshal([]byte(r.body), &begun); err != nil {
		return r, err
	}
	w.noteAPI(begun.Number, func(a *acked, _ int) { a.mine = true })
	if err := w.push(begun); err != nil {
		return r, err
	}
	version := ""
	if begun.DagsUploadURL != "" {
		archive, files := randomArchive(w.rng)
		w.noteAPI(begun.Number, func(a *acked, _ int) { a.merge, a.files = slipway.ReplaceAll, files })
		r, err = w.putBlob(strings.TrimPrefix(begun.DagsUploadURL, w.base), archive)
		if err != nil || r.status != http.StatusCreated {
			return r, err
		}
		version = r.header.Get("x-ms-version-id")
	}
	return w.finalize(begun, version)
}

// push pushes some image by the tag of a deploy. What the registry refuses is
// wrong, unless somebody has cancelled the deploy meanwhile.
func (w *worker) push(begun apiDeploy) error {
	ref, err := name.NewTag(begun.ImageRepository+":"+begun.ImageTag, name.Insecure)
	if err != nil {
		return err
	}
	err = remote.Write(ref, w.images[w.rng.IntN(len(w.images))], remote.WithContext(w.ctx), remote.WithTransport(w.Transport),
		remote.WithAuth(&authn.Basic{Username: "cli", Password: w.token}),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryStatusCodes())
	refused, answered := errors.AsType[*transport.Error](err)
	if answered && !strings.Contains(refused.Error(), "is settled, and its tag") {
		w.found(fmt.Sprintf("the push of #%d was answered %v", begun.Number, err))
	}
	if answered {
		return nil // finalize says so, too
	}
	return err
}

// image checks that the image which a Deployment is to run is there, with each of
// its layers.
func (k *disk) image(d slipway.Deployment) (wrong []string) {
	if d.Image == "" || strings.Contains(strings.SplitN(d.ImageName, "/", 2)[0], ".") {
		return nil
	}
	text, err := k.blob(d.Image)
	if err != nil {
		return []string{fmt.Sprintf("the image of %s: %v", d.Namespace, err)}
	}
	var m v1.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return []string{fmt.Sprintf("the image of %s: %v", d.Namespace, err)}
	}
	for _, part := range append(slices.Clone(m.Layers), m.Config) {
		if _, err := k.blob(part.Digest.String()); err != nil {
			wrong = append(wrong, fmt.Sprintf("the image of %s: %v", d.Namespace, err))
		}
	}
	return wrong
}

// blob reads what the registry keeps by its digest, and checks that it is that.
func (k *disk) blob(digest string) ([]byte, error) {
	hexSum := strings.TrimPrefix(digest, "sha256:")
	text, err := os.ReadFile(filepath.Join(k.data, "registry", "docker", "registry", "v2", "blobs", "sha256", hexSum[:2], hexSum, "data"))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != hexSum {
		return nil, fmt.Errorf("%s is damaged", digest)
	}
	return text, nil
}

// rush finalizes several deploys of one Deployment in one moment, as two CI jobs
// do that end together.
func (w *worker) rush() (reply, error) {
	begun := make([]apiDeploy, 2+w.rng.IntN(5))
	versions := make([]string, len(begun))
	for i := range begun {
		r, err := w.asks(http.MethodPost, w.deploys(), `{"type":"DAG_ONLY","description":"rush"}`)
		if err != nil || r.status != http.StatusOK {
			return r, err
		}
		if err := json.Unmarshal([]byte(r.body), &begun[i]); err != nil {
			return r, err
		}
		archive, files := randomArchive(w.rng)
		w.noteAPI(begun[i].Number, func(a *acked, _ int) { a.mine, a.merge, a.files = true, slipway.ReplaceAll, files })
		if r, err = w.putBlob(strings.TrimPrefix(begun[i].DagsUploadURL, w.base), archive); err != nil || r.status != http.StatusCreated {
			return r, err
		}
		w.noteAPI(begun[i].Number, func(a *acked, _ int) { a.arrived = true })
		versions[i] = r.header.Get("x-ms-version-id")
	}
	type end struct {
		r   reply
		err error
	}
	ends := make(chan end, len(begun))
	for i, b := range begun {
		go func() {
			r, err := w.finalizeOnce(b, versions[i])
			ends <- end{r, err}
		}()
	}
	var last end
	for range begun {
		if e := <-ends; last.err == nil {
			last = e
		}
	}
	return last.r, last.err
}

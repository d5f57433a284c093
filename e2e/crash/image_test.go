package crash

import (
	"bytes"
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
	"sync"
	"testing"

	"slipway/e2e/program"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/internal/image/dockertest"
	"slipway/internal/slipway"
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
func (w *worker) deployImage() (program.Reply, error) {
	kind := slipway.ImageOnly
	if w.rng.IntN(2) == 0 {
		kind = slipway.ImageAndDAG
	}
	r, err := w.asks(w.deploys(), `{"type":"`+string(kind)+`","description":""}`)
	if err != nil || r.Status != http.StatusOK {
		return r, err
	}
	var begun apiDeploy
	if err := json.Unmarshal([]byte(r.Body), &begun); err != nil {
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
		r, err = w.putBlob(strings.TrimPrefix(begun.DagsUploadURL, w.Base), archive)
		if err != nil || r.Status != http.StatusCreated {
			return r, err
		}
		version = r.Header.Get("x-ms-version-id")
	}
	r, err = w.finalize(begun, version)
	if err == nil && r.Status == http.StatusOK {
		w.model.count("images")
	}
	return r, err
}

// push pushes some image by the tag of a deploy. What the registry refuses is
// wrong, unless somebody has cancelled the deploy meanwhile.
func (w *worker) push(begun apiDeploy) error {
	ref, err := name.NewTag(begun.ImageRepository+":"+begun.ImageTag, name.Insecure)
	if err != nil {
		return err
	}
	err = remote.Write(ref, w.images[w.rng.IntN(len(w.images))], remote.WithContext(w.Context), remote.WithTransport(w.Transport),
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

// rush finalizes several deploys of one Deployment in one moment, as CI jobs do
// that end together.
func (w *worker) rush() (program.Reply, error) {
	type job struct {
		archive []byte
		files   listing
		begun   apiDeploy
		version string
		r       program.Reply
		err     error
	}
	jobs := make([]job, 2+w.rng.IntN(5))
	var begun sync.WaitGroup
	for i := range jobs {
		j := &jobs[i]
		j.archive, j.files = randomArchive(w.rng) // before the others run, which share the generator
	}
	for i := range jobs {
		j := &jobs[i]
		begun.Go(func() { j.begun, j.version, j.r, j.err = w.beginRushed(j.archive, j.files) })
	}
	begun.Wait()
	var ended sync.WaitGroup
	for i := range jobs {
		j := &jobs[i]
		if j.version == "" {
			continue // it was refused, or the portal is gone
		}
		w.last = max(w.last, j.begun.Number)
		ended.Go(func() {
			if j.r, j.err = w.finalizeOnce(j.begun, j.version); j.err == nil && j.r.Status == http.StatusOK {
				w.model.count("in one moment")
			}
		})
	}
	ended.Wait()
	for _, j := range jobs {
		if j.err != nil {
			return j.r, j.err
		}
	}
	return jobs[0].r, nil
}

// beginRushed begins a deploy as the astro CLI does, and sends its archive.
func (w *worker) beginRushed(archive []byte, files listing) (begun apiDeploy, version string, r program.Reply, err error) {
	r, err = w.asks(w.deploys(), `{"type":"DAG_ONLY","description":"rush"}`)
	if err != nil || r.Status != http.StatusOK {
		return begun, "", r, err
	}
	if err := json.Unmarshal([]byte(r.Body), &begun); err != nil {
		return begun, "", r, err
	}
	w.model.note(w.of, begun.Number, func(a *acked, _ int) { a.mine, a.merge, a.files = true, slipway.ReplaceAll, files })
	r, err = w.Send(http.MethodPut, strings.TrimPrefix(begun.DagsUploadURL, w.Base), bytes.NewReader(archive), http.Header{"X-Ms-Blob-Type": {"BlockBlob"}})
	if err != nil || r.Status != http.StatusCreated {
		return begun, "", r, err
	}
	w.model.note(w.of, begun.Number, func(a *acked, _ int) { a.arrived = true })
	return begun, r.Header.Get("x-ms-version-id"), r, nil
}

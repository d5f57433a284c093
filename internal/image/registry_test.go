package image_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway/internal/image"
)

func TestPushPullListDelete(t *testing.T) {
	p := open(t)
	img := runtimeImage(t, layer(t, file("etc/a", "one")), layer(t, file("etc/b", strings.Repeat("two", 100_000))))
	digest := p.push(repository+":1.0", img)
	p.push(repository+":latest", img)
	if want := (image.Push{Repository: repository, Tag: "1.0", Digest: digest}); len(p.pushes) != 2 || p.pushes[0] != want {
		t.Errorf("told of %v, want %v first", p.pushes, want)
	}
	got, err := remote.Image(p.ref(repository + "@" + digest))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
	repo, err := name.NewRepository(p.host + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	if tags, err := remote.List(repo); err != nil || !slices.Equal(tags, []string{"1.0", "latest"}) {
		t.Errorf("tags %v, %v", tags, err)
	}
	tags, err := p.Tags(t.Context(), namespace)
	if err != nil || len(tags) != 2 || tags[0].Tag != "latest" || tags[1].Digest != digest {
		t.Errorf("Tags: %+v, %v", tags, err)
	}
	if err := remote.Delete(p.ref(repository + "@" + digest)); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{repository + ":1.0", repository + "@" + digest} {
		if _, err := remote.Head(p.ref(ref)); err == nil {
			t.Errorf("%s is there after it was deleted", ref)
		}
	}
}

func TestMountAcrossRepositories(t *testing.T) {
	p := open(t)
	img, err := random.Image(50_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	p.push(namespace+"/base:1", img)
	pulled, err := remote.Image(p.ref(namespace + "/base:1"))
	if err != nil {
		t.Fatal(err)
	}
	p.seen("")
	p.push(repository+":1", pulled) // its layers say where they are from
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		if strings.HasPrefix(r, "PATCH") {
			t.Errorf("%s: a layer was uploaded, not mounted", r)
		}
	}
}

func TestRangeRead(t *testing.T) {
	p := open(t)
	l := layer(t, file("a", strings.Repeat("0123456789", 1000)))
	p.push(repository+":1", runtimeImage(t, l))
	d, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	whole := p.call(t, "GET", "/v2/"+repository+"/blobs/"+d.String(), nil, nil)
	part := p.call(t, "GET", "/v2/"+repository+"/blobs/"+d.String(), nil, http.Header{"Range": {"bytes=10-29"}})
	if part.status != http.StatusPartialContent || !bytes.Equal(part.body, whole.body[10:30]) {
		t.Errorf("status %d with %d bytes, want 206 with bytes 10 to 29", part.status, len(part.body))
	}
}

// called is an answer.
type called struct {
	status int
	header http.Header
	body   []byte
}

func (p *portal) call(t *testing.T, method, path string, body []byte, header http.Header) called {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.host+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return called{answer.StatusCode, answer.Header, got}
}

func TestResumedUpload(t *testing.T) {
	p := open(t)
	content := bytes.Repeat([]byte("slipway "), 10_000)
	sum := sha256.Sum256(content)
	digest := "sha256:" + hex.EncodeToString(sum[:])

	begun := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	first := p.call(t, "PATCH", begun.header.Get("Location"), content[:30_000], nil)
	if first.status != http.StatusAccepted {
		t.Fatalf("first part: %d %s", first.status, first.body)
	}
	where := p.call(t, "GET", first.header.Get("Location"), nil, nil)
	if got := where.header.Get("Range"); got != "0-29999" {
		t.Fatalf("the upload has %q, want 0-29999", got)
	}
	second := p.call(t, "PATCH", where.header.Get("Location"), content[30_000:],
		http.Header{"Content-Range": {fmt.Sprintf("30000-%d", len(content)-1)}})
	if second.status != http.StatusAccepted {
		t.Fatalf("second part: %d %s", second.status, second.body)
	}
	end := second.header.Get("Location")
	if done := p.call(t, "PUT", end+"&digest="+digest, nil, nil); done.status != http.StatusCreated {
		t.Fatalf("end: %d %s", done.status, done.body)
	}
	if got := p.call(t, "GET", "/v2/"+repository+"/blobs/"+digest, nil, nil); !bytes.Equal(got.body, content) {
		t.Errorf("the blob has %d bytes, want %d", len(got.body), len(content))
	}
	if got := p.call(t, "DELETE", "/v2/"+repository+"/blobs/"+digest, nil, nil); got.status != http.StatusMethodNotAllowed {
		t.Errorf("deleting a blob: %d, want 405", got.status)
	}
}

func TestTagsOfDeploys(t *testing.T) {
	p := open(t)
	const tag = "deploy-2026-11-22T14-03-51"
	img, other := runtimeImage(t, layer(t, file("a", "1"))), runtimeImage(t, layer(t, file("a", "2")))
	p.refused(t, tag, img, "made by Slipway")
	p.mu.Lock()
	p.reserved[tag] = true
	p.mu.Unlock()
	digest := p.push(repository+":"+tag, img)
	pinned, err := p.Pin(t.Context(), repository, tag)
	if err != nil || pinned != digest {
		t.Fatalf("Pin: %s, %v, want %s", pinned, err, digest)
	}
	p.refused(t, tag, other, "belongs to a deploy")
	for _, ref := range []string{tag, digest} {
		if got := p.call(t, "DELETE", "/v2/"+repository+"/manifests/"+ref, nil, nil); got.status != http.StatusBadRequest {
			t.Errorf("deleting %s: %d %s, want 400", ref, got.status, got.body)
		}
	}
	if got := p.inspect(repository + ":" + tag); got.Digest != digest {
		t.Errorf("the tag is %s, want %s", got.Digest, digest)
	}
	if tags, err := p.Tags(t.Context(), namespace); err != nil || len(tags) != 0 {
		t.Errorf("Tags: %v, %v, want none that Slipway made", tags, err)
	}
}

// refused fails unless a push is refused once, in a sentence.
func (p *portal) refused(t *testing.T, tag string, img interface {
	RawManifest() ([]byte, error)
}, part string) {
	t.Helper()
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	got := p.call(t, "PUT", "/v2/"+repository+"/manifests/"+tag, raw, http.Header{"Content-Type": {"application/vnd.docker.distribution.manifest.v2+json"}})
	if got.status != http.StatusBadRequest || !strings.Contains(string(got.body), part) {
		t.Errorf("pushing %s: %d %s, want 400 with %q", tag, got.status, got.body, part)
	}
}

func TestDroppedDeployment(t *testing.T) {
	p := open(t)
	img := runtimeImage(t, layer(t, file("a", "1")))
	digest := p.push(repository+":1", img)
	p.push("vast-comet-0001/airflow:1", img)
	if err := p.Retain(t.Context(), repository, digest); err != nil {
		t.Fatal(err)
	}
	if err := p.Drop(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(p.ref(repository + ":1")); err == nil {
		t.Error("the image is there after its Deployment was dropped")
	}
	p.inspect("vast-comet-0001/airflow:1")
}

package image_test

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway/internal/image"
)

// later is when what was used now has been left alone for long.
func later() time.Time { return time.Now().Add(25 * time.Hour) }

func (p *portal) sweep(keep map[string][]string, now time.Time) {
	p.t.Helper()
	p.sweepBut(image.Needed{Digests: keep}, now)
}

func (p *portal) sweepBut(keep image.Needed, now time.Time) {
	p.t.Helper()
	if err := p.Sweep(p.t.Context(), func() (image.Needed, error) { return keep, nil }, now); err != nil {
		p.t.Fatalf("Sweep: %v", err)
	}
}

// pulls reports whether an image can be pulled whole.
func (p *portal) pulls(text string) error {
	img, err := remote.Image(p.ref(text))
	if err != nil {
		return err
	}
	return validate.Image(img)
}

func (p *portal) wantPulls(t *testing.T, text string, want bool) {
	t.Helper()
	if err := p.pulls(text); (err == nil) != want {
		t.Errorf("pulling %s: %v, want it there: %v", text, err, want)
	}
}

func TestSweep(t *testing.T) {
	p := open(t)
	shared := layer(t, file("shared", strings.Repeat("s", 1000)))
	images := map[string]v1.Image{}
	for _, name := range []string{"tagged", "old", "kept", "ours", "ours-kept", "gone"} {
		images[name] = runtimeImage(t, shared, layer(t, file(name, name)))
	}
	p.reserved["deploy-a"], p.reserved["deploy-b"] = true, true
	p.push(repository+":1", images["old"])
	p.push(repository+":1", images["tagged"])
	kept := p.push(repository+":2", images["kept"])
	p.push(repository+":2", images["tagged"])
	ours, oursKept := p.push(repository+":deploy-a", images["ours"]), p.push(repository+":deploy-b", images["ours-kept"])
	for _, tag := range []string{"deploy-a", "deploy-b"} {
		if _, err := p.Pin(t.Context(), repository, tag); err != nil {
			t.Fatal(err)
		}
	}
	gone := p.push(namespace+"/base:1", images["gone"])
	if err := remote.Delete(p.ref(namespace + "/base@" + gone)); err != nil {
		t.Fatal(err)
	}
	keep := map[string][]string{repository: {kept, oursKept}}
	p.sweep(keep, time.Now())
	for _, digest := range []string{digestOf(t, images["old"]), kept, ours, oursKept} {
		p.wantPulls(t, repository+"@"+digest, true) // all was used lately
	}
	p.sweep(keep, later())
	p.wantPulls(t, repository+":1", true)
	p.wantPulls(t, repository+"@"+kept, true)
	p.wantPulls(t, repository+":deploy-b", true)
	p.wantPulls(t, repository+":deploy-a", false)
	p.wantPulls(t, repository+"@"+ours, false)
	p.wantPulls(t, repository+"@"+digestOf(t, images["old"]), false)
	p.wantBlob(t, images["gone"], false)
	p.wantBlob(t, images["tagged"], true)
	p.refused(t, "deploy-b", images["ours"], "belongs to a deploy")

	p.sweep(nil, later())
	p.wantPulls(t, repository+"@"+kept, false)
	p.wantPulls(t, repository+":1", true)
}

// wantBlob looks for the upper layer of an image.
func (p *portal) wantBlob(t *testing.T, img v1.Image, want bool) {
	t.Helper()
	d := upperLayer(t, img)
	if _, err := os.Stat(p.BlobFile(strings.TrimPrefix(d, "sha256:"))); (err == nil) != want {
		t.Errorf("blob %s: %v, want it there: %v", d, err, want)
	}
}

func upperLayer(t *testing.T, img v1.Image) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, err := layers[len(layers)-1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// What is asked for counts as used, for 24 hours more: a client relies on it.
func TestSweepLeavesWhatIsAskedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		ask       func(p *portal, manifest, blob string)
		image     bool // the whole image stays
		blob      bool // its upper layer does
		elsewhere bool // in the other repository
	}{
		"nothing": {ask: func(*portal, string, string) {}},
		"its manifest": {ask: func(p *portal, manifest, _ string) {
			p.call(t, "HEAD", "/v2/"+repository+"/manifests/"+manifest, nil, http.Header{"Accept": {"*/*", "application/vnd.docker.distribution.manifest.v2+json"}})
		}, image: true, blob: true},
		"its blob": {ask: func(p *portal, _, blob string) {
			p.call(t, "HEAD", "/v2/"+repository+"/blobs/"+blob, nil, nil)
		}, blob: true},
		"a mount": {ask: func(p *portal, _, blob string) {
			p.call(t, "POST", "/v2/"+namespace+"/other/blobs/uploads/?from="+repository+"&mount="+blob, nil, nil)
		}, blob: true, elsewhere: true},
		"a look before a deploy": {ask: func(p *portal, manifest, _ string) { p.inspect(repository + "@" + manifest) }, image: true, blob: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			img := runtimeImage(t, layer(t, file("a", "a")))
			digest := p.push(repository+":1", img)
			p.push(repository+":1", runtimeImage(t, layer(t, file("b", "b"))))
			blob := upperLayer(t, img)
			age(t, p, 25*time.Hour)
			tt.ask(p, digest, blob)
			p.sweep(nil, time.Now())
			p.wantPulls(t, repository+"@"+digest, tt.image)
			p.wantBlob(t, img, tt.blob)
			got := p.call(t, "HEAD", "/v2/"+namespace+"/other/blobs/"+blob, nil, nil)
			if (got.status == http.StatusOK) != tt.elsewhere {
				t.Errorf("in the other repository: %d, want it there: %v", got.status, tt.elsewhere)
			}
			age(t, p, 25*time.Hour)
			p.sweep(nil, time.Now())
			p.wantBlob(t, img, false)
		})
	}
}

// age makes all files of the registry older, but for tags.
func age(t *testing.T, p *portal, by time.Duration) {
	t.Helper()
	root := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(p.BlobFile("ab"))))))
	err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		old := time.Now().Add(-by)
		return os.Chtimes(name, old, old)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweepOfIndexes(t *testing.T) {
	p := open(t)
	child := runtimeImage(t, layer(t, file("a", "a")))
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: child})
	if err := remote.WriteIndex(p.ref(repository+":all"), index); err != nil {
		t.Fatal(err)
	}
	p.sweep(nil, later())
	p.wantPulls(t, repository+"@"+digestOf(t, child), true)

	p.reserved["deploy-a"] = true
	if err := remote.WriteIndex(p.ref(repository+":deploy-a"), index); err != nil {
		t.Fatal(err)
	}
	pinned, err := p.Pin(t.Context(), repository, "deploy-a")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Delete(p.ref(repository + ":all")); err != nil {
		t.Fatal(err)
	}
	p.sweep(map[string][]string{repository: {digestOf(t, child)}}, later()) // what runs of it
	if _, err := remote.Index(p.ref(repository + ":deploy-a")); err != nil {
		t.Errorf("the tag of a deploy that needs one image of its index: %v", err)
	}
	p.refused(t, "deploy-a", child, "belongs to a deploy")
	p.sweep(nil, later())
	p.wantPulls(t, repository+"@"+pinned, false)
}

func TestSweepOfUploads(t *testing.T) {
	p := open(t)
	given := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil).header.Get("Location")
	p.call(t, "PATCH", given, []byte("half"), nil)
	p.sweep(nil, time.Now())
	if got := p.call(t, "GET", given, nil, nil); got.status != http.StatusNoContent {
		t.Fatalf("an upload that goes on: %d", got.status)
	}
	p.sweep(nil, later())
	if got := p.call(t, "GET", given, nil, nil); got.status != http.StatusNotFound {
		t.Errorf("an upload that was given up: %d, want 404", got.status)
	}
}

// What was pushed by another digest than SHA-256 is swept like all that nothing needs:
// the blob, and the link by the other digest.
func TestSweepOfOtherDigests(t *testing.T) {
	p := open(t)
	content := []byte("pushed by SHA-512")
	wide := sha512.Sum512(content)
	digest := "sha512:" + hex.EncodeToString(wide[:])
	begun := p.call(t, "POST", "/v2/"+repository+"/blobs/uploads/", nil, nil)
	if got := p.call(t, "PUT", begun.header.Get("Location")+"&digest="+digest, content, nil); got.status != 201 {
		t.Fatalf("push: %d %s", got.status, got.body)
	}
	there := func() bool { return p.call(t, "HEAD", "/v2/"+repository+"/blobs/"+digest, nil, nil).status == 200 }
	p.sweep(nil, time.Now())
	if !there() {
		t.Error("a blob that was pushed just now is swept")
	}
	p.sweepBut(image.Needed{Whole: map[string]bool{namespace: true}}, later())
	if !there() {
		t.Error("a blob of a namespace that stays whole is swept")
	}
	p.sweep(nil, later())
	if there() {
		t.Error("the blob is still there")
	}
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(p.BlobFile(sha(content))))))), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A manifest that cannot be read may be needed: nothing is removed.
func TestSweepEndsAtAManifestThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	p := openAt(t, dir)
	p.reserved["deploy-a"] = true
	img := runtimeImage(t, layer(t, file("a", "a")))
	digest := p.push(repository+":deploy-a", img)
	other := p.push(repository+":other", runtimeImage(t, layer(t, file("b", "b"))))
	var blob string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if hex := strings.TrimPrefix(digest, "sha256:"); filepath.Base(path) == "data" && filepath.Base(filepath.Dir(path)) == hex {
			blob = path
		}
		return err
	})
	if err != nil || blob == "" {
		t.Fatalf("the manifest is at %q, %v", blob, err)
	}
	if err := errors.Join(os.Rename(blob, blob+".away"), os.Mkdir(blob, 0o700)); err != nil {
		t.Fatal(err)
	}
	keep := func() (image.Needed, error) {
		return image.Needed{Digests: map[string][]string{repository: {other}}}, nil
	}
	if err := p.Sweep(t.Context(), keep, later()); err == nil {
		t.Error("swept without an error")
	}
	if err := errors.Join(os.Remove(blob), os.Rename(blob+".away", blob)); err != nil {
		t.Fatal(err)
	}
	p.wantPulls(t, repository+":deploy-a", true)
}

package image_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/gzip"

	"slipway/internal/slipway"
)

// saved is an image as docker save writes it.
func saved(t *testing.T, img v1.Image) []byte {
	t.Helper()
	tag, err := name.NewTag("team/airflow:1")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tarball.Write(tag, img, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// plainSaved is an image as older engines save it: layers not compressed, one
// of them by a symlink.
func plainSaved(t *testing.T, img v1.Image) []byte {
	t.Helper()
	raw, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	items := []item{file("c.json", string(raw))}
	var names []string
	for i, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%d/layer.tar", i))
		items = append(items, file(fmt.Sprintf("blobs/%d", i), string(content)), link(names[i], fmt.Sprintf("../blobs/%d", i)))
	}
	text, err := json.Marshal([]any{map[string]any{"Config": "c.json", "Layers": names}})
	if err != nil {
		t.Fatal(err)
	}
	return tarOf(t, append(items, file("manifest.json", string(text)))...)
}

// laidOut is an image as an OCI layout, in a tar.
func laidOut(t *testing.T, images ...v1.Image) []byte {
	t.Helper()
	dir := t.TempDir()
	l, err := layout.Write(dir, emptyIndex)
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range images {
		if err := l.AppendImage(img); err != nil {
			t.Fatal(err)
		}
	}
	var items []item
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		items = append(items, file(strings.TrimPrefix(path, dir+"/"), string(content)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tarOf(t, items...)
}

func gzipped(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (p *portal) take(archive []byte) (slipway.Image, error) {
	return p.takeFor(archive, slipway.DefaultPlatform)
}

func (p *portal) takeFor(archive []byte, platform string) (slipway.Image, error) {
	return p.Import(p.t.Context(), repository, "deploy-1", bytes.NewReader(archive), int64(len(archive)), platform)
}

// packedLayers are the layers of an image, compressed.
func packedLayers(t *testing.T, img v1.Image) (all [][]byte) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw)
	}
	return all
}

// sha is the SHA-256 of content in hex.
func sha(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func TestImport(t *testing.T) {
	img := runtimeImage(t, layer(t, file(dagsDir+"/a.py", "a")), layer(t, file("opt/large", strings.Repeat("0123456789", 100_000))), layer(t, file(dagsDir+"/a.py", "a")))
	tests := []struct {
		name    string
		archive []byte
		same    bool // its digest is that of the image: nothing had to be compressed
	}{
		{"docker save", saved(t, img), false},
		{"docker save of layers that are not compressed", plainSaved(t, img), false},
		{"docker save, gzip", gzipped(t, plainSaved(t, img)), false},
		{"OCI layout", laidOut(t, img), true},
		{"OCI layout, gzip", gzipped(t, laidOut(t, img)), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t)
			got, err := p.take(tt.archive)
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != repository || got.Tag != "deploy-1" || got.Runtime != "3.1-4" || len(got.Layers) != 3 {
				t.Errorf("got %+v", got)
			}
			if (got.Digest == digestOf(t, img)) != tt.same {
				t.Errorf("digest %s, the image's is %s, want the same: %v", got.Digest, digestOf(t, img), tt.same)
			}
			pulled, err := remote.Image(p.ref(repository + "@" + got.Digest))
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(pulled); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestImportRefuses(t *testing.T) {
	img := runtimeImage(t, layer(t, file("a", strings.Repeat("a", 100_000))), layer(t, file("b", "b")))
	arm := imageWith(t, func(c *v1.ConfigFile) { c.Architecture = "arm64" }, layer(t, file("a", "a")))
	good := plainSaved(t, img)
	tests := []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", nil, "no archive of an image"},
		{"text", []byte(strings.Repeat("hello", 1000)), "no archive of an image"},
		{"a zip", append([]byte("PK\x03\x04"), make([]byte, 2000)...), "no archive of an image"},
		{"an archive of DAGs", tarOf(t, file("dags/a.py", "a")), "holds no image"},
		{"cut off in a layer", good[:60_000], "ends in the middle"},
		{"cut off, gzip", gzipped(t, good)[:400], "ends in the middle"},
		{"cut off between entries", cutBefore(t, good, "manifest.json"), "holds no image"},
		{"damaged gzip", damagedGzip(t, good), "damaged"},
		{"a way out", tarOf(t, file("../evil", "x")), "leads out of it"},
		{"an absolute path", tarOf(t, file("/etc/evil", "x")), "leads out of it"},
		{"a device", tarOf(t, item{name: "null", kind: '3'}), "neither a file nor a link"},
		{"two of one name", tarOf(t, file("manifest.json", "[]"), file("./manifest.json", "[]")), "two entries"},
		{"no images", tarOf(t, file("manifest.json", "[]")), "holds 0 images"},
		{"two images", laidOut(t, img, imageWith(t, nil, layer(t, file("c", "c")))), "holds 2 images"},
		{"another platform", saved(t, arm), "offers linux/arm64 only"},
		{"another platform, OCI", laidOut(t, arm), "offers linux/arm64 only"},
		{"a missing layer", tarOf(t, file("manifest.json", `[{"Config":"c","Layers":["x"]}]`), file("c", `{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["sha256:00"]}}`)), "x is missing"},
		{"a layer in a circle of links", tarOf(t, file("manifest.json", `[{"Config":"c","Layers":["x"]}]`), file("c", `{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["sha256:00"]}}`), link("x", "y"), link("y", "x")), "missing"},
		{"a layer with other content", replaced(t, good, strings.Repeat("a", 100), strings.Repeat("b", 100)), "other content than its configuration says"},
		{"a blob with other content", replaced(t, laidOut(t, img), `"AIRFLOW_HOME=/usr/local/airflow"`, `"AIRFLOW_HOME=/usr/local/airfloW"`), "other content than its digest says"},
		{"more layers than diffs", tarOf(t, file("manifest.json", `[{"Config":"c","Layers":["x","x"]}]`), file("x", "x"), file("c", `{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["sha256:00"]}}`)), "names 1 layers, its manifest 2"},
		{"no JSON", tarOf(t, file("manifest.json", "{")), "cannot be read"},
		{"a digest that leads out", tarOf(t, file("index.json", `{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:../../../x"}]}`)), "which is no digest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t)
			_, err := p.take(tt.archive)
			wantSentence(t, err, tt.want)
			if got := p.call(t, "GET", "/v2/"+repository+"/manifests/deploy-1", nil, nil); got.status != 404 {
				t.Errorf("the tag is there: %d", got.status)
			}
		})
	}
}

// cutBefore returns an archive up to an entry.
func cutBefore(t *testing.T, archive []byte, name string) []byte {
	t.Helper()
	i := bytes.LastIndex(archive, []byte(name))
	if i < 0 || i%512 != 0 {
		t.Fatalf("%s begins at %d", name, i)
	}
	return archive[:i]
}

func damagedGzip(t *testing.T, raw []byte) []byte {
	t.Helper()
	packed := gzipped(t, raw)
	packed[len(packed)-6] ^= 0xff // of the checksum
	return packed
}

func replaced(t *testing.T, archive []byte, from, to string) []byte {
	t.Helper()
	if !bytes.Contains(archive, []byte(from)) {
		t.Fatalf("no %q in the archive", from)
	}
	return bytes.ReplaceAll(archive, []byte(from), []byte(to))
}

// An archive that is small and unpacks to a lot is taken without being held or
// spooled: its layer is stored compressed.
func TestImportOfABomb(t *testing.T) {
	p := open(t)
	const size = 64 << 20
	sum := sha256.New()
	if _, err := io.CopyN(sum, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	writeBomb(t, w, size, "sha256:"+hex.EncodeToString(sum.Sum(nil)))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := p.take(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got.Size > 4<<20 {
		t.Errorf("the image takes %d bytes", got.Size)
	}
}

package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
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
	"github.com/klauspost/compress/zstd"

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
		{"OCI layout, zstd", zstdOf(t, laidOut(t, img)), true},
		{"docker save, zstd", zstdOf(t, plainSaved(t, img)), false},
		{"both halves", both(t, img, nil), true},
		{"every entry twice", joined(t, laidOut(t, img), laidOut(t, img)), true},
		{"every entry of docker save twice", joined(t, plainSaved(t, img), plainSaved(t, img)), false},
		{"beside entries that no image needs", joined(t, tarOf(t, item{name: "null", kind: tar.TypeChar}, file("../up", "x"), file("/abs", "x")), laidOut(t, img)), true},
		{"OCI half: no JSON", both(t, img, withIndex("{")), false},
		{"OCI half: no image", both(t, img, withIndex(`{"manifests":[]}`)), false},
		{"OCI half: a manifest that is not there", both(t, img, withIndex(`{"manifests":[{"mediaType":"`+ociManifest+`","digest":"sha256:`+strings.Repeat("0", 64)+`"}]}`)), false},
		{"OCI half: no digests", both(t, img, withIndex(`{"manifests":[{"digest":"../x"}]}`)), false},
		{"OCI half: blobs are gone", both(t, img, func(i *item) { i.name = strings.Replace(i.name, "blobs/", "gone/", 1) }), false},
		{"OCI half: layers are gone", both(t, img, func(i *item) {
			if len(i.content) > 1000 {
				i.name = strings.Replace(i.name, "blobs/", "gone/", 1)
			}
		}), false},
		{"OCI half: damaged layers", both(t, img, func(i *item) {
			if strings.HasPrefix(i.name, "blobs/") && strings.HasPrefix(i.content, "\x1f\x8b") {
				i.content = i.content[:len(i.content)-1] + "\x7f"
			}
		}), false},
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
	large := plainSaved(t, runtimeImage(t, layer(t, file("a", strings.Repeat("a", 400_000)))))
	tests := []struct {
		name    string
		archive []byte
		want    string
	}{
		{"nothing", nil, "no archive of an image"},
		{"text", []byte(strings.Repeat("hello", 1000)), "no archive of an image"},
		{"a zip", append([]byte("PK\x03\x04"), make([]byte, 2000)...), "a zip file, and no archive of an image"},
		{"a small zip", []byte("PK\x05\x06" + strings.Repeat("\x00", 18)), "a zip file"},
		{"no archive, zstd", zstdOf(t, []byte(strings.Repeat("hello", 1000))), "no archive of an image"},
		{"an archive of DAGs", tarOf(t, file("dags/a.py", "a")), "holds no image"},
		{"cut off in a layer", good[:60_000], "ends in the middle"},
		{"cut off, gzip", gzipped(t, good)[:400], "ends in the middle"},
		{"cut off between entries", cutBefore(t, good, "manifest.json"), "holds no image"},
		{"damaged gzip", damagedGzip(t, good), "damaged"},
		{"a way out", tarOf(t, file("../evil", "x")), "leads out of it"},
		{"an absolute path", tarOf(t, file("/etc/evil", "x")), "leads out of it"},
		{"a device", tarOf(t, item{name: "null", kind: '3'}), "neither a file nor a link"},
		{"two of one name", tarOf(t, file("manifest.json", "[]"), file("./manifest.json", "[ ]")), "two entries"},
		{"two layers of one name", joined(t, replaced(t, good, strings.Repeat("a", 100), strings.Repeat("b", 100)), good), "two entries"},
		{"two large layers of one name", joined(t, large, replaced(t, large, strings.Repeat("a", 100), strings.Repeat("b", 100))), "other content than its configuration says"},
		{"a link and a file of one name", tarOf(t, file("manifest.json", "[]"), link("manifest.json", "x")), "two entries"},
		{"both halves broken", replaced(t, both(t, img, func(i *item) { i.name = strings.Replace(i.name, "blobs/", "gone/", 1) }), strings.Repeat("a", 100), strings.Repeat("b", 100)), "is missing"},
		{"a compressed layer with other content", swappedLayer(t, img), "other content than its configuration says"},
		{"docker export", tarOf(t, file(".dockerenv", ""), item{name: "dev/console", kind: tar.TypeChar}, file("app", "x")), "what docker export writes"},
		{"an older docker export", tarOf(t, dir("bin"), dir("etc"), dir("dev"), file("usr/bin/airflow", "x"), hard("usr/bin/af", "usr/bin/airflow")), "Use docker save"},
		{"docker export, gzip", gzipped(t, tarOf(t, file(".dockerenv", ""), file("etc/passwd", "x"))), "what docker export writes"},
		{"docker export of many files", tarOf(t, manyFiles(100_001)...), "what docker export writes"},
		{"xz", append([]byte("\xfd7zXZ\x00"), make([]byte, 2000)...), "compressed with xz"},
		{"bzip2", append([]byte("BZh91AY&SY"), make([]byte, 2000)...), "compressed with bzip2"},
		{"7z", []byte("7z\xbc\xaf\x27\x1c"), "a 7z file"},
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

// zstdOf is raw, compressed with zstd.
func zstdOf(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// joined is one archive with the entries of several, in their order.
func joined(t *testing.T, archives ...[]byte) []byte {
	t.Helper()
	var items []item
	for _, raw := range archives {
		items = append(items, itemsOf(t, raw)...)
	}
	return tarOf(t, items...)
}

// itemsOf are the entries of an archive.
func itemsOf(t *testing.T, raw []byte) (items []item) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(raw)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return items
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item{name: h.Name, content: string(content), link: h.Linkname, kind: h.Typeflag, mode: h.Mode})
	}
}

// both is an archive with an OCI layout and, under names of its own, what
// docker save wrote before. edit changes the entries of the OCI half.
func both(t *testing.T, img v1.Image, edit func(*item)) []byte {
	t.Helper()
	oci := itemsOf(t, laidOut(t, img))
	for i := range oci {
		if edit != nil {
			edit(&oci[i])
		}
	}
	var old []item
	for _, i := range itemsOf(t, plainSaved(t, img)) {
		i.name = strings.Replace(i.name, "blobs/", "plain/", 1)
		i.link = strings.Replace(i.link, "blobs/", "plain/", 1)
		old = append(old, i)
	}
	return tarOf(t, append(oci, old...)...)
}

// withIndex replaces the index of a layout.
func withIndex(content string) func(*item) {
	return func(i *item) {
		if i.name == "index.json" {
			i.content = content
		}
	}
}

// swappedLayer is what docker save writes, with another compressed layer than
// the configuration names.
func swappedLayer(t *testing.T, img v1.Image) []byte {
	t.Helper()
	other := string(gzipped(t, tarOf(t, file("evil", "x"))))
	items := itemsOf(t, saved(t, img))
	for i := range items {
		if strings.HasPrefix(items[i].content, "\x1f\x8b") {
			items[i].content = other
		}
	}
	return tarOf(t, items...)
}

// manyFiles are files of a container.
func manyFiles(n int) []item {
	items := []item{dir("etc"), dir("var"), dir("proc")}
	for i := range n {
		items = append(items, file(fmt.Sprintf("usr/%d", i), ""))
	}
	return items
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

// macOS's tar and GNU tar --sparse store runs of zeros as holes.
func TestImportWithHoles(t *testing.T) {
	img := runtimeImage(t, layer(t, file("zeros", strings.Repeat("\x00", 8<<20)+"end")))
	for _, format := range []string{"--format=gnu", "--format=posix"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			for _, i := range itemsOf(t, plainSaved(t, img)) {
				if i.kind == tar.TypeReg {
					i.content = strings.Replace(i.content, `"0/layer.tar"`, `"blobs/0"`, 1)
					writeWithHoles(t, filepath.Join(dir, i.name), i.content)
				}
			}
			archive := filepath.Join(t.TempDir(), "image.tar")
			if out, err := exec.CommandContext(t.Context(), "tar", format, "--sparse", "-C", dir, "-cf", archive, "blobs", "c.json", "manifest.json").CombinedOutput(); err != nil {
				t.Fatalf("tar: %v: %s", err, out)
			}
			raw := read(t, archive)
			if len(raw) > 1<<20 {
				t.Skipf("the file system keeps no holes: %d bytes", len(raw))
			}
			if _, err := open(t).take(raw); err != nil {
				t.Error(err)
			}
		})
	}
}

// writeWithHoles writes a file without the blocks of zeros.
func writeWithHoles(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	const block = 64 << 10
	for at := 0; at < len(content); at += block {
		part := content[at:min(at+block, len(content))]
		if strings.Trim(part, "\x00") == "" {
			continue
		}
		if _, err := f.WriteAt([]byte(part), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(int64(len(content))), f.Close()); err != nil {
		t.Fatal(err)
	}
}

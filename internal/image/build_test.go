package image_test

import (
	"archive/tar"
	"bytes"
	"io"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// item is an entry of a layer: a file with content unless it is something else.
type item struct {
	name, content, link string
	kind                byte
	mode                int64
}

func layer(t *testing.T, items ...item) v1.Layer {
	t.Helper()
	raw := tarOf(t, items...)
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func tarOf(t *testing.T, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Typeflag: i.kind, Name: i.name, Size: int64(len(i.content)), Linkname: i.link, Mode: i.mode}
		if i.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if i.mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, i.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func dir(name string) item           { return item{name: name + "/", kind: tar.TypeDir} }
func file(name, content string) item { return item{name: name, content: content, mode: 0o644} }
func link(name, target string) item  { return item{name: name, link: target, kind: tar.TypeSymlink} }
func hard(name, target string) item  { return item{name: name, link: target, kind: tar.TypeLink} }
func without(dir, base string) item  { return file(dir+"/.wh."+base, "") }
func onlyFromHereOn(dir string) item { return file(dir+"/.wh..wh..opq", "") }

// runtimeImage is an image of Astro Runtime with these layers.
func runtimeImage(t *testing.T, layers ...v1.Layer) v1.Image {
	t.Helper()
	return imageWith(t, func(c *v1.ConfigFile) {
		c.Config.Env = []string{"PATH=/usr/bin", "AIRFLOW_HOME=/usr/local/airflow"}
		c.Config.Labels = map[string]string{"io.astronomer.docker.runtime.version": "3.1-4", "io.astronomer.docker.airflow.version": "3.1.3"}
		c.Config.User = "astro"
	}, layers...)
}

func imageWith(t *testing.T, edit func(*v1.ConfigFile), layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", "amd64"
	c.Created = v1.Time{Time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	if edit != nil {
		edit(c)
	}
	img, err = mutate.ConfigFile(img, c)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

var emptyIndex = empty.Index

// zeros is an endless stream of them.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// writeBomb writes an archive of an image with a layer of so many zeros.
func writeBomb(t *testing.T, to io.Writer, size int64, diff string) {
	t.Helper()
	w := tar.NewWriter(to)
	config := `{"os":"linux","architecture":"amd64","config":{"Env":["AIRFLOW_HOME=/a"]},"rootfs":{"type":"layers","diff_ids":["` + diff + `"]}}`
	for name, content := range map[string]string{"c.json": config, "manifest.json": `[{"Config":"c.json","Layers":["layer.tar"]}]`} {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: "layer.tar", Size: size, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

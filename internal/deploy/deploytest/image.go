package deploytest

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image describes an image of Airflow.
type Image struct {
	Runtime  string            // "" for none
	Arch     string            // "" for amd64
	DAGs     map[string]string // content by path; "-> target" for a symlink
	Packages string            // content of a layer below the DAGs
	Built    time.Time
}

// Runtime1 and Runtime2 are images of two versions of Astro Runtime, one file in
// the dags folder each.
var (
	Runtime1 = Image{Runtime: "3.1-4", Packages: "one", DAGs: map[string]string{"from_image.py": DAG("image 1")}, Built: time.Now().Add(-time.Hour)}
	Runtime2 = Image{Runtime: "3.1-5", Packages: "two", DAGs: map[string]string{"from_image.py": DAG("image 2")}, Built: time.Now().Add(-time.Hour)}
)

// Build returns the image with content and configuration.
func (m Image) Build(t *testing.T) v1.Image {
	t.Helper()
	i := layered(t, empty.Image, map[string]string{"usr/lib/packages.txt": m.Packages})
	dags := map[string]string{}
	for name, text := range m.DAGs {
		dags["usr/local/airflow/dags/"+name] = text
	}
	if len(dags) > 0 {
		i = layered(t, i, dags)
	}
	c, err := i.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = "linux", "amd64", v1.Time{Time: m.Built}
	if m.Arch != "" {
		c.Architecture = m.Arch
	}
	c.Config.Env = []string{"AIRFLOW_HOME=/usr/local/airflow"}
	c.Config.Labels = map[string]string{}
	if m.Runtime != "" {
		c.Config.Labels["io.astronomer.docker.runtime.version"] = m.Runtime
	}
	if i, err = mutate.ConfigFile(i, c); err != nil {
		t.Fatal(err)
	}
	return i
}

// layered returns an image with one more layer.
func layered(t *testing.T, i v1.Image, files map[string]string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h, text := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}, files[name]
		if target, link := strings.CutPrefix(text, "-> "); link {
			h.Typeflag, h.Linkname, h.Size, text = tar.TypeSymlink, target, 0, ""
		}
		if err := out.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	if i, err = mutate.AppendLayers(i, l); err != nil {
		t.Fatal(err)
	}
	return i
}

package image_test

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

const dagsDir = "usr/local/airflow/dags"

func TestDagsTar(t *testing.T) {
	tests := []struct {
		name   string
		layers [][]item
		want   map[string]string
	}{
		{"one layer", [][]item{{dir(dagsDir), file(dagsDir+"/a.py", "a"), file(dagsDir+"/sub/b.py", "b"), file("usr/local/airflow/x", "x")}},
			map[string]string{"a.py": "a", "sub/b.py": "b"}},
		{"a higher layer replaces", [][]item{{file(dagsDir+"/a.py", "old"), file(dagsDir+"/b.py", "b")}, {file(dagsDir+"/a.py", "new")}},
			map[string]string{"a.py": "new", "b.py": "b"}},
		{"whiteout of a file", [][]item{{file(dagsDir+"/a.py", "a"), file(dagsDir+"/b.py", "b")}, {without(dagsDir, "a.py")}},
			map[string]string{"b.py": "b"}},
		{"whiteout of a folder", [][]item{{file(dagsDir+"/sub/a.py", "a"), file(dagsDir+"/b.py", "b")}, {without(dagsDir, "sub")}},
			map[string]string{"b.py": "b"}},
		{"whiteout and the same name in one layer", [][]item{{file(dagsDir+"/sub/a.py", "a")}, {file(dagsDir+"/sub/b.py", "b"), without(dagsDir, "sub")}},
			map[string]string{"sub/b.py": "b"}},
		{"opaque folder", [][]item{{file(dagsDir+"/sub/a.py", "a"), file(dagsDir+"/b.py", "b")}, {onlyFromHereOn(dagsDir + "/sub"), file(dagsDir+"/sub/c.py", "c")}},
			map[string]string{"b.py": "b", "sub/c.py": "c"}},
		{"opaque dags folder", [][]item{{file(dagsDir+"/a.py", "a")}, {file(dagsDir+"/c.py", "c"), onlyFromHereOn(dagsDir)}},
			map[string]string{"c.py": "c"}},
		{"a folder of the way made anew", [][]item{{file(dagsDir+"/a.py", "a")}, {without("usr/local", "airflow"), file(dagsDir+"/c.py", "c")}},
			map[string]string{"c.py": "c"}},
		{"back after a whiteout", [][]item{{file(dagsDir+"/a.py", "1")}, {without(dagsDir, "a.py")}, {file(dagsDir+"/a.py", "3")}},
			map[string]string{"a.py": "3"}},
		{"a file where a folder was", [][]item{{file(dagsDir+"/a/b.py", "b")}, {file(dagsDir+"/a", "a")}},
			map[string]string{"a": "a"}},
		{"a folder where a file was", [][]item{{file(dagsDir+"/a", "a")}, {file(dagsDir+"/a/b.py", "b")}},
			map[string]string{"a/b.py": "b"}},
		{"dags is a symlink", [][]item{{file("opt/project/a.py", "a")}, {link(dagsDir, "/opt/project")}},
			map[string]string{"a.py": "a"}},
		{"relative symlink of the way", [][]item{{file("srv/af/dags/a.py", "a"), link("usr/local/airflow", "../../srv/af")}},
			map[string]string{"a.py": "a"}},
		{"symlink out of the image", [][]item{{file("opt/project/a.py", "a"), link(dagsDir, "../../../../../../opt/project")}},
			map[string]string{"a.py": "a"}},
		{"symlink in the folder", [][]item{{file(dagsDir+"/a.py", "a"), link(dagsDir+"/b.py", "a.py")}},
			map[string]string{"a.py": "a", "b.py": "→ a.py"}},
		{"hard links", [][]item{{file("opt/x.py", "x"), file(dagsDir+"/a.py", "a"), hard(dagsDir+"/b.py", dagsDir+"/a.py"), hard(dagsDir+"/c.py", dagsDir+"/b.py"), hard(dagsDir+"/x.py", "opt/x.py")}},
			map[string]string{"a.py": "a", "b.py": "a", "c.py": "a", "x.py": "x"}},
		{"hard link to what a higher layer replaced", [][]item{{file(dagsDir+"/a.py", "old"), hard(dagsDir+"/b.py", dagsDir+"/a.py")}, {file(dagsDir+"/a.py", "new")}},
			map[string]string{"a.py": "new", "b.py": "old"}},
		{"hard link into a lower layer", [][]item{{file(dagsDir+"/a.py", "a")}, {hard(dagsDir+"/b.py", dagsDir+"/a.py")}},
			map[string]string{"a.py": "a", "b.py": "a"}},
		{"names with ./ and /", [][]item{{file("./"+dagsDir+"/a.py", "a"), file("/"+dagsDir+"/b.py", "b")}},
			map[string]string{"a.py": "a", "b.py": "b"}},
		{"empty folder", [][]item{{dir(dagsDir)}}, map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t)
			var layers []v1.Layer
			for _, items := range tt.layers {
				layers = append(layers, layer(t, items...))
			}
			p.push(repository+":1", runtimeImage(t, layers...))
			var b bytes.Buffer
			if err := p.DagsTar(t.Context(), p.inspect(repository+":1"), image.Login{}, "/"+dagsDir, &b); err != nil {
				t.Fatal(err)
			}
			wantFiles(t, filesOf(t, &b), tt.want)
		})
	}
}

func TestDagsTarRefuses(t *testing.T) {
	tests := []struct {
		name  string
		items []item
		want  string
	}{
		{"no folder", []item{file("etc/a", "a")}, "has no folder /usr/local/airflow/dags"},
		{"a file", []item{file(dagsDir, "a")}, "has no folder"},
		{"symlinks in a circle", []item{link(dagsDir, "/a"), link("a", "/b"), link("b", "/a")}, "too many symlinks"},
		{"a device", []item{{name: dagsDir + "/null", kind: tar.TypeChar}}, "neither a file nor a folder"},
		{"a hard link to nothing", []item{dir(dagsDir), hard(dagsDir+"/a.py", "opt/gone")}, "opt/gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t)
			p.push(repository+":1", runtimeImage(t, layer(t, tt.items...)))
			err := p.DagsTar(t.Context(), p.inspect(repository+":1"), image.Login{}, "/"+dagsDir, io.Discard)
			wantSentence(t, err, tt.want)
		})
	}
}

func TestDagsNeedAFolder(t *testing.T) {
	p := open(t)
	p.push(repository+":1", runtimeImage(t, layer(t, file("a", "a"))))
	base := p.inspect(repository + ":1")
	for _, path := range []string{"", "/", "dags", "/../"} {
		_, err := p.WithDags(t.Context(), base, image.Login{}, path, nil, repository, "deploy-1")
		wantSentence(t, err, "not known where this image has its DAGs")
		wantSentence(t, p.DagsTar(t.Context(), base, image.Login{}, path, io.Discard), "not known where this image has its DAGs")
	}
}

func TestWithDags(t *testing.T) {
	p := open(t)
	bottom := layer(t, item{name: "usr/local/", kind: tar.TypeDir, mode: 0o700}, file(dagsDir+"/gone.py", "gone"), file("usr/local/airflow/keep", "keep"))
	p.push(repository+":1", runtimeImage(t, bottom, layer(t, file(dagsDir+"/sub/gone.py", "gone"))))
	base := p.inspect(repository + ":1")
	files := []image.DagFile{
		{Path: "b/c.py", Mode: 0o755, Size: 3, Open: content("c.1")},
		{Path: "a.py", Mode: 0o400, Size: 5, Open: content("a\x00\r\n\xff")},
		{Path: "link.py", Link: "a.py"},
	}
	made, err := p.WithDags(t.Context(), base, image.Login{}, "/"+dagsDir, files, repository, "deploy-1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.WithDags(t.Context(), base, image.Login{}, "/"+dagsDir, files, namespace+"/other", "deploy-2")
	if err != nil || again.Digest != made.Digest {
		t.Errorf("the same input made %s, then %s, %v", made.Digest, again.Digest, err)
	}
	if made.Runtime != base.Runtime || len(made.Layers) != len(base.Layers)+1 || made.DagsPath != base.DagsPath {
		t.Errorf("made %+v of %+v", made, base)
	}
	var b bytes.Buffer
	if err := p.DagsTar(t.Context(), made, image.Login{}, "/"+dagsDir, &b); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, filesOf(t, &b), map[string]string{"a.py": "a\x00\r\n\xff", "b/c.py": "c.1", "link.py": "→ a.py"})

	pulled, err := remote.Image(p.ref(repository + "@" + made.Digest))
	if err != nil {
		t.Fatal(err)
	}
	flat := mutate.Extract(pulled) // another reader of layers than ours
	defer flat.Close()
	wantModes(t, flat, map[string]int64{
		dagsDir: 0o755, dagsDir + "/a.py": 0o644, dagsDir + "/b": 0o755, dagsDir + "/b/c.py": 0o755, "usr/local": 0o700, "usr/local/airflow/keep": 0o644,
	})
	c, err := pulled.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if last := c.History[len(c.History)-1].CreatedBy; !strings.Contains(last, "slipway: 3 files") {
		t.Errorf("history ends with %q", last)
	}
}

func content(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// wantModes compares the modes of some paths; nothing that went may be there.
func wantModes(t *testing.T, flat io.Reader, want map[string]int64) {
	t.Helper()
	got := map[string]int64{}
	for r := tar.NewReader(flat); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		name := strings.TrimSuffix(h.Name, "/")
		if _, ok := want[name]; ok {
			got[name] = h.Mode
		}
		if strings.Contains(name, "gone") {
			t.Errorf("%s is in the image", name)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("modes %v, want %v", got, want)
	}
}

func TestWithDagsOfAForeignImage(t *testing.T) {
	p, other := open(t), open(t)
	p.AllowLoopback()
	digest := other.push("team/airflow:1", runtimeImage(t, layer(t, link(dagsDir, "/opt/d"), dir("opt/d"), file("opt/d/old.py", "old"))))
	base, err := p.Inspect(t.Context(), image.Ref{Name: other.host + "/team/airflow", Tag: "1"}, slipway.DefaultPlatform, image.Login{})
	if err != nil || base.Digest != digest {
		t.Fatalf("Inspect: %+v, %v", base, err)
	}
	made, err := p.WithDags(t.Context(), base, image.Login{}, base.DagsPath, []image.DagFile{{Path: "a.py", Size: 1, Open: content("a")}}, repository, "deploy-1")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.DagsTar(t.Context(), made, image.Login{}, base.DagsPath, &b); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, filesOf(t, &b), map[string]string{"a.py": "a"})
	if made.Name != repository || made.Tag != "deploy-1" {
		t.Errorf("made %s:%s", made.Name, made.Tag)
	}
}

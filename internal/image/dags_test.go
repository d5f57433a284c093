package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/gzip"

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
		{"absolute links into the folder", [][]item{{file(dagsDir+"/a.py", "a"), link(dagsDir+"/b.py", "/"+dagsDir+"/a.py"), link(dagsDir+"/sub/c.py", "/usr/local/./airflow//dags/a.py"), link(dagsDir+"/gone.py", "/"+dagsDir+"/none.py")}},
			map[string]string{"a.py": "a", "b.py": "→ a.py", "sub/c.py": "→ ../a.py", "gone.py": "→ none.py"}},
		{"links out of the folder and back", [][]item{{file(dagsDir+"/a.py", "a"), link(dagsDir+"/b.py", "../dags/a.py"), link(dagsDir+"/sub/c", "../../../airflow/dags/sub")}},
			map[string]string{"a.py": "a", "b.py": "→ a.py", "sub/c": "→ ."}},
		{"an absolute link by the set folder", [][]item{{file("srv/af/dags/a.py", "a"), link("srv/af/dags/b.py", "/"+dagsDir+"/a.py"), link("srv/af/dags/c.py", "/srv/af/dags/a.py"), link("usr/local/airflow", "/srv/af")}},
			map[string]string{"a.py": "a", "b.py": "→ a.py", "c.py": "→ a.py"}},
		{"absolute links by other symlinks", [][]item{{file(dagsDir+"/sub/a.py", "a"), link(dagsDir+"/b.py", "/opt/alias/sub/a.py"), link(dagsDir+"/c.py", "/opt/file")}, {link("opt/alias", "../home/af/dags"), link("home/af", "/usr/local/airflow"), link("opt/file", "alias/sub/a.py")}},
			map[string]string{"sub/a.py": "a", "b.py": "→ sub/a.py", "c.py": "→ sub/a.py"}},
		{"as many other symlinks as are followed, and one more", [][]item{{file(dagsDir+"/a.py", "a"), link(dagsDir+"/five.py", "/l5"), link(dagsDir+"/six.py", "/l6")},
			{link("l6", "l5"), link("l5", "l4"), link("l4", "l3"), link("l3", "l2"), link("l2", "l1"), link("l1", "/"+dagsDir+"/a.py")}},
			map[string]string{"a.py": "a", "five.py": "→ a.py", "six.py": "→ /l6"}},
		{"links elsewhere stay", [][]item{{file("opt/x.py", "x"), link(dagsDir+"/x.py", "/opt/x.py"), link(dagsDir+"/y.py", "../../../../opt/x.py"), link(dagsDir+"/z.py", "/none"), link(dagsDir+"/o.py", "/opt/loop"), link("opt/loop", "/opt/loop")}},
			map[string]string{"x.py": "→ /opt/x.py", "y.py": "→ ../../../../opt/x.py", "z.py": "→ /none", "o.py": "→ /opt/loop"}},
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
		_, err := p.WithDags(t.Context(), base, image.Login{}, image.Dags{Path: path}, repository, "deploy-1")
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
	made, err := p.WithDags(t.Context(), base, image.Login{}, image.Dags{Path: "/" + dagsDir, At: versionTime, Files: files}, repository, "deploy-1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.WithDags(t.Context(), base, image.Login{}, image.Dags{Path: "/" + dagsDir, At: versionTime, Files: files}, namespace+"/other", "deploy-2")
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

// versionTime is the time of a version in an added layer.
var versionTime = time.Date(2026, 11, 22, 14, 3, 51, 204_000_000, time.UTC)

// Everything that comes with the layer has the version's time, folders too;
// what the image had keeps its own. Zip files, for one, hold no time of 1970.
func TestWithDagsHasTheVersionsTime(t *testing.T) {
	for name, tt := range map[string]struct{ at, want time.Time }{
		"the version's":  {versionTime, versionTime.Truncate(time.Second)},
		"not known":      {time.Time{}, time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)},
		"before any zip": {time.Unix(0, 0), time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			p.push(repository+":1", runtimeImage(t, layer(t, dir("usr"), file("usr/local/airflow/x", "x"))))
			files := []image.DagFile{{Path: "sub/a.py", Size: 1, Open: content("a")}, {Path: "b.py", Link: "sub/a.py"}}
			made, err := p.WithDags(t.Context(), p.inspect(repository+":1"), image.Login{}, image.Dags{Path: "/" + dagsDir, At: tt.at, Files: files}, repository, "deploy-1")
			if err != nil {
				t.Fatal(err)
			}
			got := p.timesOf(t, made.Layers[len(made.Layers)-1].Digest)
			for _, name := range []string{dagsDir, dagsDir + "/.wh..wh..opq", dagsDir + "/sub", dagsDir + "/sub/a.py", dagsDir + "/b.py", "usr/local"} {
				if !got[name].Equal(tt.want) {
					t.Errorf("%s is of %s, want %s", name, got[name], tt.want)
				}
			}
			if !got["usr"].Equal(time.Unix(0, 0)) {
				t.Errorf("the image's folder usr is of %s, want 1970 as before", got["usr"])
			}
		})
	}
}

// timesOf returns the times of a layer's entries.
func (p *portal) timesOf(t *testing.T, digest string) map[string]time.Time {
	t.Helper()
	blob := p.call(t, "GET", "/v2/"+repository+"/blobs/"+digest, nil, nil)
	r, err := gzip.NewReader(bytes.NewReader(blob.body))
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]time.Time{}
	for all := tar.NewReader(r); ; {
		h, err := all.Next()
		if errors.Is(err, io.EOF) {
			return times
		}
		if err != nil {
			t.Fatal(err)
		}
		times[strings.TrimSuffix(h.Name, "/")] = h.ModTime
	}
}

// Each round replaces the layer of the one before: the image does not grow, and
// files removed long ago are in no layer.
func TestWithDagsReplacesItsLayer(t *testing.T) {
	p := open(t)
	p.push(repository+":1", runtimeImage(t, layer(t, file("etc/a", "a")), layer(t, file(dagsDir+"/of_image.py", "x"))))
	base := p.inspect(repository + ":1")
	with := func(i slipway.Image, folder string, names ...string) slipway.Image {
		t.Helper()
		dags := image.Dags{Path: folder, At: versionTime}
		for _, name := range names {
			dags.Files = append(dags.Files, image.DagFile{Path: name, Size: int64(len(name)), Open: content(name)})
		}
		made, err := p.WithDags(t.Context(), i, image.Login{}, dags, repository, "deploy-1")
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	first := with(base, base.DagsPath, "secret.py")
	i := first
	for range 5 {
		i = with(i, base.DagsPath, "a.py", "b.py")
	}
	if direct := with(base, base.DagsPath, "a.py", "b.py"); i.Digest != direct.Digest || len(i.Layers) != 3 {
		t.Errorf("after six rounds %s of %d layers, want %s of 3", i.Digest, len(i.Layers), direct.Digest)
	}
	if back := with(i, base.DagsPath, "secret.py"); back.Digest != first.Digest {
		t.Errorf("the first files again make %s, want %s", back.Digest, first.Digest)
	}
	if elsewhere := with(i, "/opt/other/dags", "c.py"); len(elsewhere.Layers) != 4 {
		t.Errorf("another folder leaves %d layers, want 4: what the earlier layer covers must stay covered", len(elsewhere.Layers))
	}
	pulled, err := remote.Image(p.ref(repository + "@" + i.Digest))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(pulled); err != nil {
		t.Error(err)
	}
	p.push(repository+":on-top", appended(t, pulled, layer(t, file("etc/b", "b")))) // somebody built FROM it
	if i := with(p.inspect(repository+":on-top"), base.DagsPath, "c.py"); len(i.Layers) != 5 {
		t.Errorf("on top of a foreign layer there are %d layers, want 5", len(i.Layers))
	}
	p.push(repository+":alike", appended(t, runtimeImage(t, layer(t, file("etc/a", "a"))), layer(t, file("etc/b", "b"), file(dagsDir+"/a.py", "a"))))
	if i := with(p.inspect(repository+":alike"), base.DagsPath, "c.py"); len(i.Layers) != 3 {
		t.Errorf("an image that only says so has %d layers, want 3: its layer holds more than DAGs", len(i.Layers))
	}
}

// appended adds a layer to an image, with the history of an added one.
func appended(t *testing.T, img v1.Image, l v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.Append(img, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "slipway: 1 files take the place of what was in /x"}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestWithDagsNeedsRoomForALayer(t *testing.T) {
	p := open(t)
	for _, tt := range []struct {
		layers int
		fits   bool
	}{{slipway.MaxLayers - 1, true}, {slipway.MaxLayers, false}} {
		var all []v1.Layer
		for n := range tt.layers {
			all = append(all, layer(t, file("etc/a", strconv.Itoa(n))))
		}
		p.push(repository+":many", runtimeImage(t, all...))
		base := p.inspect(repository + ":many")
		made, err := p.WithDags(t.Context(), base, image.Login{}, image.Dags{Path: base.DagsPath, At: versionTime}, repository, "deploy-1")
		if !tt.fits {
			wantSentence(t, err, "has 125 layers, and Docker Engine runs none of more than 125")
			continue
		}
		if err != nil || len(made.Layers) != slipway.MaxLayers {
			t.Fatalf("%d layers, %v", len(made.Layers), err)
		}
		if _, err := p.WithDags(t.Context(), made, image.Login{}, image.Dags{Path: base.DagsPath, At: versionTime}, repository, "deploy-2"); err != nil {
			t.Errorf("the next round: %v", err) // its own layer makes room
		}
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
	made, err := p.WithDags(t.Context(), base, image.Login{}, image.Dags{Path: base.DagsPath, Files: []image.DagFile{{Path: "a.py", Size: 1, Open: content("a")}}}, repository, "deploy-1")
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

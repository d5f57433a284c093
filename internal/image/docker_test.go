package image_test

import (
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/image"
	"slipway/internal/image/dockertest"
	"slipway/internal/slipway"
)

// client pushes an image of files and says what files one has: a Docker Engine,
// or go-containerregistry where there is none.
type client interface {
	push(t *testing.T, ref string, files map[string]string)
	save(t *testing.T, ref string) []byte // what docker save writes
	files(t *testing.T, ref string) map[string]string
}

func newClient(t *testing.T, p *portal) client {
	t.Helper()
	if _, err := exec.LookPath("dockerd"); err != nil || os.Getuid() != 0 {
		t.Log("THERE IS NO DOCKER ENGINE HERE: go-containerregistry's client stands in for it. It takes Debian's docker.io (make test installs it) and root.")
		return library{p}
	}
	return engine{dockertest.Start(t), p}
}

// What docker pushes can be deployed; what is made of it can be pulled by
// docker, and has the files of the bundle.
func TestDockerPushesAndPulls(t *testing.T) {
	p := open(t)
	c := newClient(t, p)
	c.push(t, repository+":1", map[string]string{"old.py": "old", "sub/older.py": "older"})
	got := p.inspect(repository + ":1")
	if got.Runtime != "3.1-4" || got.DagsPath != "/usr/local/airflow/dags" {
		t.Fatalf("pushed %+v", got)
	}
	var b bytes.Buffer
	if err := p.DagsTar(t.Context(), got, image.Login{}, got.DagsPath, &b); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, filesOf(t, &b), map[string]string{"old.py": "old", "sub/older.py": "older"})

	want := map[string]string{"a.py": "print(1)\r\n", "sub/b.py": "\x00\xff"}
	var dags []image.DagFile
	for name, text := range want {
		dags = append(dags, image.DagFile{Path: name, Size: int64(len(text)), Open: content(text)})
	}
	made, err := p.WithDags(t.Context(), got, image.Login{}, image.Dags{Path: got.DagsPath, Files: dags}, repository, "deploy-1")
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, c.files(t, repository+"@"+made.Digest), want)

	archive := c.save(t, repository+"@"+made.Digest)
	taken, err := p.Import(t.Context(), repository, "deploy-2", bytes.NewReader(archive), int64(len(archive)), slipway.DefaultPlatform)
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, c.files(t, repository+"@"+taken.Digest), want)
}

const dockerfile = `FROM scratch
LABEL io.astronomer.docker.runtime.version=3.1-4
ENV AIRFLOW_HOME=/usr/local/airflow
COPY dags /usr/local/airflow/dags
CMD ["/none"]
`

// engine is a Docker Engine.
type engine struct {
	*dockertest.Engine
	p *portal
}

func (e engine) push(t *testing.T, ref string, files map[string]string) {
	items := []item{file("Dockerfile", dockerfile)}
	for name, text := range files {
		items = append(items, file("dags/"+name, text))
	}
	if out, err := e.Try(t, string(tarOf(t, items...)), "build", "--platform=linux/amd64", "--tag="+e.p.host+"/"+ref, "-"); err != nil {
		t.Fatalf("docker build: %v\n%s", err, out)
	}
	e.Docker(t, "push", e.p.host+"/"+ref)
}

func (e engine) save(t *testing.T, ref string) []byte {
	e.Docker(t, "pull", e.p.host+"/"+ref)
	e.Docker(t, "tag", e.p.host+"/"+ref, "saved:1")
	out := path.Join(t.TempDir(), "image.tar")
	e.Docker(t, "save", "--output="+out, "saved:1")
	return read(t, out)
}

func (e engine) files(t *testing.T, ref string) map[string]string {
	e.Docker(t, "pull", e.p.host+"/"+ref)
	said := strings.Fields(e.Docker(t, "create", e.p.host+"/"+ref))
	id := said[len(said)-1] // warnings come first
	out := path.Join(t.TempDir(), "all.tar")
	e.Docker(t, "export", "--output="+out, id)
	return dagsIn(t, bytes.NewReader(read(t, out)))
}

// library is go-containerregistry.
type library struct{ p *portal }

func (l library) push(t *testing.T, ref string, files map[string]string) {
	var items []item
	for name, text := range files {
		items = append(items, file(dagsDir+"/"+name, text))
	}
	l.p.push(ref, runtimeImage(t, layer(t, items...)))
}

func (l library) pull(t *testing.T, ref string) v1.Image {
	t.Helper()
	img, err := remote.Image(l.p.ref(ref))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (l library) save(t *testing.T, ref string) []byte { return saved(t, l.pull(t, ref)) }

func (l library) files(t *testing.T, ref string) map[string]string {
	flat := mutate.Extract(l.pull(t, ref))
	defer flat.Close()
	return dagsIn(t, flat)
}

// dagsIn returns the files of the dags folder in the tar of a whole image.
func dagsIn(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	dags := filesOf(t, r)
	maps.DeleteFunc(dags, func(name, _ string) bool { return !strings.HasPrefix(name, dagsDir+"/") })
	cut := map[string]string{}
	for name, text := range dags {
		cut[strings.TrimPrefix(name, dagsDir+"/")] = text
	}
	return cut
}

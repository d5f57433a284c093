package deploy_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"slipway/internal/deploy"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// made is how an image of a test differs from others.
type made struct {
	runtime  string // "" for none
	airflow  string
	arch     string // "" for amd64
	dags     map[string]string
	packages string // content of a layer below
	built    time.Time
}

func (m made) image(t *testing.T) v1.Image {
	t.Helper()
	i := layered(t, empty.Image, map[string]string{"usr/lib/packages.txt": m.packages})
	dags := map[string]string{}
	for name, text := range m.dags {
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
	c.OS, c.Architecture, c.Created = "linux", "amd64", v1.Time{Time: m.built}
	if m.arch != "" {
		c.Architecture = m.arch
	}
	c.Config.Env = []string{"AIRFLOW_HOME=/usr/local/airflow"}
	c.Config.Labels = map[string]string{}
	if m.runtime != "" {
		c.Config.Labels["io.astronomer.docker.runtime.version"] = m.runtime
	}
	if m.airflow != "" {
		c.Config.Labels["org.apache.airflow.version"] = m.airflow
	}
	if i, err = mutate.ConfigFile(i, c); err != nil {
		t.Fatal(err)
	}
	return i
}

func layered(t *testing.T, i v1.Image, files map[string]string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, files[name]); err != nil {
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

// registry serves the engine's own registry to those who push, without asking
// who they are, and returns its host.
func (a *app) registry(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(a.engine.Images().Handler(image.Authorizer{
		Realm: func(*http.Request) string { return "http://127.0.0.1/v2/token" },
		Admit: func(*http.Request, string, []image.Access) error { return nil },
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// push pushes an image for Sales and returns its digest.
func (a *app) push(t *testing.T, tag string, i v1.Image) string {
	t.Helper()
	if err := a.tryPush(t, tag, i); err != nil {
		t.Fatal(err)
	}
	d, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func (a *app) tryPush(t *testing.T, tag string, i v1.Image) error {
	t.Helper()
	ref, err := name.ParseReference(a.registry(t)+"/"+deploy.Repository(a.Sales)+":"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return remote.Write(ref, i, remote.WithContext(t.Context()))
}

// files returns what the dags folder of an image of the own registry holds.
func (a *app) files(t *testing.T, i slipway.Image) map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := a.engine.Images().DagsTar(t.Context(), i, image.Login{}, "/usr/local/airflow/dags", &b); err != nil {
		t.Fatal(err)
	}
	all, in := map[string]string{}, tar.NewReader(&b)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = string(text)
		if h.Linkname != "" {
			all[h.Name] = "-> " + h.Linkname
		}
	}
}

// withRegistry lets images ask the engine who may push what.
func withRegistry(t *testing.T, a **app) func(*deploy.Config) {
	return func(c *deploy.Config) {
		var err error
		c.RegistryHost = "portal.test:8888"
		c.Images, err = image.Open(image.Config{
			Dir: filepath.Join(c.Dir, "registry"), Registries: []string{"127.0.0.1"},
			MayPush: func(ctx context.Context, repository, tag string) error {
				return (*a).engine.MayPush(ctx, repository, tag)
			},
			Pushed: func(p image.Push) { (*a).engine.Pushed(p) },
		}, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// applying returns an app whose Sales has an apply command that notes what it is
// given in a file, and does what the script "then" in the data folder says.
func applying(t *testing.T, change ...func(*deploy.Config)) *app {
	t.Helper()
	a := unstarted(t, change...)
	a.run(t)
	return a
}

func unstarted(t *testing.T, change ...func(*deploy.Config)) *app {
	t.Helper()
	var a *app
	a = newApp(t, append([]func(*deploy.Config){withRegistry(t, &a), func(c *deploy.Config) {
		c.ApplyCommands = map[string][]string{"script": {"/bin/sh", "-c", `echo "$AIRFLOW_IMAGE $RUNTIME_VERSION" >> "$0/applied"; . "$0/then"`, c.Dir}}
	}}, change...)...)
	a.then(t, "echo applied")
	if err := a.engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Root, "script"); err != nil {
		t.Fatal(err)
	}
	return a
}

// then sets what the apply command does from now on.
func (a *app) then(t *testing.T, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, "then"), []byte(script+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// applied returns the images that the apply command was run with, by digest.
func (a *app) applied(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(a.dir, "applied"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		ref, _, _ := strings.Cut(line, " ")
		_, digest, _ := strings.Cut(ref, "@")
		all = append(all, digest)
	}
	return all
}

func (a *app) imageEnv(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(a.engine.MountDir(a.Sales), "image.env"))
	if os.IsNotExist(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (a *app) log(t *testing.T, number int) string {
	t.Helper()
	lines, err := a.engine.Log(t.Context(), a.Sales.ID, number, a.Mia, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

// image makes a deploy of an image alone by reference, and waits until it is
// checked.
func (a *app) image(t *testing.T, kind slipway.DeployKind, ref string) slipway.Deploy {
	t.Helper()
	w, err := a.engine.CreateImage(t.Context(), a.Sales.ID, a.Eve, deploy.NewImage{Kind: kind, Ref: ref})
	if err != nil {
		t.Fatal(err)
	}
	return a.await(t, w.Number, slipway.Staged)
}

// imaged takes an image all the way.
func (a *app) imaged(t *testing.T, kind slipway.DeployKind, tag string, m made) slipway.Deploy {
	t.Helper()
	a.push(t, tag, m.image(t))
	w := a.image(t, kind, tag)
	a.confirm(t, w.Number, a.Eve)
	return a.await(t, w.Number, slipway.Deployed)
}

// project takes an image with DAGs beside it all the way to the queue.
func (a *app) project(t *testing.T, tag string, m made, dags map[string]string) slipway.Deploy {
	t.Helper()
	a.push(t, tag, m.image(t))
	w, err := a.engine.CreateImage(t.Context(), a.Sales.ID, a.Eve, deploy.NewImage{Kind: slipway.ImageAndDAG, Ref: tag, DAGs: true})
	if err != nil {
		t.Fatal(err)
	}
	a.addDAGs(t, w.Number, dags)
	a.await(t, w.Number, slipway.Staged)
	return a.confirm(t, w.Number, a.Eve)
}

func (a *app) addDAGs(t *testing.T, number int, dags map[string]string) {
	t.Helper()
	b := storetest.Archive(t, dags)
	_, err := a.engine.Receive(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{To: number, Length: int64(len(b)), Name: "dags.tar.gz", Merge: slipway.ReplaceAll}, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
}

var (
	runtime1 = made{runtime: "3.1-4", packages: "one", dags: map[string]string{"from_image.py": dag("image 1")}, built: time.Now().Add(-time.Hour)}
	runtime2 = made{runtime: "3.1-5", packages: "two", dags: map[string]string{"from_image.py": dag("image 2")}, built: time.Now().Add(-time.Hour)}
)

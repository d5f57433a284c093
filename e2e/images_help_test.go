package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// imagePortal is a portal whose apply command ends well, unless it is told to
// break, with a registry elsewhere.
type imagePortal struct {
	*portal
	token      string // for the API and the registry
	deployment string // path of its page
	namespace  string
	fails      string     // a file: while it is there, the next apply command fails
	open, shut *elsewhere // a registry for everybody, and one with a password
}

// elsewhere is a registry that is not the portal's.
type elsewhere struct {
	host string
	auth authn.Authenticator
}

// newImagePortal starts a portal with one Deployment and what images need.
func newImagePortal(t *testing.T) *imagePortal {
	t.Helper()
	p := &imagePortal{open: newRegistry(t, ""), shut: newRegistry(t, "s3cret")}
	data := t.TempDir()
	cmd := exec.Command(binary, "init", "--data", data, "--email", "ada@example.com", "--name", "Ada Lovelace",
		"--workspace", "Data Platform", "--deployment", "sales-prod", "--password-stdin", "--json")
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.Output()
	ok(t, err)
	var made struct{ DeploymentID, Token string }
	ok(t, json.Unmarshal(out, &made))
	p.token, p.deployment = made.Token, "/deployments/"+made.DeploymentID
	p.fails = filepath.Join(t.TempDir(), "fails")
	script := fmt.Sprintf(`echo "<b>applying</b> $AIRFLOW_IMAGE"; if [ -e %[1]s ]; then rm %[1]s; echo "no such network"; exit 1; fi`, p.fails)
	config, err := json.Marshal(map[string]any{
		"apply-commands": map[string][]string{"compose": {"sh", "-c", script}},
		"registries":     []string{p.open.host, p.shut.host, nobody},
	})
	ok(t, err)
	p.portal = start(t, data, "--config", write(t, "slipway.yaml", string(config)))
	p.namespace = mountedIn(t, data)
	return p
}

// mountedIn waits until the only Deployment of a data folder is mounted, and
// returns its namespace.
func mountedIn(t *testing.T, data string) string {
	t.Helper()
	for range 400 {
		dirs, err := filepath.Glob(filepath.Join(data, "mounts", "*", "current"))
		ok(t, err)
		if len(dirs) == 1 {
			return filepath.Base(filepath.Dir(dirs[0]))
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("nothing was mounted")
	return ""
}

// breaks has the next apply command fail.
func (p *imagePortal) breaks(t *testing.T) {
	t.Helper()
	ok(t, os.WriteFile(p.fails, nil, 0o600))
}

func (p *imagePortal) mount() mount { return mount(filepath.Join(p.data, "mounts", p.namespace)) }

// imageEnv is what Airflow on this machine is told to run.
func (p *imagePortal) imageEnv(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(string(p.mount()), "image.env"))
	ok(t, err)
	return string(b)
}

// push pushes an image into the portal's registry.
func (p *imagePortal) push(t *testing.T, tag string, img v1.Image) {
	t.Helper()
	own := elsewhere{strings.TrimPrefix(p.url, "http://"), &authn.Basic{Username: "cli", Password: p.token}}
	own.push(t, p.namespace+"/airflow:"+tag, img)
}

// push pushes an image and returns its reference.
func (e elsewhere) push(t *testing.T, to string, img v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(e.host+"/"+to, name.Insecure)
	ok(t, err)
	ok(t, remote.Write(ref, img, remote.WithAuth(e.auth), remote.WithContext(t.Context())))
	return ref.String()
}

// newRegistry is a registry on this machine, with a password unless that is "".
func newRegistry(t *testing.T, password string) *elsewhere {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, given, _ := r.BasicAuth(); given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="team"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	e := &elsewhere{host: strings.TrimPrefix(s.URL, "http://"), auth: authn.Anonymous}
	if password != "" {
		e.auth = &authn.Basic{Username: "robot", Password: password}
	}
	return e
}

// nobody is an address on this machine at which nobody listens.
const nobody = "127.0.0.1:1"

// imageOf is an image with a Runtime and the files of its dags folder.
func imageOf(t *testing.T, runtime string, dags tree) v1.Image {
	t.Helper()
	labels := map[string]string{}
	if runtime != "" {
		labels["io.astronomer.docker.runtime.version"] = runtime
	}
	return platformImage(t, "amd64", labels, dags)
}

const dagsFolder = "usr/local/airflow/dags/"

func platformImage(t *testing.T, arch string, labels map[string]string, dags tree) v1.Image {
	t.Helper()
	base, err := mutate.AppendLayers(empty.Image, layerOf(t, "etc/os-release", "NAME=test\n"), layerOf(t, "etc/labels", fmt.Sprint(labels)))
	ok(t, err)
	for _, path := range slices.Sorted(maps.Keys(dags)) {
		base, err = mutate.AppendLayers(base, layerOf(t, dagsFolder+path, dags[path]))
		ok(t, err)
	}
	config, err := base.ConfigFile()
	ok(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Labels = "linux", arch, labels
	config.Created = v1.Time{Time: time.Now()}
	img, err := mutate.ConfigFile(base, config)
	ok(t, err)
	return img
}

func layerOf(t *testing.T, path, text string) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	ok(t, w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(text))}))
	_, err := w.Write([]byte(text))
	ok(t, err)
	ok(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	ok(t, err)
	return l
}

// savedImage writes an image as docker save does, and returns the file's path.
func savedImage(t *testing.T, img v1.Image) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "airflow.tar")
	tag, err := name.NewTag("team/airflow:saved")
	ok(t, err)
	ok(t, tarball.WriteToFile(path, tag, img))
	return path
}

// digestOf is the digest of an image.
func digestOf(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	ok(t, err)
	return d.String()
}

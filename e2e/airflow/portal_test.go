package airflow_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/image/dockertest"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// portal is a running slipway serve, and what slipway init printed.
type portal struct {
	data, listen string
	log          *os.File // all that it says
	cmd          *exec.Cmd

	WorkspaceID  slipway.WorkspaceID
	DeploymentID slipway.DeploymentID
	Token        string
}

// newPortal sets up an installation in dir and serves it until the test ends.
func newPortal(t *testing.T, dir string) *portal {
	t.Helper()
	p := &portal{data: filepath.Join(dir, "data"), listen: "127.0.0.1:" + freePort(t)}
	ok(t, os.Mkdir(p.data, 0o711)) // Airflow's user goes through it to the mounts
	ok(t, os.Chmod(p.data, 0o711))
	init := exec.Command(binary, "init", "--data", p.data, "--email", "ada@example.com",
		"--workspace", "Test", "--deployment", "first", "--password-stdin", "--json")
	init.Stdin, init.Stderr = strings.NewReader(storetest.Password+"\n"), os.Stderr
	ok(t, json.Unmarshal(must[[]byte](t)(init.Output()), p))
	p.log = must[*os.File](t)(os.Create(filepath.Join(dir, "slipway.log")))
	p.start(t)
	t.Cleanup(func() { p.end(t) })
	return p
}

// freePort returns one that the kernel does not give to connections, which
// might take it before it is listened on.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(12000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			ok(t, l.Close())
			return port
		}
	}
	t.Fatal("no port is free between 20000 and 32000")
	return ""
}

func (p *portal) url() string { return "http://" + p.listen }

func (p *portal) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(binary, "serve", "--data", p.data, "--listen", p.listen)
	p.cmd.Stderr = p.log
	out := must[io.ReadCloser](t)(p.cmd.StdoutPipe())
	ok(t, p.cmd.Start())
	ready := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), "is ready on ") {
				ready <- true
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(patience):
		t.Fatal("slipway serve did not become ready")
	}
}

func (p *portal) stop(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	ok(t, p.cmd.Process.Signal(os.Interrupt))
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("slipway serve ended with %v", err)
	}
	p.cmd = nil
}

// end stops the portal, and shows what it said if the test has failed.
func (p *portal) end(t *testing.T) {
	p.stop(t)
	ok(t, p.log.Close())
	if t.Failed() {
		b := must[[]byte](t)(os.ReadFile(p.log.Name()))
		t.Logf("slipway ends with\n%s", b[max(0, len(b)-4000):])
	}
}

// call asks the API of the installation and decodes the answer.
func (p *portal) call(method, path string, body io.Reader, answer any) error {
	req, err := http.NewRequest(method, p.url()+"/v1/organizations/"+slipway.OrganizationID+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	req.Header.Set("Content-Type", "application/json")
	return decode(http.DefaultClient, req, answer)
}

// refusal is an answer that is none of success.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func decode(client *http.Client, req *http.Request, answer any) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return refusal{resp.StatusCode, fmt.Sprintf("%s %s answers %d: %.2000s", req.Method, req.URL, resp.StatusCode, b)}
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(b, answer)
}

// deployment is a Deployment that is mounted on this machine. image stands for
// the dags folder of its image.
type deployment struct {
	portal *portal
	image  string
	mount  string
	id     slipway.DeploymentID
}

// deployment adds one, with an empty folder for the image's DAGs.
func (p *portal) deployment(t *testing.T, name, dir string) *deployment {
	t.Helper()
	var made struct{ ID, Namespace string }
	ok(t, p.call(http.MethodPost, "/deployments", text(`{"name": %q, "workspaceId": %q}`, name, p.WorkspaceID), &made))
	d := &deployment{portal: p, id: slipway.DeploymentID(made.ID), image: filepath.Join(dir, name+"-image"),
		mount: filepath.Join(p.data, "mounts", made.Namespace)}
	ok(t, os.Mkdir(d.image, 0o755))
	d.edit(t, func(tx *store.Tx, was slipway.Deployment) error {
		was.DagsPath = d.image
		return tx.SaveSettings(was)
	})
	return d
}

func text(format string, args ...any) io.Reader {
	return strings.NewReader(fmt.Sprintf(format, args...))
}

// edit changes what is recorded of d while the portal does not run.
func (d *deployment) edit(t *testing.T, change func(tx *store.Tx, was slipway.Deployment) error) {
	t.Helper()
	d.portal.stop(t)
	st, err := store.Open(t.Context(), filepath.Join(d.portal.data, "slipway.db"))
	ok(t, err)
	storetest.Update(t, st, func(tx *store.Tx) error {
		was, err := tx.LoadDeployment(d.id)
		if err != nil {
			return err
		}
		return change(tx, was)
	})
	ok(t, st.Close())
	d.portal.start(t)
}

// deployed is a deploy as the API shows it.
type deployed struct {
	ID, Status string
	Number     int
	Version    slipway.Version `json:"dagTarballVersion"`
}

func (d *deployment) path(rest string) string { return "/deployments/" + string(d.id) + rest }

// deploy makes files all there is, and returns once they are mounted.
func (d *deployment) deploy(t *testing.T, files map[string]string) (w deployed) {
	t.Helper()
	ok(t, d.portal.call(http.MethodPost, d.path("/deploys/upload?wait=5m"), tarball(t, files), &w))
	if w.Status != "DEPLOYED" {
		t.Fatalf("deploy #%d is %s", w.Number, w.Status)
	}
	return w
}

func tarball(t *testing.T, files map[string]string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	a := tar.NewWriter(z)
	for name, text := range files {
		ok(t, a.WriteHeader(&tar.Header{Name: "dags/" + name, Size: int64(len(text)), Mode: 0o644}))
		must[int](t)(a.Write([]byte(text)))
	}
	ok(t, a.Close())
	ok(t, z.Close())
	return &b
}

// returnTo brings back what was live after deploy w.
func (d *deployment) returnTo(t *testing.T, w deployed) {
	t.Helper()
	var back deployed
	ok(t, d.portal.call(http.MethodPost, d.path("/deploys/"+w.ID+"/rollback"), text(`{}`), &back))
	until(t, func() error {
		if at := d.current(t); at != "versions/"+w.Version.Dir() {
			return fmt.Errorf("current points to %s", at)
		}
		return nil
	})
}

// turn turns the switch for DAG-only deploys.
func (d *deployment) turn(t *testing.T, on bool) {
	t.Helper()
	var now struct {
		On bool `json:"isDagDeployEnabled"`
	}
	ok(t, d.portal.call(http.MethodPost, d.path(""), text(`{"isDagDeployEnabled": %v}`, on), &now))
	if now.On != on {
		t.Fatalf("DAG-only deploys are enabled: %v, want %v", now.On, on)
	}
}

// followUp deploys an image that carries files as its DAGs, as has to follow
// when DAG-only deploys were disabled. The Deployment has no image of its own:
// the folder that stands for its dags folder has the same files.
func (d *deployment) followUp(t *testing.T, files map[string]string) {
	t.Helper()
	inside := map[string][]byte{}
	for name, text := range files {
		inside[d.image+"/"+name] = []byte(text)
		ok(t, os.WriteFile(filepath.Join(d.image, name), []byte(text), 0o644))
	}
	img := dockertest.Image(t, inside, func(c *v1.Config) { c.Labels = map[string]string{"org.apache.airflow.version": "3.3.2"} })
	var here struct {
		Repository string `json:"imageRepository"`
	}
	ok(t, d.portal.call(http.MethodGet, d.path(""), nil, &here))
	dockertest.Push(t, img, here.Repository+":1", remote.WithAuth(&authn.Basic{Username: "cli", Password: d.portal.Token}))
	var w deployed
	ok(t, d.portal.call(http.MethodPost, d.path("/deploys/upload?type=IMAGE_AND_DAG&image=1&wait=5m"), nil, &w))
	if at := d.current(t); w.Status != "DEPLOYED" || at != "image" {
		t.Fatalf("deploy #%d is %s and current points to %s, want it to be deployed, and image", w.Number, w.Status, at)
	}
}

func (d *deployment) current(t *testing.T) string {
	t.Helper()
	return must[string](t)(os.Readlink(filepath.Join(d.mount, "current")))
}

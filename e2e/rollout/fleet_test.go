package rollout

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/e2e/program"

	"slipway/internal/image/dockertest"
	"slipway/internal/slipway"
)

// airflowProgram crashes, or runs until it is told to stop; with a task it goes
// on until that has finished.
const airflowProgram = `package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if os.Getenv("CRASH") != "" {
		fmt.Println("ModuleNotFoundError: airflow")
		os.Exit(3)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	for os.Getenv("TASK") != "" {
		if _, err := os.Stat("/shared/finished"); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
`

// fleet is the built binary with its Deployment elsewhere: on a Docker Engine,
// with an agent beside each component.
type fleet struct {
	*program.Astro
	engine     *dockertest.Engine
	repository string // that images are pushed to
	binary     []byte // what runs in containers
	shared     string // folder of all containers
	user       program.Unprivileged
	agents     map[string]*program.Process
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	engine := dockertest.Start(t)
	in := program.SetUp(t, "--elsewhere")
	in.Start(t, "http", nil)
	binary, err := os.ReadFile(dockertest.Program(t, airflowProgram))
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{Astro: in.Astro(t, in.Token), engine: engine, binary: binary, shared: t.TempDir(), user: program.NewUnprivileged(t), agents: map[string]*program.Process{}}
	engine.LetIn(t, program.EngineUsers)
	f.repository = f.Deployment()["imageRepository"].(string)
	host, _, _ := strings.Cut(f.repository, "/")
	if out, err := engine.Try(t, in.Token, "login", "--username", "cli", "--password-stdin", host); err != nil {
		t.Fatalf("docker login: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the portal said:\n%s", in.Process.Tail())
			for name, a := range f.agents {
				t.Logf("agent %s said:\n%s", name, a.Tail())
			}
		}
	})
	return f
}

// push makes an image as people do and pushes it with the docker client.
func (f *fleet) push(tag string, changes ...string) (ref string) {
	f.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: "bin/app", Mode: 0o755, Size: int64(len(f.binary))})
	if err == nil {
		_, err = w.Write(f.binary)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		f.Fatal(err)
	}
	ref = f.repository + ":" + tag
	args := []string{"import", "--change", `ENTRYPOINT ["/bin/app"]`, "--change", "ENV VERSION=" + tag, "--change", "LABEL io.astronomer.docker.runtime.version=3.1-4"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	if out, err := f.engine.Try(f.T, b.String(), append(args, "-", ref)...); err != nil {
		f.Fatalf("docker import: %v\n%s", err, out)
	}
	f.engine.Docker(f.T, "push", ref)
	return ref
}

// deployImage deploys a tag that was pushed and returns how that ended.
func (f *fleet) deployImage(tag string) (ended slipway.Status, reason string) {
	f.Helper()
	return f.queueImage(tag, "2m")
}

// queueImage is deployImage that waits no longer than it is told.
func (f *fleet) queueImage(tag, wait string) (ended slipway.Status, reason string) {
	f.Helper()
	_, name, _ := strings.Cut(f.repository, "/")
	query := url.Values{"type": {"IMAGE_ONLY"}, "image": {name + ":" + tag}, "wait": {wait}}
	r := f.Request("POST", f.DeploymentPath()+"/deploys/upload?"+query.Encode(), "")
	if r.Status == http.StatusOK {
		return slipway.Deployed, r.Body
	}
	return slipway.Failed, r.Body
}

// run starts a container of a component.
func (f *fleet) run(name, component, ref string, args ...string) {
	f.Helper()
	args = append([]string{"run", "--detach", "--name", name, "--network", "none", "--volume", f.shared + ":/shared",
		"--label", "slipway.deployment=" + string(f.Installation.DeploymentID), "--label", "slipway.component=" + component}, args...)
	f.engine.Docker(f.T, append(args, ref)...)
}

// agent starts an agent that mounts DAGs and rolls images out. It is not root,
// but in the Engine's group.
func (f *fleet) agent(component string) (dir string) {
	f.Helper()
	dir = f.user.Folder(f.T, component)
	f.agents[component] = program.Launch(f.T, f.user.Dir, f.user.Argv("SLIPWAY_TOKEN="+f.Installation.AgentToken, "DOCKER_HOST="+f.engine.Host,
		f.user.Program, "agent", "--portal", f.Installation.Base, "--component", component, "--dags", dir,
		"--images", "docker", "--grace", "24h", "--healthy-after", "300ms")...)
	return dir
}

// versions returns what the containers in charge run, by name.
func (f *fleet) versions() map[string]string {
	f.Helper()
	all := map[string]string{}
	for _, name := range strings.Fields(f.engine.Docker(f.T, "ps", "--format", "{{.Names}}")) {
		if strings.Contains(name, ".slipway-") {
			continue
		}
		for v := range strings.SplitSeq(f.engine.Docker(f.T, "inspect", "--format", "{{json .Config.Env}}", name), `"`) {
			if v, ok := strings.CutPrefix(v, "VERSION="); ok {
				all[name] = v
			}
		}
	}
	return all
}

func (f *fleet) wantVersions(want map[string]string) {
	f.Helper()
	if got := f.versions(); fmt.Sprint(got) != fmt.Sprint(want) {
		f.Errorf("the containers run %v, want %v", got, want)
	}
}

func (f *fleet) eventually(what string, is func() bool) {
	f.Helper()
	for late := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			f.Fatalf("not within a minute: %s", what)
		}
	}
}

// leftovers returns the containers that are not in charge.
func (f *fleet) leftovers() []string {
	all := strings.Fields(f.engine.Docker(f.T, "ps", "--all", "--format", "{{.Names}}"))
	return slices.DeleteFunc(all, func(name string) bool { return !strings.Contains(name, ".slipway-") })
}

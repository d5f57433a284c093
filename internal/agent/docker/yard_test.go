package docker

import (
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/internal/agent"
	"slipway/internal/agent/agenttest"
	"slipway/internal/image/dockertest"
)

// airflow is a program that behaves as its variables tell.
const airflow = `package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func there(file string) bool {
	_, err := os.Stat("/shared/" + file)
	return err == nil
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "health" {
		if there("sick") {
			fmt.Println("no heartbeat")
			os.Exit(1)
		}
		return
	}
	fmt.Println("this is version", os.Getenv("VERSION"))
	if os.Getenv("CRASH") != "" {
		fmt.Println("ModuleNotFoundError: airflow")
		os.Exit(3)
	}
	if os.Getenv("FAILS") != "" && (os.Remove("/shared/fails") == nil || os.Remove("/shared/fails2") == nil) {
		os.Exit(3)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	fmt.Println("told to stop")
	for os.Getenv("TASK") != "" && !there("finished") { // a task runs
		time.Sleep(20 * time.Millisecond)
	}
}
`

// yard is a Docker Engine with images of two good versions and bad ones, and a
// folder that containers share with the test.
type yard struct {
	*dockertest.Engine
	shared string
	images map[string]string // name to reference by digest
	at     agent.Place
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{Engine: dockertest.Start(t), shared: t.TempDir(), images: map[string]string{}, at: agent.Place{Deployment: "cm1", Component: "scheduler"}}
	reg := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(reg.Close)
	binary, err := os.ReadFile(dockertest.Program(t, airflow))
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*v1.Config){
		"one": func(c *v1.Config) { c.Labels = map[string]string{"of": "one"} },
		"two": func(c *v1.Config) { c.Labels = map[string]string{"of": "two"}; c.WorkingDir = "/bin" },
		"labelled": func(c *v1.Config) {
			c.Labels = map[string]string{"slipway.deployment": "cm1", "slipway.component": "scheduler"}
		},
		"as 50000":    func(c *v1.Config) { c.User = "50000:0" },
		"as root":     func(c *v1.Config) { c.User = "0" },
		"fails twice": func(c *v1.Config) { c.Env = append(c.Env, "FAILS=1") },
		"crash":       func(c *v1.Config) { c.Env = append(c.Env, "CRASH=1") },
		"checked": func(c *v1.Config) {
			c.Healthcheck = &v1.HealthConfig{Test: []string{"CMD", "/bin/app", "health"}, Interval: 100 * time.Millisecond, Retries: 2}
		},
	} {
		img := dockertest.Image(t, map[string][]byte{"/bin/app": binary}, func(c *v1.Config) {
			c.Entrypoint, c.Env = []string{"/bin/app"}, []string{"VERSION=" + name}
			edit(c)
		})
		y.images[name] = dockertest.Push(t, img, strings.TrimPrefix(reg.URL, "http://")+"/team/airflow:"+strings.ReplaceAll(name, " ", "-"))
	}
	return y
}

// run starts a container of the component.
func (y *yard) run(t *testing.T, name, image string, args ...string) (id string) {
	t.Helper()
	args = append([]string{"run", "--detach", "--name", name, "--network", "none", "--volume", y.shared + ":/shared",
		"--label", "slipway.deployment=cm1", "--label", "slipway.component=scheduler"}, args...)
	out := strings.Fields(y.Docker(t, append(args, y.images[image])...)) // it may tell of a pull
	return out[len(out)-1]
}

// agent returns a driver as a new process has it.
func (y *yard) agent(t *testing.T, grace time.Duration) *Docker {
	t.Helper()
	d, err := New(Config{Host: y.Host, Grace: grace, HealthyAfter: 300 * time.Millisecond, HealthyWithin: 30 * time.Second}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (y *yard) image(name string) agent.Image { return agent.Image{Ref: y.images[name]} }

// names returns the names of all containers, sorted.
func (y *yard) names(t *testing.T) []string {
	t.Helper()
	list := strings.Fields(y.Docker(t, "ps", "--all", "--format", "{{.Names}}"))
	slices.Sort(list)
	return list
}

// inspected is what the test looks at of a container.
type inspected struct {
	ID    string
	State struct {
		Running   bool
		StartedAt string
	}
	Config struct {
		Image, WorkingDir, Hostname string
		User                        string
		Env                         []string
		Labels                      map[string]string
	}
	HostConfig struct {
		Binds         []string
		RestartPolicy struct{ Name string }
		NetworkMode   string
	}
	Mounts []struct{ Type, Name, Destination string }
}

func (y *yard) inspect(t *testing.T, name string) (c inspected) {
	t.Helper()
	if err := json.Unmarshal([]byte(y.Docker(t, "inspect", "--format", "{{json .}}", name)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func tell(r *agenttest.Record) agent.Tell { return agent.Tell{Step: r.Step, Log: r.Log} }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (y *yard) runs(t *testing.T, d *Docker, want agent.Running) {
	t.Helper()
	if now, err := d.Running(t.Context(), y.at, y.image("two")); err != nil || now != want {
		t.Errorf("running %+v, %v; want %+v", now, err, want)
	}
}

func (y *yard) tend(t *testing.T, d *Docker) {
	t.Helper()
	if err := d.Tend(t.Context(), y.at); err != nil {
		t.Errorf("tend: %v", err)
	}
}

// onlyLeft waits until tending has left only containers of these names.
func (y *yard) onlyLeft(t *testing.T, d *Docker, names ...string) {
	t.Helper()
	agenttest.Eventually(t, "only "+strings.Join(names, " and ")+" are left", func() bool {
		y.tend(t, d)
		return slices.Equal(y.names(t), names)
	})
}

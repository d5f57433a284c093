package docker

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/agent"
	"slipway/internal/agent/agenttest"
	"slipway/internal/slipway"
)

func TestDockerReplacesContainers(t *testing.T) {
	y := newYard(t)
	y.run(t, "aa", "one", "--env", "MINE=1", "--restart", "unless-stopped", "--volume", "/data", "--hostname", "boss", "--label", "team=x")
	y.run(t, "bb", "one")
	other := y.run(t, "other", "one", "--label", "slipway.component=worker")
	stopped := y.run(t, "stopped", "one")
	y.Docker(t, "kill", "stopped")
	d, was := y.agent(t, time.Minute), y.inspect(t, "aa")
	var log agenttest.Record
	if err := d.Apply(t.Context(), y.at, y.image("two"), tell(&log)); err != nil {
		t.Fatal(err)
	}
	y.runs(t, d, agent.Running{Parts: 2, Image: y.image("two").Digest()})
	a := y.inspect(t, "aa")
	if !slices.Contains(a.Config.Env, "MINE=1") || !slices.Contains(a.Config.Env, "VERSION=two") || slices.Contains(a.Config.Env, "VERSION=one") {
		t.Errorf("variables %q", a.Config.Env)
	}
	if a.Config.Labels["team"] != "x" || a.Config.Labels["of"] != "two" || a.Config.WorkingDir != "/bin" || a.Config.Image != y.images["two"] {
		t.Errorf("configuration %+v", a.Config)
	}
	if a.Config.Hostname != "boss" || y.inspect(t, "bb").Config.Hostname == "boss" {
		t.Errorf("host name %q", a.Config.Hostname)
	}
	if a.HostConfig.RestartPolicy.Name != "unless-stopped" || a.HostConfig.NetworkMode != "none" || !slices.Equal(a.HostConfig.Binds, was.HostConfig.Binds) {
		t.Errorf("host configuration %+v", a.HostConfig)
	}
	if volume(a) == "" || volume(a) != volume(was) {
		t.Errorf("volume %q, want that of before, %q", volume(a), volume(was))
	}
	y.onlyLeft(t, d, "aa", "bb", "other", "stopped")
	if y.inspect(t, "other").ID != other || y.inspect(t, "stopped").ID != stopped {
		t.Error("a container was replaced that is not to be")
	}
	if !strings.Contains(log.Text(), "The new container aa is healthy") || !slices.Contains(log.Steps(), "waiting until healthy") {
		t.Errorf("log %q, steps %q", log.Text(), log.Steps())
	}
	again := y.inspect(t, "aa").ID
	if err := d.Apply(t.Context(), y.at, y.image("two"), tell(&log)); err != nil || y.inspect(t, "aa").ID != again {
		t.Errorf("applied anew: %v", err)
	}
}

// volume returns the name of the volume at /data.
func volume(c inspected) string {
	for _, m := range c.Mounts {
		if m.Destination == "/data" {
			return m.Name
		}
	}
	return ""
}

// The labels of an image do not say that its containers are a component's.
func TestDockerLeavesStrays(t *testing.T) {
	y := newYard(t)
	y.run(t, "aa", "one")
	y.Docker(t, "run", "--detach", "--name", "stray", "--network", "none", y.images["labelled"])
	d, was := y.agent(t, time.Minute), y.inspect(t, "stray").ID
	for _, image := range []string{"labelled", "two"} {
		if err := d.Apply(t.Context(), y.at, y.image(image), tell(&agenttest.Record{})); err != nil {
			t.Fatal(err)
		}
		if now, err := d.Running(t.Context(), y.at, y.image(image)); err != nil || now != (agent.Running{Parts: 1, Image: y.image(image).Digest()}) {
			t.Errorf("running %+v, %v; want one part with %s", now, err, image)
		}
	}
	if y.inspect(t, "stray").ID != was {
		t.Error("a container was replaced whose image brought the labels")
	}
}

func TestDockerGoesBack(t *testing.T) {
	y := newYard(t)
	for name, tt := range map[string]struct {
		image string
		args  []string
		sick  bool
		want  string // of the error
		log   string
	}{
		"crashes":          {image: "crash", want: "The new container aa exited with code 3. The old one goes on.", log: "aa | ModuleNotFoundError: airflow"},
		"crashes for ever": {image: "crash", args: []string{"--restart", "always"}, want: "The new container aa exit", log: "aa | ModuleNotFoundError: airflow"},
		"is unhealthy":     {image: "checked", sick: true, want: "The new container aa is unhealthy: no heartbeat. The old one goes on.", log: "aa | this is version checked"},
		"cannot be pulled": {image: "gone", want: "cannot be pulled: ", log: "Pulling "},
	} {
		t.Run(name, func(t *testing.T) {
			d := y.agent(t, time.Minute)
			id := y.run(t, "aa", "one", tt.args...)
			y.run(t, "bb", "one")
			defer y.Docker(t, "rm", "--force", "aa", "bb")
			if tt.sick {
				y.touch(t, "sick")
			}
			was := y.inspect(t, "aa")
			y.images["gone"] = strings.Replace(y.images["one"], "team", "gone", 1)
			var log agenttest.Record
			err := d.Apply(t.Context(), y.at, y.image(tt.image), tell(&log))
			if _, text := slipway.Explain(err); !strings.Contains(strings.Replace(text, "container bb", "container aa", 1), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if !strings.Contains(strings.ReplaceAll(log.Text(), "bb | ", "aa | "), tt.log) {
				t.Errorf("log %q, want %q", log.Text(), tt.log)
			}
			if a := y.inspect(t, "aa"); a.ID != id || a.State != was.State {
				t.Errorf("the old container is %+v, want %+v", a, was)
			}
			y.runs(t, d, agent.Running{Parts: 2, Image: y.image("one").Digest()})
			if got := y.names(t); !slices.Equal(got, []string{"aa", "bb"}) {
				t.Errorf("containers %q are left", got)
			}
		})
	}
}

func (y *yard) touch(t *testing.T, file string) {
	t.Helper()
	path := filepath.Join(y.shared, file)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
}

func TestDockerWaitsForHealth(t *testing.T) {
	y := newYard(t)
	y.run(t, "aa", "one")
	d := y.agent(t, time.Minute)
	if err := d.Apply(t.Context(), y.at, y.image("checked"), tell(&agenttest.Record{})); err != nil {
		t.Fatal(err)
	}
	if got := y.Docker(t, "inspect", "--format", "{{.State.Health.Status}}", "aa"); got != "healthy" {
		t.Errorf("in charge while %s", got)
	}
}

// A task may run on for long after its container was replaced, whatever becomes
// of the agent meanwhile.
func TestDockerLetsTasksFinish(t *testing.T) {
	y := newYard(t)
	worker := y.run(t, "worker", "one", "--env", "TASK=1", "--restart", "always")
	if err := y.agent(t, time.Hour).Apply(t.Context(), y.at, y.image("two"), tell(&agenttest.Record{})); err != nil {
		t.Fatal(err)
	}
	d := y.agent(t, time.Hour) // after a restart
	y.runs(t, d, agent.Running{Parts: 1, Image: y.image("two").Digest()})
	for range 3 {
		y.tend(t, d)
	}
	old := y.inspect(t, worker)
	if names := y.names(t); !old.State.Running || old.HostConfig.RestartPolicy.Name != "no" || len(names) != 2 || !strings.HasPrefix(names[1], "worker.slipway-until-") {
		t.Fatalf("containers %q; the old one is %+v", names, old)
	}
	agenttest.Eventually(t, "it was told to stop", func() bool { return strings.Contains(y.Docker(t, "logs", worker), "told to stop") })
	if n := strings.Count(y.Docker(t, "logs", worker), "told to stop"); n != 1 {
		t.Errorf("it was told to stop %d times", n)
	}
	if err := d.Apply(t.Context(), y.at, y.image("checked"), tell(&agenttest.Record{})); err != nil { // the queue goes on
		t.Fatal(err)
	}
	y.touch(t, "finished")
	y.onlyLeft(t, d, "worker")
}

func TestDockerEndsTheGrace(t *testing.T) {
	y := newYard(t)
	y.run(t, "worker", "one", "--env", "TASK=1")
	d := y.agent(t, time.Second)
	if err := d.Apply(t.Context(), y.at, y.image("two"), tell(&agenttest.Record{})); err != nil {
		t.Fatal(err)
	}
	y.onlyLeft(t, d, "worker")
	y.runs(t, d, agent.Running{Parts: 1, Image: y.image("two").Digest()})
}

func TestDockerStopsFirst(t *testing.T) {
	y := newYard(t)
	id := y.run(t, "aa", "one", "--label", "slipway.order=stop-first", "--restart", "always")
	d := y.agent(t, time.Minute)
	var log agenttest.Record
	err := d.Apply(t.Context(), y.at, y.image("crash"), tell(&log))
	if _, text := slipway.Explain(err); !strings.HasPrefix(text, "The new container aa exit") || !strings.HasSuffix(text, " The old one is started again.") {
		t.Errorf("error %v", err)
	}
	y.onlyLeft(t, d, "aa")
	if a := y.inspect(t, "aa"); a.ID != id || !a.State.Running || a.HostConfig.RestartPolicy.Name != "always" {
		t.Errorf("the old one is %+v, want it back", a)
	}
	if err := d.Apply(t.Context(), y.at, y.image("two"), tell(&log)); err != nil {
		t.Fatal(err)
	}
	if at := slices.Index(log.Steps(), slipway.StepEnding); at < 0 || log.Steps()[at+1] != "starting new containers" {
		t.Errorf("steps %q", log.Steps())
	}
	y.onlyLeft(t, d, "aa")
	y.runs(t, d, agent.Running{Parts: 1, Image: y.image("two").Digest()})
}

// What an agent leaves that was killed is put right by the next.
func TestDockerTidiesUp(t *testing.T) {
	y := newYard(t)
	for name, tt := range map[string]struct {
		leave func(id string)
		want  string // image
	}{
		"before it was healthy": {func(string) { y.run(t, "aa.slipway-next", "two") }, "one"},
		"while it took over": {func(string) {
			y.run(t, "aa.slipway-next", "two")
			y.Docker(t, "rename", "aa", "aa.slipway-old-0")
		}, "two"},
		"before the old one was told": {func(string) {
			y.Docker(t, "rename", "aa", "aa.slipway-old-0")
			y.run(t, "aa", "two")
		}, "two"},
		"while the old one was stopped": {func(id string) {
			y.Docker(t, "rename", "aa", "aa.slipway-held-until-20990101T000000Z")
			y.run(t, "aa.slipway-next", "two")
			y.Docker(t, "kill", id)
		}, "one"},
	} {
		t.Run(name, func(t *testing.T) {
			id := y.run(t, "aa", "one")
			tt.leave(id)
			d := y.agent(t, time.Minute)
			y.onlyLeft(t, d, "aa")
			if c := y.inspect(t, "aa"); c.Config.Image != y.images[tt.want] || !c.State.Running {
				t.Errorf("%+v is in charge, want %s", c, tt.want)
			}
			y.Docker(t, "rm", "--force", "aa")
		})
	}
}

// An Apply that is called off leaves everything as it was.
func TestDockerIsCalledOff(t *testing.T) {
	y := newYard(t)
	id := y.run(t, "aa", "one")
	y.touch(t, "sick")
	d := y.agent(t, time.Minute)
	d.cfg.HealthyAfter = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	tell := tell(&agenttest.Record{})
	step := tell.Step
	tell.Step = func(s string, done, total int64) {
		if step(s, done, total); s == "waiting until healthy" {
			cancel()
		}
	}
	if err := d.Apply(ctx, y.at, y.image("two"), tell); err == nil {
		t.Error("it was not called off")
	}
	if got := y.names(t); !slices.Equal(got, []string{"aa"}) || y.inspect(t, "aa").ID != id {
		t.Errorf("containers %q are left", got)
	}
}

func TestDockerWithoutContainersOrEngine(t *testing.T) {
	y := newYard(t)
	d := y.agent(t, time.Minute)
	now, err := d.Running(t.Context(), y.at, y.image("two"))
	if want := "No container that runs on this Docker Engine carries the labels slipway.deployment=cm1 and slipway.component=scheduler."; err != nil || now.Parts != 0 || now.Wrong != want {
		t.Errorf("%+v, %v", now, err)
	}
	if err := d.Apply(t.Context(), y.at, y.image("two"), tell(&agenttest.Record{})); err != nil {
		t.Errorf("apply to none: %v", err)
	}
	d, err = New(Config{Host: "unix:///nowhere.sock"}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Running(t.Context(), y.at, y.image("two"))
	if _, text := slipway.Explain(err); !strings.HasPrefix(text, "The Docker Engine cannot be reached: ") {
		t.Errorf("%v", err)
	}
}

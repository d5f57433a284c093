package docker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"slipway/internal/agent"
	"slipway/internal/agent/agenttest"
	"slipway/internal/slipway"
)

func TestCrash(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 15, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		state container.State
		want  string
	}{
		"ended by itself":  {container.State{}, ""},
		"stopped":          {container.State{ExitCode: 143}, ""},
		"killed":           {container.State{ExitCode: 137}, ""},
		"interrupted":      {container.State{ExitCode: 130}, ""},
		"asked to quit":    {container.State{ExitCode: 131}, ""},
		"failed":           {container.State{ExitCode: 1}, "exited with code 1 and does not run"},
		"segmentation":     {container.State{ExitCode: 139}, "exited with code 139 and does not run"},
		"failed lately":    {container.State{ExitCode: 1, FinishedAt: "2026-11-22T03:15:01Z"}, "exited with code 1 and does not run"},
		"failed long ago":  {container.State{ExitCode: 1, FinishedAt: "2026-11-22T03:15:00Z"}, ""},
		"killed by memory": {container.State{ExitCode: 137, OOMKilled: true}, "ran out of memory and does not run"},

		"stopped, a task was killed by memory": {container.State{ExitCode: 143, OOMKilled: true}, ""},
		"failed, a task was killed by memory":  {container.State{ExitCode: 1, OOMKilled: true}, "exited with code 1 and does not run"},
	} {
		if got := crash(tt.state, now); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestRestarted(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 15, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		restarts      int
		made, started string
		want          string
	}{
		"never":           {0, "2026-11-23T03:14:50Z", "2026-11-23T03:14:50Z", ""},
		"once":            {1, "2026-11-23T03:14:00Z", "2026-11-23T03:14:50Z", ""},
		"again and again": {7, "2026-11-23T03:00:00.5Z", "2026-11-23T03:10:01.123456789Z", "ended and was restarted 7 times, last at 03:10:01 UTC"},
		"every hour":      {7, "2026-11-22T20:14:50Z", "2026-11-23T03:14:50Z", ""},
		"long ago":        {7, "2026-11-23T03:00:00Z", "2026-11-23T03:10:00Z", ""},
		"nobody knows":    {7, "", "", ""},
	} {
		c := container.InspectResponse{RestartCount: tt.restarts, Created: tt.made, State: &container.State{Running: true, StartedAt: tt.started}}
		if got := restarted(c, now); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A container that somebody stopped is scaled away. One that crashed is told
// of, stays a part, and the next image takes its place.
func TestDockerReplacesWhatCrashed(t *testing.T) {
	y := newYard(t)
	y.run(t, "aa", "crash")
	y.run(t, "bb", "one")
	y.run(t, "stopped", "one")
	y.Docker(t, "kill", "stopped")
	d := y.agent(t, time.Minute)
	wrong := "The container aa exited with code 3 and does not run. Start it again, remove it, or deploy another image."
	agenttest.Eventually(t, "it is seen", func() bool {
		now, err := d.Running(t.Context(), y.at, y.image("crash"))
		return err == nil && now == agent.Running{Parts: 2, Image: y.image("one").Digest(), Wrong: wrong}
	})
	y.touch(t, "sick")
	id := y.inspect(t, "aa").ID
	err := d.Apply(t.Context(), y.at, y.image("checked"), tell(&agenttest.Record{}))
	if _, text := slipway.Explain(err); !strings.Contains(text, "is unhealthy") || y.inspect(t, "aa").ID != id {
		t.Errorf("error %v, want what crashed left as it was", err)
	}
	if err := d.Apply(t.Context(), y.at, y.image("two"), tell(&agenttest.Record{})); err != nil {
		t.Fatal(err)
	}
	y.runs(t, d, agent.Running{Parts: 2, Image: y.image("two").Digest()})
	y.onlyLeft(t, d, "aa", "bb", "stopped")
}

func TestDockerTellsOfCrashLoops(t *testing.T) {
	y := newYard(t)
	y.run(t, "aa", "crash", "--restart", "always")
	d := y.agent(t, time.Minute)
	agenttest.Eventually(t, "it is seen", func() bool {
		now, err := d.Running(t.Context(), y.at, y.image("crash"))
		return err == nil && now.Parts == 1 && now.Image == y.image("crash").Digest() &&
			strings.HasPrefix(now.Wrong, "The container aa exits again and again. ")
	})
}

// A loop whose turns are long is seen while the container runs.
func TestDockerTellsOfSlowCrashLoops(t *testing.T) {
	y := newYard(t)
	for _, name := range []string{"fails", "fails2"} {
		if err := os.WriteFile(filepath.Join(y.shared, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	y.run(t, "aa", "fails twice", "--restart", "always")
	d := y.agent(t, time.Minute)
	agenttest.Eventually(t, "it is seen", func() bool {
		now, err := d.Running(t.Context(), y.at, y.image("fails twice"))
		return err == nil && now.Parts == 1 && strings.HasPrefix(now.Wrong, "The container aa ended and was restarted 2 times, last at ") &&
			strings.HasSuffix(now.Wrong, " UTC. Look at what it wrote last, or deploy another image.")
	})
}

// What "docker compose run" leaves is no part, though it has all the labels.
func TestDockerLeavesOneOffs(t *testing.T) {
	y := newYard(t)
	y.run(t, "aa", "one")
	id := y.run(t, "migrate", "crash", "--label", "com.docker.compose.oneoff=True")
	d := y.agent(t, time.Minute)
	agenttest.Eventually(t, "it has failed", func() bool { return !y.inspect(t, "migrate").State.Running })
	if err := d.Apply(t.Context(), y.at, y.image("two"), tell(&agenttest.Record{})); err != nil {
		t.Fatal(err)
	}
	y.runs(t, d, agent.Running{Parts: 1, Image: y.image("two").Digest()})
	if y.inspect(t, "migrate").ID != id {
		t.Error("it was replaced")
	}
}

// One that had crashed before is not started when its successor fails.
func TestDockerDoesNotStartWhatCrashed(t *testing.T) {
	y := newYard(t)
	id := y.run(t, "aa", "crash", "--label", "slipway.order=stop-first")
	d := y.agent(t, time.Minute)
	agenttest.Eventually(t, "it has crashed", func() bool { return !y.inspect(t, "aa").State.Running })
	was := y.inspect(t, "aa")
	y.touch(t, "sick")
	err := d.Apply(t.Context(), y.at, y.image("checked"), tell(&agenttest.Record{}))
	if _, text := slipway.Explain(err); !strings.HasSuffix(text, " The old one had crashed before.") {
		t.Errorf("error %v", err)
	}
	y.tend(t, d)
	if now := y.inspect(t, "aa"); now.ID != id || now.State != was.State {
		t.Errorf("it is %+v, want it as it was, %+v", now.State, was.State)
	}
}

// The old container is in charge again only when it runs.
func TestDockerRevivesUntilItRuns(t *testing.T) {
	y := newYard(t)
	extra := filepath.Join(t.TempDir(), "extra")
	mkdir(t, extra)
	id := y.run(t, "aa", "one", "--mount", "type=bind,source="+extra+",target=/extra")
	const held = "aa.slipway-held-until-20990101T000000Z"
	y.Docker(t, "rename", "aa", held)
	y.Docker(t, "kill", id)
	agenttest.Eventually(t, "it has ended", func() bool { return !y.inspect(t, held).State.Running })
	if err := os.Remove(extra); err != nil {
		t.Fatal(err)
	}
	d := y.agent(t, time.Minute)
	for range 2 {
		if err := d.Tend(t.Context(), y.at); err == nil {
			t.Error("it was revived")
		}
		if names := y.names(t); !slices.Equal(names, []string{held}) {
			t.Fatalf("containers %q", names)
		}
		y.runs(t, d, agent.Running{Parts: 1})
	}
	mkdir(t, extra)
	y.onlyLeft(t, d, "aa")
	if now := y.inspect(t, "aa"); now.ID != id || !now.State.Running {
		t.Errorf("in charge is %+v", now)
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// What the operator set outlives images that say the same.
func TestDockerKeepsTheUser(t *testing.T) {
	y := newYard(t)
	y.run(t, "aa", "one", "--user", "50000:0")
	d := y.agent(t, time.Minute)
	for _, image := range []string{"as 50000", "as root", "two"} {
		if err := d.Apply(t.Context(), y.at, y.image(image), tell(&agenttest.Record{})); err != nil {
			t.Fatal(err)
		}
		if user := y.inspect(t, "aa").Config.User; user != "50000:0" {
			t.Errorf("with the image %q its user is %q", image, user)
		}
	}
}

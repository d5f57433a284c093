package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"slipway"
)

func TestCrash(t *testing.T) {
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
		"killed by memory": {container.State{ExitCode: 137, OOMKilled: true}, "ran out of memory and does not run"},
	} {
		if got := crash(tt.state); got != tt.want {
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
	eventually(t, "it is seen", func() bool {
		now, err := d.Running(t.Context(), y.at, y.image("crash"))
		return err == nil && now == Running{Parts: 2, Wrong: wrong}
	})
	y.touch(t, "sick")
	id := y.inspect(t, "aa").ID
	err := d.Apply(t.Context(), y.at, y.image("checked"), (&record{}).tell())
	if _, text := slipway.Explain(err); !strings.Contains(text, "is unhealthy") || y.inspect(t, "aa").ID != id {
		t.Errorf("error %v, want what crashed left as it was", err)
	}
	if err := d.Apply(t.Context(), y.at, y.image("two"), (&record{}).tell()); err != nil {
		t.Fatal(err)
	}
	y.runs(t, d, Running{Parts: 2, Image: y.image("two").Digest()})
	y.onlyLeft(t, d, "aa", "bb", "stopped")
}

func TestDockerTellsOfCrashLoops(t *testing.T) {
	y := newYard(t)
	y.run(t, "aa", "crash", "--restart", "always")
	d := y.agent(t, time.Minute)
	eventually(t, "it is seen", func() bool {
		now, err := d.Running(t.Context(), y.at, y.image("crash"))
		return err == nil && now.Parts == 1 && now.Image == y.image("crash").Digest() &&
			strings.HasPrefix(now.Wrong, "The container aa exits again and again. ")
	})
}

package docker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
)

// lookAgain is how often a container is looked at.
const lookAgain = 200 * time.Millisecond

// endedBySignal are the exit codes of an interrupted, quit, killed or
// terminated process.
var endedBySignal = []int{128 + 2, 128 + 3, 128 + 9, 128 + 15}

// crashIsNews is how long a crashed container belongs to a component. A
// container left alone for longer is ignored.
const crashIsNews = 24 * time.Hour

// crash describes the crash of a container; "" for a container that somebody
// may have stopped, or an old crash.
func crash(st container.State, now time.Time) string {
	at, err := time.Parse(time.RFC3339Nano, st.FinishedAt)
	switch {
	case err == nil && now.Sub(at) >= crashIsNews:
		return ""
	case noMemory(st):
		return "ran out of memory and does not run"
	case st.ExitCode == 0 || slices.Contains(endedBySignal, st.ExitCode):
		return ""
	}
	return fmt.Sprintf("exited with code %d and does not run", st.ExitCode)
}

// noMemory reports whether a container ended for want of memory. OOMKilled
// alone may mean any process in the container, at any time since the start.
func noMemory(st container.State) bool { return st.OOMKilled && st.ExitCode == 128+9 }

// shortLife is the average life below which a restarting container counts as
// failing.
const shortLife = 5 * time.Minute

// restarted describes the restarts of c, a running container; "" unless
// restarts are frequent. Some processes end by themselves now and then, as a
// scheduler does after --num-runs.
func restarted(c container.InspectResponse, now time.Time) string {
	at, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	made, madeErr := time.Parse(time.RFC3339Nano, c.Created)
	if c.RestartCount < 2 || err != nil || madeErr != nil || now.Sub(at) >= shortLife || at.Sub(made)/time.Duration(c.RestartCount) >= shortLife {
		return ""
	}
	return fmt.Sprintf("ended and was restarted %d times, last at %s", c.RestartCount, at.UTC().Format("15:04:05 UTC"))
}

func lastCheck(h *container.Health) string {
	if len(h.Log) == 0 {
		return ""
	}
	text := strings.Join(strings.Fields(h.Log[len(h.Log)-1].Output), " ")
	if text == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(strings.ToValidUTF8(text[:min(len(text), 300)], ""), ".")
}

const (
	lastLines = "30"
	lastBytes = 64 << 10
)

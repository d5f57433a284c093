package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"slipway/internal/slipway"
)

// lookAgain is how often a container is looked at.
const lookAgain = 200 * time.Millisecond

// healthy waits until the new container is.
func (s *swap) healthy(ctx context.Context) error {
	for since := time.Now(); ; {
		now, err := s.engine.ContainerInspect(ctx, s.next, client.ContainerInspectOptions{})
		if err != nil {
			return fmt.Errorf("look at the new container %s: %w", s.old.Base, err)
		}
		ok, why := s.cfg.judge(now.Container, time.Since(since))
		switch {
		case why != "":
			s.lastWords(ctx, now.Container)
			return slipway.Errorf(slipway.Conflict, "The new container %s %s. %s", s.old.Base, why, s.wayBack())
		case ok:
			s.tell.Log("The new container " + s.old.Base + " is healthy")
			return nil
		}
		if err := wait(ctx, lookAgain); err != nil {
			return err
		}
	}
}

func (s *swap) wayBack() string {
	switch {
	case !s.old.Running && s.old.Crashed != "":
		return "The old one had crashed before."
	case s.stopFirst:
		return "The old one is started again."
	}
	return "The old one goes on."
}

// judge reports whether c is healthy after it has run for a time, or why it
// will not be.
func (cfg DockerConfig) judge(c container.InspectResponse, ran time.Duration) (ok bool, why string) {
	st := c.State
	if st == nil {
		st = &container.State{}
	}
	checked := st.Health != nil && st.Health.Status != "" && st.Health.Status != container.NoHealthcheck
	switch {
	case noMemory(*st):
		return false, "ran out of memory"
	case st.Restarting || c.RestartCount > 0:
		return false, "exits again and again"
	case !st.Running:
		return false, fmt.Sprintf("exited with code %d", st.ExitCode)
	case checked && st.Health.Status == container.Healthy, !checked && ran >= cfg.HealthyAfter:
		return true, ""
	case checked && st.Health.Status == container.Unhealthy:
		return false, "is unhealthy" + lastCheck(st.Health)
	case checked && ran >= cfg.HealthyWithin:
		return false, fmt.Sprintf("did not become healthy within %s", cfg.HealthyWithin)
	}
	return false, ""
}

// endedBySignal are the exit codes of what was told to end: interrupted, quit,
// killed or terminated.
var endedBySignal = []int{128 + 2, 128 + 3, 128 + 9, 128 + 15}

// crashIsNews is for how long a container that crashed is one of a component's.
// What nobody looked after for longer is left alone.
const crashIsNews = 24 * time.Hour

// crash says how a container ended: "" if somebody may have stopped it, or it
// was long ago.
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

// noMemory reports whether a container ended for want of memory. By OOMKilled
// alone it may have been any process in it, at any time since it was started.
func noMemory(st container.State) bool { return st.OOMKilled && st.ExitCode == 128+9 }

// shortLife is how long one lives that ends and is started again and again.
const shortLife = 5 * time.Minute

// restarted says how often its restart policy has started c, which runs, again:
// "" unless that happens again and again. Some end by themselves now and then,
// as a scheduler does after --num-runs.
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

// lastWords puts the end of what a container wrote into the deploy's log.
func (s *swap) lastWords(ctx context.Context, c container.InspectResponse) {
	r, err := s.engine.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: lastLines})
	if err != nil {
		s.tell.Log("What the new container wrote cannot be read: " + err.Error())
		return
	}
	defer r.Close()
	var text bytes.Buffer
	if c.Config != nil && c.Config.Tty {
		_, err = io.Copy(&text, io.LimitReader(r, lastBytes))
	} else {
		_, err = stdcopy.StdCopy(&text, &text, io.LimitReader(r, lastBytes))
	}
	if err != nil && text.Len() == 0 {
		s.tell.Log("What the new container wrote cannot be read: " + err.Error())
	}
	for line := range strings.Lines(text.String()) {
		s.tell.Log(s.old.Base + " | " + strings.TrimRight(line, "\r\n"))
	}
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"slipway/internal/mount"
	"slipway/internal/slipway"
)

const (
	heartbeat = 20 * time.Second

	firstPause = 500 * time.Millisecond
	longPause  = 10 * time.Second // less than the portal waits for agents after its start

	awayEvery = 30 // tries between two lines of the log about a portal that is away
)

// pause waits before the next try, longer each time, but no longer than until
// early is set. It reports whether there is to be a next try.
func pause(ctx context.Context, tries int, early signal) bool {
	d := min(firstPause<<min(tries, 10), longPause)
	t := time.NewTimer(d/2 + rand.N(d/2)) // so that many agents do not ask at once
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-t.C:
	}
	return true
}

// tell changes what is reported.
func (a *Agent) tell(change func(r *slipway.Report)) {
	a.mu.Lock()
	change(&a.report)
	a.mu.Unlock()
	a.fresh.set()
}

func (a *Agent) snapshot() slipway.Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.report
	if r.DAGs != "" {
		r.Age = int64(time.Since(a.since).Seconds())
	}
	return r
}

// Status is how an agent does, or a rollout.
type Status struct {
	Report slipway.Report
	Want   slipway.Desired // its Revision is "" until the portal has told
	Heard  time.Time       // when the portal answered last; zero for not yet
}

// Status returns how a does now.
func (a *Agent) Status() Status {
	r := a.snapshot()
	a.mu.Lock()
	defer a.mu.Unlock()
	return Status{r, a.want, a.heard}
}

func (a *Agent) answered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard = time.Now()
}

// away says in the log that the portal does not answer, not each time.
func (a *Agent) away(ctx context.Context, what string, err error, tries int) {
	if ctx.Err() == nil && tries%awayEvery == 0 {
		a.log.Warn(what, slog.Any("error", err))
	}
}

// runs notes what current points to: a version, or the image, or neither; and
// which revision asked for it.
func (a *Agent) runs(v slipway.Version, image bool, revision string) {
	a.tell(func(r *slipway.Report) {
		was := *r
		r.Version, r.DAGs, r.Revision = v, "", revision
		r.Step, r.Error, r.Done, r.Total = "", "", 0, 0
		switch {
		case image:
			r.DAGs = slipway.FromImage
		case v != "":
			r.DAGs = slipway.FromBundle
		}
		if was.DAGs != r.DAGs || was.Version != r.Version {
			a.since = time.Now() // tell holds the lock
		}
	})
}

// explain notes why what is wanted could not be mounted, or the folder not be
// used.
func (a *Agent) explain(err error, want slipway.Desired) {
	a.log.Error("mount", slog.String("version", string(want.Version)), slog.Any("error", err))
	text := sentence(err, a.cfg.Dir, want.Version)
	a.tell(func(r *slipway.Report) {
		r.Error, r.Revision, r.Step, r.Done, r.Total = text, want.Revision, "", 0, 0
	})
}

// sentence returns what people are told of err.
func sentence(err error, dir string, v slipway.Version) string {
	if _, ok := errors.AsType[*slipway.Error](err); ok {
		_, text := slipway.Explain(err)
		return text
	}
	switch {
	case slipway.IsDiskFull(err):
		return fmt.Sprintf("The disk of the folder %s is full.", dir)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("The folder %s cannot be written to: %s.", dir, deepest(err))
	case v == "":
		return fmt.Sprintf("The folder %s cannot be used: %s.", dir, strings.TrimSuffix(err.Error(), "."))
	}
	return fmt.Sprintf("Version %s cannot be mounted: %s.", v.Short(), strings.TrimSuffix(err.Error(), "."))
}

// deepest returns the text of the error that the others are about.
func deepest(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Error()
	}
	return err.Error()
}

// reporting sends the report whenever it changes, and as a sign of life.
func (a *Agent) reporting(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		a.send(ctx)
		select {
		case <-ctx.Done():
			return
		case <-a.fresh:
		case <-tick.C:
		}
	}
}

// send sends the report as it is, again until the portal has it.
func (a *Agent) send(ctx context.Context) {
	for tries := 0; ctx.Err() == nil; tries++ {
		err := a.tryToSend(ctx)
		if err == nil {
			return
		}
		a.away(ctx, "report", err, tries)
		pause(ctx, tries, nil)
	}
}

func (a *Agent) tryToSend(ctx context.Context) error {
	err := a.portal.Report(ctx, a.snapshot())
	if err == nil {
		a.answered()
	}
	return err
}

const (
	keepVersions = 3
	keepFor      = 24 * time.Hour
	tidyEvery    = time.Hour

	scrubEvery = 24 * time.Hour
	scrubSpeed = 8 << 20 // bytes a second
)

// tidy removes old versions after each mount and every hour, and looks for
// damage once a day.
func (a *Agent) tidy(ctx context.Context, m *mount.Mount) {
	hour, day := time.NewTicker(tidyEvery), time.NewTicker(scrubEvery)
	defer hour.Stop()
	defer day.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-day.C:
			a.scrub(ctx, m)
		case <-a.done:
			a.prune(ctx, m)
		case <-hour.C:
			a.prune(ctx, m)
			a.wish.set() // looks at every file that is mounted
		}
	}
}

func (a *Agent) prune(ctx context.Context, m *mount.Mount) {
	gone, err := m.Prune(ctx, keepVersions, keepFor, time.Now())
	if err != nil && ctx.Err() == nil {
		a.log.Error("remove old versions", slog.Any("error", err))
	}
	for _, v := range gone {
		a.log.Info("removed an old version", slog.String("version", string(v)))
	}
}

// scrub has what is damaged mounted anew.
func (a *Agent) scrub(ctx context.Context, m *mount.Mount) {
	damage, err := m.Scrub(ctx, scrubSpeed)
	if err != nil && ctx.Err() == nil {
		a.log.Error("look for damage", slog.Any("error", err))
	}
	for _, d := range damage {
		a.log.Error("a mounted file is damaged", slog.String("version", string(d.Version)), slog.String("path", d.Path), slog.String("why", d.Why))
	}
	if len(damage) > 0 {
		a.wish.set()
	}
}

// guardEvery is how often it is looked whether what is mounted still is.
const guardEvery = 5 * time.Second

// guard has mounted anew what somebody deleted by hand.
func (a *Agent) guard(ctx context.Context, m *mount.Mount) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r := a.snapshot()
		if r.DAGs != "" && r.Error == "" && r.Step == "" && !m.Intact(r.Version) {
			a.log.Warn("what was mounted is gone or was changed by hand; it is mounted anew", slog.String("version", string(r.Version)))
			a.wish.set()
		}
	}
}

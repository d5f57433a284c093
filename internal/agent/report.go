package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"slipway/internal/mount"
	"slipway/internal/slipway"
)

const (
	heartbeat = 20 * time.Second

	firstPause = 500 * time.Millisecond
	longPause  = 10 * time.Second // shorter than the portal's wait for agents after a start

	awayEvery = 30 // failed tries between two log lines
)

// sentence returns an error for people.
func sentence(err error, dir string, v slipway.Version) string {
	if err = mount.InodesUsedUp(dir, err); slipway.Explained(err) {
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

// deepest returns the text of the innermost file error.
func deepest(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Error()
	}
	return err.Error()
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
			a.wish.set() // checks every mounted file
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

// scrub has damaged files mounted anew.
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

// guardEvery is the time between two checks that the mount is intact.
const guardEvery = 5 * time.Second

// checkAccess reports a folder on the way to the DAGs that Airflow cannot enter
// as another user than the agent's.
func (a *Agent) checkAccess(m *mount.Mount) {
	text := ""
	if at, is := m.Closed(); is {
		text = closedText(at, a.cfg.Dir)
	}
	if text == a.snapshot().Warning {
		return
	}
	if text != "" {
		a.log.Warn(text)
	}
	a.tell(func(r *slipway.Report) { r.Warning = text })
}

// closedText tells people about a folder that other users cannot enter.
func closedText(at mount.ClosedFolder, dir string) string {
	if at.Above {
		return fmt.Sprintf("Other users cannot enter the folder %s (mode %#o). If Airflow runs as another user, and not in a container with %s mounted, Airflow sees no DAGs: chmod o+x %[1]s.", at.Path, at.Mode, dir)
	}
	return fmt.Sprintf("Other users cannot enter the folder %s (mode %#o). If Airflow runs as another user, Airflow sees no DAGs: chmod o+x %[1]s.", at.Path, at.Mode)
}

// guard has files mounted anew after somebody deleted them by hand.
func (a *Agent) guard(ctx context.Context, m *mount.Mount) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.checkAccess(m)
		r := a.snapshot()
		if r.DAGs != "" && r.Error == "" && r.Step == "" && !m.Intact(r.Version) {
			a.log.Warn("what was mounted is gone or was changed by hand; it is mounted anew", slog.String("version", string(r.Version)))
			a.wish.set()
		}
	}
}

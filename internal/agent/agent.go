// Package agent mounts, beside a component of Airflow, what the portal wants
// there, and reports on it.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/mount"
	"slipway/internal/slipway"
)

// Wishes is the side of a portal that every agent talks to.
type Wishes interface {
	// Desired returns what is wanted, at once if its revision is not since,
	// else after a while.
	Desired(ctx context.Context, since string) (slipway.Desired, error)

	// Report tells how the agent does.
	Report(ctx context.Context, r slipway.Report) error
}

// Portal is what an agent talks to: the engine of its own process, or a portal
// over HTTP.
type Portal interface {
	bundle.Source
	Wishes

	Manifest(ctx context.Context, v slipway.Version) (slipway.Manifest, error)
}

// Config is what New needs to know.
type Config struct {
	Dir       string // in which Airflow finds its DAGs
	Component string // "scheduler-0"
	Portal    Portal
	Log       *slog.Logger
	Version   string // of this program; the portal's own where it is ""
	Ephemeral bool   // it has left when it falls silent
	Reserve   int64  // bytes that stay free on the disk of Dir
}

// Agent is one component's.
type Agent struct {
	cfg    Config
	portal Portal
	log    *slog.Logger

	fresh signal // the report has changed
	wish  signal // something else is wanted, or what was mounted is damaged
	done  signal // something was mounted

	mu     sync.Mutex
	report slipway.Report
	since  time.Time // it runs what it runs
	heard  time.Time // the portal answered
	want   slipway.Desired
	cancel context.CancelFunc // of what is being mounted
}

// New returns an agent. Nothing happens before Run or Once.
func New(cfg Config) *Agent {
	return &Agent{
		cfg: cfg, portal: cfg.Portal, log: cfg.Log.With(slog.String("component", cfg.Component)),
		fresh: make(signal, 1), wish: make(signal, 1), done: make(signal, 1),
		report: slipway.Report{Component: cfg.Component, Kind: slipway.Sidecar, Agent: cfg.Version, Ephemeral: cfg.Ephemeral},
	}
}

// signal wakes a loop: however often it is set meanwhile, once more.
type signal chan struct{}

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Run mounts what is wanted until ctx ends. It goes on whatever fails, and
// reports it.
func (a *Agent) Run(ctx context.Context) error {
	m, err := a.open(ctx)
	if err != nil {
		a.leave(ctx)
		return nil // ctx is over
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.reporting(ctx) })
	wg.Go(func() { a.watch(ctx) })
	wg.Go(func() { a.tidy(ctx, m) })
	wg.Go(func() { a.guard(ctx, m) })
	wg.Go(func() { a.lend(ctx, m) })
	a.mounting(ctx, m)
	wg.Wait()
	a.leave(ctx)
	return m.Close()
}

// open opens the mount, as soon as that is possible.
func (a *Agent) open(ctx context.Context) (*mount.Mount, error) {
	for tries := 0; ; tries++ {
		m, err := a.openOnce()
		if err == nil {
			return m, nil
		}
		a.explain(err, slipway.Desired{})
		if err := a.tryToSend(ctx); err != nil {
			a.away(ctx, "report", err, tries)
		}
		if !pause(ctx, tries, nil) {
			return nil, ctx.Err()
		}
	}
}

// openOnce opens the mount and notes what is there.
func (a *Agent) openOnce() (*mount.Mount, error) {
	m, err := mount.Open(a.cfg.Dir)
	if err != nil {
		return nil, err
	}
	m.KeepFree(a.cfg.Reserve)
	v, image, err := m.Current()
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	a.runs(v, image, "")
	if at := m.TurnedAt(); !at.IsZero() {
		a.mu.Lock()
		a.since = time.Now().Add(-max(0, time.Since(at)))
		a.mu.Unlock()
	}
	return m, nil
}

// leave reports that nothing more will come. Run's context is over by then.
func (a *Agent) leave(ctx context.Context) {
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	a.tell(func(r *slipway.Report) { r.Leaving, r.Step = true, "" })
	if err := a.portal.Report(bye, a.snapshot()); err != nil {
		a.log.Warn("report leaving", slog.Any("error", err))
	}
}

// mounting makes true what is wanted, each time that changes, and tries again
// what fails.
func (a *Agent) mounting(ctx context.Context, m *mount.Mount) {
	for tries := 0; ; {
		err := a.step(ctx, m)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			pause(ctx, tries, a.wish)
			tries++
			continue
		}
		tries = 0
		select {
		case <-ctx.Done():
			return
		case <-a.wish:
		}
	}
}

// step makes true what is wanted now, if anything is known to be.
func (a *Agent) step(ctx context.Context, m *mount.Mount) error {
	want, step, cancel := a.next(ctx)
	defer cancel()
	if want.Revision == "" {
		return nil
	}
	err := a.apply(step, m, want)
	if err != nil && step.Err() != nil {
		return nil // something else is wanted: the signal is set
	}
	if err != nil {
		a.explain(err, want)
		return err
	}
	a.done.set()
	return nil
}

// next returns what is wanted, with a context that ends when that changes.
func (a *Agent) next(ctx context.Context) (slipway.Desired, context.Context, context.CancelFunc) {
	stepCtx, cancel := context.WithCancel(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancel = cancel
	return a.want, stepCtx, cancel
}

// apply makes true what is wanted.
func (a *Agent) apply(ctx context.Context, m *mount.Mount, want slipway.Desired) error {
	if want.DAGs == slipway.FromImage {
		if err := m.UseImage(want.DagsPath); err != nil {
			return err
		}
		a.runs("", true, want.Revision)
		return nil
	}
	if err := a.mount(ctx, m, want.Version); err != nil {
		return err
	}
	a.runs(want.Version, false, want.Revision)
	return nil
}

// mount makes v current. One that is on disk already is switched to as it is,
// without the portal.
func (a *Agent) mount(ctx context.Context, m *mount.Mount, v slipway.Version) error {
	man, onDisk, err := m.Manifest(v)
	if err != nil {
		return err
	}
	if onDisk && m.Mount(ctx, man, a.portal, a.progress()) == nil {
		return nil // else what its record says is not enough: the portal knows better
	}
	a.tell(func(r *slipway.Report) { r.Step, r.Error, r.Done, r.Total = mountingStep, "", 0, 0 })
	if man, err = a.portal.Manifest(ctx, v); err != nil {
		return fmt.Errorf("get the list of its files: %w", err)
	}
	return m.Mount(ctx, man, a.portal, a.progress())
}

const mountingStep = "mounting"

// progress returns what notes how far a mount is, now and then.
func (a *Agent) progress() func(done, total int64) {
	told := time.Now()
	return func(done, total int64) {
		if time.Since(told) < tellEvery {
			return
		}
		told = time.Now()
		a.tell(func(r *slipway.Report) { r.Step, r.Done, r.Total = mountingStep, done, total })
	}
}

// tellEvery is how often progress is reported.
const tellEvery = 250 * time.Millisecond

// watch keeps asking what is wanted.
func (a *Agent) watch(ctx context.Context) {
	revision := ""
	for tries := 0; ctx.Err() == nil; {
		want, err := a.portal.Desired(ctx, revision)
		if err != nil {
			a.away(ctx, "ask what is wanted", err, tries)
			pause(ctx, tries, nil)
			tries++
			continue
		}
		if a.answered(); tries > 0 {
			a.log.Info("the portal answers again")
		}
		tries = 0
		if want.Revision == revision {
			continue
		}
		revision = want.Revision
		a.wants(want)
	}
}

// wants notes what is wanted. If it is something else, what is being mounted
// is no longer.
func (a *Agent) wants(want slipway.Desired) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if want.DAGs != a.want.DAGs || want.Version != a.want.Version {
		a.report.Error = "" // it is about what was wanted before
		if a.cancel != nil {
			a.cancel()
		}
	}
	a.want = want
	a.wish.set()
}

func (a *Agent) lend(ctx context.Context, m *mount.Mount) {
	l := lender{Agent: a, mount: m, later: map[slipway.Version]time.Time{}}
	tick := time.NewTicker(wantedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := l.look(ctx, time.Now()); err != nil && err.Error() != l.told {
			l.told = err.Error()
			l.log.Error("look for versions that runs need", slog.Any("error", err))
		}
	}
}

// Package agent mounts the portal's desired state beside a component of
// Airflow, and reports the component's state.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"slipway/internal/mount"
	"slipway/internal/slipway"
)

// DesiredState is the part of a portal common to all agents.
type DesiredState interface {
	// Desired returns the desired state: at once if its revision is not since,
	// else at the next change or after a while.
	Desired(ctx context.Context, since string) (slipway.Desired, error)

	// Report tells how the agent does.
	Report(ctx context.Context, r slipway.Report) error
}

// Portal is the portal of a DAG agent: the engine of the same process, or a
// portal over HTTP.
type Portal interface {
	mount.Source
	DesiredState
}

// Config configures New.
type Config struct {
	Dir       string // Airflow's dags folder
	Component string // "scheduler-0"
	Portal    Portal
	Log       *slog.Logger
	Version   string // of this program; "" for the version of the portal
	Ephemeral bool   // silence means that the component has left
	Reserve   int64  // bytes kept free on the disk of Dir
}

// Agent mounts the DAGs of one component.
type Agent struct {
	*reporter
	cfg    Config
	portal Portal
	log    *slog.Logger
	done   signal // a version was mounted
}

// New returns an agent. Nothing happens before Run or Once.
func New(cfg Config) *Agent {
	log := cfg.Log.With(slog.String("component", cfg.Component))
	first := slipway.Report{Component: cfg.Component, Kind: slipway.Sidecar, Agent: cfg.Version, Ephemeral: cfg.Ephemeral}
	return &Agent{reporter: newReporter(cfg.Portal, log, first), cfg: cfg, portal: cfg.Portal, log: log, done: make(signal, 1)}
}

// outdatedMount reports whether a mount in progress is of no use any more.
func outdatedMount(old, want slipway.Desired) bool {
	return want.DAGs != old.DAGs || want.Version != old.Version
}

// signal wakes a loop: set once or many times, the loop runs once more.
type signal chan struct{}

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Run mounts the desired state until ctx ends. After a failure, Run reports the
// error and tries again.
func (a *Agent) Run(ctx context.Context) error {
	m, err := a.open(ctx)
	if err != nil {
		a.leave(ctx, func(r *slipway.Report) { r.Step = "" })
		return nil // ctx is over
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.reporting(ctx) })
	wg.Go(func() { a.watch(ctx, outdatedMount) })
	wg.Go(func() { a.tidy(ctx, m) })
	wg.Go(func() { a.guard(ctx, m) })
	wg.Go(func() { a.prefetch(ctx, m) })
	a.mounting(ctx, m)
	wg.Wait()
	a.leave(ctx, func(r *slipway.Report) { r.Step = "" })
	return m.Close()
}

// open opens the mount as soon as possible.
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

// openOnce opens the mount and reports the version mounted.
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
	a.checkAccess(m)
	if at := m.TurnedAt(); !at.IsZero() {
		a.mu.Lock()
		a.since = time.Now().Add(-max(0, time.Since(at)))
		a.mu.Unlock()
	}
	return m, nil
}

// mounting mounts the desired state at every change, and retries after a
// failure.
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

// step mounts the desired state, if the portal has sent one.
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

// apply mounts the desired state.
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
	a.checkAccess(m)
	a.runs(want.Version, false, want.Revision)
	return nil
}

// mount makes v current. A version on disk is made current without the portal.
func (a *Agent) mount(ctx context.Context, m *mount.Mount, v slipway.Version) error {
	src := &listed{Source: a.portal, asked: func() {
		a.tell(func(r *slipway.Report) { r.Step, r.Error, r.Done, r.Total = mountingStep, "", 0, 0 })
	}}
	return m.Mount(ctx, v, src, a.progress())
}

// listed is a portal that keeps the failure to get a version's list of files.
type listed struct {
	mount.Source
	asked  func() // called before the list is asked for
	failed error
}

// Manifest opens the list.
func (l *listed) Manifest(ctx context.Context, v slipway.Version) (io.ReadCloser, error) {
	l.asked()
	body, err := l.Source.Manifest(ctx, v)
	if l.failed = err; err != nil {
		return nil, fmt.Errorf("get the list of its files: %w", err)
	}
	return body, nil
}

const mountingStep = "mounting"

// progress returns a function that reports the progress of a mount now and
// then.
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

func (a *Agent) prefetch(ctx context.Context, m *mount.Mount) {
	p := prefetcher{Agent: a, mount: m, retryAt: map[slipway.Version]time.Time{}}
	tick := time.NewTicker(wantedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := p.sweepAndAdd(ctx, time.Now()); err != nil && err.Error() != p.lastError {
			p.lastError = err.Error()
			p.log.Error("look for versions that runs need", slog.Any("error", err))
		}
	}
}

// runs reports the target of the link current: a version, the image, or
// neither, and the revision with that desired state.
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

// explain reports why the desired state could not be mounted, or the folder not
// be used.
func (a *Agent) explain(err error, want slipway.Desired) {
	a.log.Error("mount", slog.String("version", string(want.Version)), slog.Any("error", err))
	text := sentence(err, a.cfg.Dir, want.Version)
	a.tell(func(r *slipway.Report) {
		r.Error, r.Revision, r.Step, r.Done, r.Total = text, want.Revision, "", 0, 0
	})
}

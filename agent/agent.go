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

	"slipway"
	"slipway/bundle"
)

// Portal is what an agent talks to: the engine of its own process, or a portal
// over HTTP.
type Portal interface {
	bundle.Source

	// Desired returns what is wanted, at once if its revision is not since,
	// else after a while.
	Desired(ctx context.Context, since string) (slipway.Desired, error)
	Manifest(ctx context.Context, v slipway.Version) (slipway.Manifest, error)
	Report(ctx context.Context, r slipway.Report) error
}

// agent is one component's.
type agent struct {
	dir    string
	portal Portal
	log    *slog.Logger

	fresh signal // the report has changed
	wish  signal // something else is wanted
	done  signal // something was mounted

	mu     sync.Mutex
	report slipway.Report
	want   slipway.Desired
	cancel context.CancelFunc // of what is being mounted
}

// signal wakes a loop: however often it is set meanwhile, once more.
type signal chan struct{}

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Run mounts in dir what p wants of component, until ctx ends. It goes on
// whatever fails, and reports it.
func Run(ctx context.Context, dir, component string, p Portal, log *slog.Logger) error {
	a := &agent{
		dir: dir, portal: p, log: log.With(slog.String("component", component)),
		fresh: make(signal, 1), wish: make(signal, 1), done: make(signal, 1),
		report: slipway.Report{Component: component},
	}
	m, err := a.open(ctx)
	if err != nil {
		a.leave(ctx)
		return nil // ctx is over
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.reporting(ctx) })
	wg.Go(func() { a.watch(ctx) })
	wg.Go(func() { a.tidy(ctx, m) })
	a.mounting(ctx, m)
	wg.Wait()
	a.leave(ctx)
	return m.Close()
}

// open opens the mount, as soon as that is possible.
func (a *agent) open(ctx context.Context) (*bundle.Mount, error) {
	for tries := 0; ; tries++ {
		m, err := bundle.OpenMount(a.dir)
		if err == nil {
			var v slipway.Version
			var image bool
			if v, image, err = m.Current(); err == nil {
				a.runs(v, image)
				return m, nil
			}
			err = errors.Join(err, m.Close())
		}
		a.explain(err, "")
		a.send(ctx)
		if !pause(ctx, tries, nil) {
			return nil, ctx.Err()
		}
	}
}

// leave reports that nothing more will come. Run's context is over by then.
func (a *agent) leave(ctx context.Context) {
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	a.tell(func(r *slipway.Report) { r.Leaving, r.Step = true, "" })
	if err := a.portal.Report(bye, a.snapshot()); err != nil {
		a.log.Warn("report leaving", slog.Any("error", err))
	}
}

// mounting makes true what is wanted, each time that changes, and tries again
// what fails.
func (a *agent) mounting(ctx context.Context, m *bundle.Mount) {
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
func (a *agent) step(ctx context.Context, m *bundle.Mount) error {
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
		a.explain(err, want.Version)
		return err
	}
	a.done.set()
	return nil
}

// next returns what is wanted, with a context that ends when that changes.
func (a *agent) next(ctx context.Context) (slipway.Desired, context.Context, context.CancelFunc) {
	stepCtx, cancel := context.WithCancel(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancel = cancel
	return a.want, stepCtx, cancel
}

func (a *agent) apply(ctx context.Context, m *bundle.Mount, want slipway.Desired) error {
	if want.DAGs == slipway.FromImage {
		if err := m.UseImage(want.DagsPath); err != nil {
			return err
		}
		a.runs("", true)
		return nil
	}
	a.tell(func(r *slipway.Report) { r.Step, r.Error, r.Done, r.Total = "mounting", "", 0, 0 })
	man, err := a.portal.Manifest(ctx, want.Version)
	if err != nil {
		return fmt.Errorf("get the list of its files: %w", err)
	}
	var told time.Time
	err = m.Mount(ctx, man, a.portal, func(done, total int64) {
		if time.Since(told) < tellEvery {
			return
		}
		told = time.Now()
		a.tell(func(r *slipway.Report) { r.Done, r.Total = done, total })
	})
	if err != nil {
		return err
	}
	a.runs(want.Version, false)
	return nil
}

// tellEvery is how often progress is reported.
const tellEvery = 250 * time.Millisecond

// watch keeps asking what is wanted.
func (a *agent) watch(ctx context.Context) {
	revision := ""
	for tries := 0; ctx.Err() == nil; {
		want, err := a.portal.Desired(ctx, revision)
		if err != nil {
			if ctx.Err() == nil {
				a.log.Warn("ask what is wanted", slog.Any("error", err))
			}
			pause(ctx, tries, nil)
			tries++
			continue
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
func (a *agent) wants(want slipway.Desired) {
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

package agent

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// reporter is an agent's connection to the portal: the reporter asks for the
// desired state and sends the report, again and again while the portal is away.
type reporter struct {
	portal DesiredState
	log    *slog.Logger

	fresh signal // the report has changed
	wish  signal // the desired state has changed, or a mount is damaged

	mu     sync.Mutex
	report slipway.Report
	since  time.Time // start of the reported state
	heard  time.Time // last answer of the portal
	lost   string    // sentence about the last failure to reach the portal; "" after an answer
	want   slipway.Desired
	cancel context.CancelFunc // of the step in progress
}

func newReporter(portal DesiredState, log *slog.Logger, first slipway.Report) *reporter {
	return &reporter{portal: portal, log: log, report: first, fresh: make(signal, 1), wish: make(signal, 1)}
}

// Status is the state of a DAG agent or a rollout agent.
type Status struct {
	Report slipway.Report
	Want   slipway.Desired // with an empty Revision before the portal's first answer
	Heard  time.Time       // last answer of the portal; zero for none yet
	Lost   string          // sentence about the last failure to reach the portal; "" after an answer
}

// Status returns the state now.
func (r *reporter) Status() Status {
	rep := r.snapshot()
	r.mu.Lock()
	defer r.mu.Unlock()
	return Status{rep, r.want, r.heard, r.lost}
}

// tell changes the report.
func (r *reporter) tell(change func(*slipway.Report)) {
	r.mu.Lock()
	change(&r.report)
	r.mu.Unlock()
	r.fresh.set()
}

// snapshot returns the report with the age of the reported state.
func (r *reporter) snapshot() slipway.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	rep := r.report
	if !r.since.IsZero() && (rep.Kind == slipway.Rollout || rep.DAGs != "") {
		rep.Age = int64(time.Since(r.since).Seconds())
	}
	return rep
}

// wanted returns the desired state.
func (r *reporter) wanted() slipway.Desired {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.want
}

// next returns the desired state, with a context that ends once a later state
// makes the step outdated.
func (r *reporter) next(ctx context.Context) (slipway.Desired, context.Context, context.CancelFunc) {
	step, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel = cancel
	return r.want, step, cancel
}

// watch keeps asking for the desired state. outdated reports whether a change of
// the desired state ends the step in progress.
func (r *reporter) watch(ctx context.Context, outdated func(old, want slipway.Desired) bool) {
	revision := ""
	for tries := 0; ctx.Err() == nil; {
		want, err := r.portal.Desired(ctx, revision)
		if err != nil {
			r.away(ctx, "ask for the desired state", err, tries)
			pause(ctx, tries, nil)
			tries++
			continue
		}
		if r.answered(); tries > 0 {
			r.log.Info("the portal answers again")
		}
		tries = 0
		if want.Revision == revision {
			continue
		}
		revision = want.Revision
		r.mu.Lock()
		if outdated(r.want, want) {
			r.report.Error = "" // of the state desired before
			if r.cancel != nil {
				r.cancel()
			}
		}
		r.want = want
		r.wish.set()
		r.mu.Unlock()
	}
}

// answered keeps the time of an answer of the portal.
func (r *reporter) answered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard, r.lost = time.Now(), ""
}

// away logs some of the failed tries to reach the portal, and keeps the sentence
// for people if the error has one.
func (r *reporter) away(ctx context.Context, action string, err error, tries int) {
	if slipway.Explained(err) {
		r.mu.Lock()
		_, r.lost = slipway.Explain(err)
		r.mu.Unlock()
	}
	if ctx.Err() == nil && tries%awayEvery == 0 {
		r.log.Warn(action, slog.Any("error", err))
	}
}

// reporting sends the report at every change, and as a sign of life.
func (r *reporter) reporting(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		r.send(ctx)
		select {
		case <-ctx.Done():
			return
		case <-r.fresh:
		case <-tick.C:
		}
	}
}

// send sends the report until the portal has answered.
func (r *reporter) send(ctx context.Context) {
	for tries := 0; ctx.Err() == nil; tries++ {
		err := r.tryToSend(ctx)
		if err == nil {
			return
		}
		r.away(ctx, "report", err, tries)
		pause(ctx, tries, nil)
	}
}

// leaveWithin is the time for a report after the end of Run's context.
const leaveWithin = 3 * time.Second

// tryToSend sends the report once. The end of ctx does not break off a report on its
// way: the portal might still take the report, after the one of leave.
func (r *reporter) tryToSend(ctx context.Context) error {
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(leaveWithin, cancel) })()
	err := r.portal.Report(whole, r.snapshot())
	if err == nil {
		r.answered()
	}
	return err
}

// leave sends a last report, after the end of Run's context.
func (r *reporter) leave(ctx context.Context, change func(*slipway.Report)) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	r.tell(func(rep *slipway.Report) {
		rep.Leaving = true
		change(rep)
	})
	if err := r.portal.Report(last, r.snapshot()); err != nil {
		r.log.Warn("report leaving", slog.Any("error", err))
	}
}

// pause waits before the next try, longer after each try, but not longer than
// until early is set. pause reports whether ctx goes on.
func pause(ctx context.Context, tries int, early signal) bool {
	d := min(firstPause<<min(tries, 10), longPause)
	t := time.NewTimer(d/2 + rand.N(d/2)) // spreads the requests of many agents
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-t.C:
	}
	return true
}

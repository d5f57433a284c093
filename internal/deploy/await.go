package deploy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

const (
	lookEvery = time.Second // at components, even if none reports

	// settle is for how long components must be stuck until that is the end:
	// an error may be of what was wanted before.
	settle = time.Second
)

// await waits until every connected component runs w, and ends it. there are
// those that were connected when it went live.
func (e *Engine) await(ctx context.Context, w slipway.Deploy, there roll) error {
	changed, stop := e.Watch(w.Deployment)
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	since := e.store.Now() // after a restart components get their time once more
	var stuck time.Time
	for {
		d, revision, err := e.wanted(ctx, w)
		if err != nil {
			return err
		}
		v := e.look(d, revision, since)
		if v.done && !e.gathered(ctx, d) {
			v.done, v.failing = false, "agents have not reported since the start"
		}
		if lost := e.lost(d.ID, slipway.Sidecar, there); lost != "" {
			v.done, v.stuck, v.failing = false, false, lost
		}
		switch {
		case !v.stuck:
			stuck = time.Time{}
		case stuck.IsZero():
			stuck = time.Now()
		}
		if v.ended() || v.stuck && time.Since(stuck) >= settle {
			return e.conclude(ctx, w, v)
		}
		select {
		case <-ctx.Done():
			return ctx.Err() // goes on after the next start
		case <-changed:
		case <-tick.C:
		}
	}
}

// wanted returns the Deployment of w, and the revision of what is wanted of it.
func (e *Engine) wanted(ctx context.Context, w slipway.Deploy) (d slipway.Deployment, revision string, err error) {
	err = e.store.View(ctx, func(tx *store.Tx) error {
		if d, err = tx.LoadDeployment(w.Deployment); err != nil {
			return err
		}
		revision, err = revisionOf(tx, d)
		return err
	})
	return d, revision, err
}

// gatherFor is how long agents have after a start to report again.
const gatherFor = 15 * time.Second

// gathered reports whether the agents of d have had their time to report again
// since the start, if there were any: one that is not heard of yet need not be
// gone.
func (e *Engine) gathered(_ context.Context, d slipway.Deployment) bool {
	return !slices.Contains(e.expected, d.ID) || e.store.Now().Sub(e.started) >= cmp.Or(e.cfg.Gather, gatherFor)
}

// verdict is how a deploy that is live stands with the components.
type verdict struct {
	done    bool
	note    string
	stuck   bool
	late    bool
	failing string // what does not run it, and why
}

func (v verdict) ended() bool { return v.done || v.late }

// look judges a deploy of d that has been waited for since a time.
func (e *Engine) look(d slipway.Deployment, revision string, since time.Time) verdict {
	now := e.store.Now()
	all := slipway.About(revision, slipway.Mounting(e.Components(d.ID)))
	p := slipway.NewProgress(d.State, all, now)
	v := verdict{late: now.Sub(since) >= e.cfg.MountTimeout, failing: strings.Join(slipway.Stragglers(d.State, all, now), "; ")}
	switch {
	case p.Of == 0 && d.Here: // the agent of this machine has not reported yet
		v.failing = slipway.EmbeddedComponent + " has not reported"
	case p.Of == 0:
		v.done, v.note = true, "Published. No component is connected."
	default:
		v.done, v.stuck = p.Done(), p.Stuck()
	}
	return v
}

// conclude ends w as v says. Whatever the end, it stays wanted.
func (e *Engine) conclude(ctx context.Context, w slipway.Deploy, v verdict) error {
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeploy(w.ID)
		if err != nil || now.Status != slipway.Deploying {
			return err
		}
		now.Status, now.Note = slipway.Deployed, strings.TrimSpace(now.Note+" "+v.note)
		if !v.done {
			now.Status, now.Reason = slipway.Failed, v.reason(e.cfg.MountTimeout)
		}
		_, err = tx.SaveDeploy(now)
		return err
	})
	if err != nil {
		return fmt.Errorf("end deploy %s: %w", w.ID, err)
	}
	e.watchers.changed(w.Deployment, w.ID)
	return nil
}

func (v verdict) reason(timeout time.Duration) string {
	text := strings.TrimSuffix(v.failing, ".")
	if v.stuck {
		return fmt.Sprintf("It could not be mounted everywhere. %s. It stays wanted and is tried again; you can also return to an earlier deploy.", text)
	}
	return fmt.Sprintf("It was not mounted everywhere within %s: %s. It stays wanted and is tried again; you can also return to an earlier deploy.", timeout, text)
}

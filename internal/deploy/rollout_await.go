package deploy

import (
	"context"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// part is what a rollout waits for.
type part struct {
	kind     slipway.AgentKind // of the agents that have to do it
	within   time.Duration
	uncovers bool // once it is done, the DAGs that are mounted go

	there roll // of those, since before they were asked
}

// awaitPart waits until the components of a kind run what is wanted while w
// goes live.
func (e *Engine) awaitPart(ctx context.Context, w slipway.Deploy, p part) (v verdict, err error) {
	changed, stop := e.Watch(w.Deployment)
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	since := e.store.Now() // after a restart components get their time once more
	var stuck time.Time
	for {
		d, revision, err := e.desiredOf(ctx, w.Deployment)
		if err != nil {
			return v, err
		}
		if slipway.Ending(e.Components(d.ID), e.store.Now()) {
			since = e.store.Now() // tasks may take as long as the agent lets them
		}
		v = e.lookAt(d, revision, p.kind, e.store.Now().Sub(since) >= p.within)
		if v.done && !e.gathered(ctx, d) {
			v.done, v.failing = false, "agents have not reported since the start"
		}
		if missing := e.missing(d, w, p); missing != "" {
			v.done, v.stuck, v.failing = false, false, missing
		}
		switch {
		case !v.stuck:
			stuck = time.Time{}
		case stuck.IsZero():
			stuck = time.Now()
		}
		if v.ended() || v.stuck && time.Since(stuck) >= settle {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-changed:
		case <-tick.C:
		}
	}
}

// missing says who would have to be there for p to be done; "" where that is
// not so. An agent that was there may be back. Where DAGs go with p, all of
// them have to be there, or somebody who could run the image.
func (e *Engine) missing(d slipway.Deployment, w slipway.Deploy, p part) string {
	if lost := e.lost(d.ID, p.kind, p.there); lost != "" {
		return lost
	}
	if !p.uncovers {
		return ""
	}
	now := e.store.Now()
	all := slipway.OfKind(e.Components(d.ID), p.kind)
	for _, c := range all {
		if c.Silent(now) && p.there[c.Component] {
			return c.Component + " has fallen silent"
		}
	}
	if !w.ByHand && !d.AppliesImages(all, now) {
		return "no agent with --images is connected any more"
	}
	return ""
}

// mayUncover refuses w if it would take mounted DAGs away, nothing has its image
// run that carries others, and nobody has said that he does. After a start,
// agents have their time to report again.
func (e *Engine) mayUncover(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	if !d.Uncovers(w) || w.ByHand {
		return nil
	}
	changed, stop := e.Watch(d.ID)
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !d.AppliesImages(e.Components(d.ID), e.store.Now()) {
		if e.gathered(ctx, d) {
			return slipway.ErrNothingApplies
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-tick.C:
		}
	}
	return nil
}

// lookAt judges the components of a kind by what is wanted of d.
func (e *Engine) lookAt(d slipway.Deployment, revision string, kind slipway.AgentKind, late bool) verdict {
	now := e.store.Now()
	all := slipway.About(revision, slipway.OfKind(e.Components(d.ID), kind))
	p := slipway.NewProgress(d.State, all, now)
	v := verdict{late: late, failing: strings.Join(slipway.Stragglers(d.State, all, now), "; ")}
	switch {
	case p.Of > 0:
		v.done, v.stuck = p.Done(), p.Stuck()
	case kind == slipway.Sidecar && d.Here:
		v.failing = slipway.EmbeddedComponent + " has not reported"
	case kind == slipway.Rollout && !d.Here:
		v.done, v.note = true, "Published. No component is connected."
		if slipway.NewProgress(d.State, e.Components(d.ID), now).Of > 0 {
			v.note = "Published. No rollout agent is connected: restart Airflow with the image."
		}
	default:
		v.done = true
	}
	return v
}

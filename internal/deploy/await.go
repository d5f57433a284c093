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
	probeEvery = time.Second // even if no component reports

	// settle is for how long components must be stuck until that is the end:
	// an error may be of what was wanted before.
	settle = time.Second
)

// awaiter waits until components run a deploy.
type awaiter struct {
	*base
	components *components
}

// wait calls probe at once, at every change of the Deployment and each second,
// until the outcome is final.
func (a *awaiter) wait(ctx context.Context, of slipway.DeploymentID, probe func() (outcome, error)) (outcome, error) {
	changed, stop := a.components.Watch(of)
	defer stop()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var stuck time.Time
	for {
		o, err := probe()
		if err != nil {
			return o, err
		}
		switch {
		case !o.stuck:
			stuck = time.Time{}
		case stuck.IsZero():
			stuck = time.Now()
		}
		if o.done || o.late || o.stuck && time.Since(stuck) >= settle {
			return o, nil
		}
		select {
		case <-ctx.Done():
			return o, ctx.Err()
		case <-changed:
		case <-tick.C:
		}
	}
}

// await waits until every connected component runs w, and finishes w. connected
// are the components since the deploy went live. After a restart, the timeout
// begins anew.
func (a *awaiter) await(ctx context.Context, w slipway.Deploy, connected connected) error {
	since := a.store.Now()
	o, err := a.wait(ctx, w.Deployment, func() (outcome, error) {
		d, revision, err := a.desiredBy(ctx, w)
		if err != nil {
			return outcome{}, err
		}
		return a.hold(d, a.probe(d, revision, since), a.components.missing(d.ID, slipway.Sidecar, connected)), nil
	})
	if err != nil {
		return err
	}
	return a.finish(ctx, w, o)
}

// hold keeps an outcome open while components are missing, or agents may still
// report after a start.
func (a *awaiter) hold(d slipway.Deployment, o outcome, missing string) outcome {
	if o.done && !a.gathered(d) {
		o.done, o.failing = false, "agents have not reported since the start"
	}
	if missing != "" {
		o.done, o.stuck, o.failing = false, false, missing
	}
	return o
}

// desiredBy returns the Deployment of w, and the revision of what is wanted of it.
func (a *awaiter) desiredBy(ctx context.Context, w slipway.Deploy) (d slipway.Deployment, revision string, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
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
func (a *awaiter) gathered(d slipway.Deployment) bool {
	return !slices.Contains(a.components.expected, d.ID) || a.store.Now().Sub(a.components.started) >= cmp.Or(a.cfg.Gather, gatherFor)
}

// outcome is how a deploy that is live stands with the components.
type outcome struct {
	done    bool
	note    string
	stuck   bool
	late    bool
	failing string // what does not run it, and why
}

// probe judges a deploy of d that has been waited for since a time.
func (a *awaiter) probe(d slipway.Deployment, revision string, since time.Time) outcome {
	now := a.store.Now()
	all := slipway.About(revision, slipway.Mounting(a.components.Components(d.ID)))
	p := slipway.NewProgress(d.State, all, now)
	v := outcome{late: now.Sub(since) >= a.cfg.MountTimeout, failing: strings.Join(slipway.Stragglers(d.State, all, now), "; ")}
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

// finish ends w as v says. Whatever the end, it stays wanted.
func (a *awaiter) finish(ctx context.Context, w slipway.Deploy, v outcome) error {
	err := a.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeploy(w.ID)
		if err != nil || now.Status != slipway.Deploying {
			return err
		}
		now.Status, now.Note = slipway.Deployed, strings.TrimSpace(now.Note+" "+v.note)
		if !v.done {
			now.Status, now.Reason = slipway.Failed, v.reason(a.cfg.MountTimeout)
		}
		_, err = tx.SaveDeploy(now)
		return err
	})
	if err != nil {
		return fmt.Errorf("end deploy %s: %w", w.ID, err)
	}
	a.watchers.changed(w.Deployment, w.ID)
	return nil
}

func (v outcome) reason(timeout time.Duration) string {
	text := strings.TrimSuffix(v.failing, ".")
	if v.stuck {
		return fmt.Sprintf("It could not be mounted everywhere. %s. It stays wanted and is tried again; you can also return to an earlier deploy.", text)
	}
	return fmt.Sprintf("It was not mounted everywhere within %s: %s. It stays wanted and is tried again; you can also return to an earlier deploy.", timeout, text)
}

// desiredOf returns a Deployment with the state that is wanted of its
// components now, and the revision of that.
func (a *awaiter) desiredOf(ctx context.Context, of slipway.DeploymentID) (d slipway.Deployment, revision string, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		d, revision, err = desiredIn(tx, of)
		return err
	})
	return d, revision, err
}

// part is what a rollout waits for.
type part struct {
	kind        slipway.AgentKind // of the agents that have to do it
	within      time.Duration
	removesDAGs bool // once it is done, the DAGs that are mounted go

	connected connected // of those, since before they were asked
}

// awaitPart waits until the components of a kind run the desired state while w
// goes live. The timeout begins anew after a restart, and while tasks end, for
// which the agent has its own limit.
func (a *awaiter) awaitPart(ctx context.Context, w slipway.Deploy, p part) (outcome, error) {
	since := a.store.Now()
	return a.wait(ctx, w.Deployment, func() (outcome, error) {
		d, revision, err := a.desiredOf(ctx, w.Deployment)
		if err != nil {
			return outcome{}, err
		}
		now := a.store.Now()
		if slipway.Ending(a.components.Components(d.ID), now) {
			since = now
		}
		o := a.probePart(d, revision, p.kind, now.Sub(since) >= p.within)
		return a.hold(d, o, a.missing(d, w, p)), nil
	})
}

// missing says who would have to be there for p to be done; "" where that is
// not so. An agent that was there may be back. Where DAGs go with p, all of
// them have to be there, or somebody who could run the image.
func (a *awaiter) missing(d slipway.Deployment, w slipway.Deploy, p part) string {
	if lost := a.components.missing(d.ID, p.kind, p.connected); lost != "" {
		return lost
	}
	if !p.removesDAGs {
		return ""
	}
	now := a.store.Now()
	all := slipway.OfKind(a.components.Components(d.ID), p.kind)
	for _, c := range all {
		if c.Silent(now) && p.connected[c.Component] {
			return c.Component + " has fallen silent"
		}
	}
	if !w.ByHand && !d.AppliesImages(all, now) {
		return "no agent with --images is connected any more"
	}
	return ""
}

// mayRemoveDAGs refuses w if it would take mounted DAGs away, nothing has its image
// run that carries others, and nobody has said that he does. After a start,
// agents have their time to report again.
func (a *awaiter) mayRemoveDAGs(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	if !d.Uncovers(w) || w.ByHand {
		return nil
	}
	_, err := a.wait(ctx, d.ID, func() (outcome, error) {
		switch {
		case d.AppliesImages(a.components.Components(d.ID), a.store.Now()):
			return outcome{done: true}, nil
		case a.gathered(d):
			return outcome{}, slipway.ErrNothingApplies
		}
		return outcome{}, nil
	})
	return err
}

// probePart judges the components of a kind by what is wanted of d.
func (a *awaiter) probePart(d slipway.Deployment, revision string, kind slipway.AgentKind, late bool) outcome {
	now := a.store.Now()
	all := slipway.About(revision, slipway.OfKind(a.components.Components(d.ID), kind))
	p := slipway.NewProgress(d.State, all, now)
	v := outcome{late: late, failing: strings.Join(slipway.Stragglers(d.State, all, now), "; ")}
	switch {
	case p.Of > 0:
		v.done, v.stuck = p.Done(), p.Stuck()
	case kind == slipway.Sidecar && d.Here:
		v.failing = slipway.EmbeddedComponent + " has not reported"
	case kind == slipway.Rollout && !d.Here:
		v.done, v.note = true, "Published. No component is connected."
		if slipway.NewProgress(d.State, a.components.Components(d.ID), now).Of > 0 {
			v.note = "Published. No rollout agent is connected: restart Airflow with the image."
		}
	default:
		v.done = true
	}
	return v
}

func desiredIn(tx *store.Tx, of slipway.DeploymentID) (d slipway.Deployment, revision string, err error) {
	if d, err = tx.LoadDeployment(of); err != nil {
		return d, "", err
	}
	running, found, err := tx.Rolling(of)
	if err != nil {
		return d, "", err
	}
	carrier := d.Image // whose dags folder Airflow has, where it is not a version's
	if found {
		d.State = d.Wanted(&running)
		if d.Image != carrier && !running.MountingAt.IsZero() {
			carrier = d.Image
		}
	}
	i, _, err := tx.Image(of, carrier)
	if err != nil {
		return d, "", err
	}
	d.DagsPath = dagsPath(d, i)
	revision, err = revisionOf(tx, d)
	return d, revision, err
}

// revisionOf names what is wanted of d. What follows the number tells restored
// backups apart, which count on from an older one.
func revisionOf(tx *store.Tx, d slipway.Deployment) (string, error) {
	n, err := tx.Revision(d.ID)
	return fmt.Sprintf("%d/%s/%t/%.12s", n, d.Version, d.Mounted, strings.TrimPrefix(d.Image, "sha256:")), err
}

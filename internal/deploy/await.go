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

	// settle is the time for which components must be stuck before the deploy
	// fails. An error may still be about the earlier desired state.
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
func (a *awaiter) await(ctx context.Context, w slipway.Deploy, connected connectedSet) error {
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

// desiredBy returns the Deployment of w, and the revision of the desired state.
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

// gathered reports whether the agents of d had time to report again since the
// start. A Deployment without agents before the start needs no time. An agent
// without a report may still be running.
func (a *awaiter) gathered(d slipway.Deployment) bool {
	return !slices.Contains(a.components.expected, d.ID) || a.store.Now().Sub(a.components.started) >= cmp.Or(a.cfg.Gather, gatherFor)
}

// outcome is the progress of a live deploy on the components.
type outcome struct {
	done    bool
	note    string
	stuck   bool
	late    bool
	failing string // components that do not run the deploy, with reasons
}

// probe returns the outcome of a deploy of d. since is the start of the wait.
func (a *awaiter) probe(d slipway.Deployment, revision string, since time.Time) outcome {
	now := a.store.Now()
	all := slipway.About(revision, slipway.Mounting(a.components.Components(d.ID)))
	p := slipway.NewProgress(d.State, all, now)
	v := outcome{late: now.Sub(since) >= a.cfg.MountTimeout, failing: strings.Join(slipway.Stragglers(d.State, all, now), "; ")}
	switch {
	case p.Of == 0 && d.Local: // the agent of this machine has not reported yet
		v.failing = slipway.EmbeddedComponent + " has not reported"
	case p.Of == 0:
		v.done, v.note = true, "Published. No component is connected."
	default:
		v.done, v.stuck = p.Done(), p.Stuck()
	}
	return v
}

// finish ends w with the outcome v. The state of w stays the desired state in
// any case.
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

// desiredOf returns a Deployment with the present desired state of the
// components, and the revision of the state.
func (a *awaiter) desiredOf(ctx context.Context, of slipway.DeploymentID) (d slipway.Deployment, revision string, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		d, revision, err = desiredIn(tx, of)
		return err
	})
	return d, revision, err
}

// part is one part of a rollout to wait for.
type part struct {
	kind        slipway.AgentKind // kind of the agents that carry the part out
	within      time.Duration
	removesDAGs bool // the mounted DAGs are removed at the end of the part

	connected connectedSet // components of the kind, collected since before the desired state changed
}

// awaitPart waits until the components of a kind run the desired state while w
// goes live. The timeout begins anew after a restart, and while tasks end: the
// agent has its own limit for tasks, and MaxEnding is that of the portal.
func (a *awaiter) awaitPart(ctx context.Context, w slipway.Deploy, p part) (outcome, error) {
	since := a.store.Now()
	began := since
	return a.wait(ctx, w.Deployment, func() (outcome, error) {
		d, revision, err := a.desiredOf(ctx, w.Deployment)
		if err != nil {
			return outcome{}, err
		}
		now := a.store.Now()
		if now.Sub(began) < slipway.MaxEnding && slipway.Ending(a.components.Components(d.ID), now) {
			since = now
		}
		o := a.probePart(d, revision, p.kind, now.Sub(since) >= p.within)
		return a.hold(d, o, a.missing(d, w, p)), nil
	})
}

// missing names the agents without which p cannot end, or returns "". An agent
// that was connected may come back. Where p removes DAGs, all connected agents
// must report, or an agent that can run the image.
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

// mayRemoveDAGs refuses w if w would remove mounted DAGs while no agent runs an
// image with DAGs in place of the mounted ones, unless a person has promised to
// start the image by hand. After a start, agents have time to report again.
func (a *awaiter) mayRemoveDAGs(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	if !d.RemovesDAGs(w) || w.ByHand {
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

// probePart returns the outcome of the desired state of d on the components of
// a kind.
func (a *awaiter) probePart(d slipway.Deployment, revision string, kind slipway.AgentKind, late bool) outcome {
	now := a.store.Now()
	all := slipway.About(revision, slipway.OfKind(a.components.Components(d.ID), kind))
	p := slipway.NewProgress(d.State, all, now)
	v := outcome{late: late, failing: strings.Join(slipway.Stragglers(d.State, all, now), "; ")}
	switch {
	case p.Of > 0:
		v.done, v.stuck = p.Done(), p.Stuck()
	case kind == slipway.Sidecar && d.Local:
		v.failing = slipway.EmbeddedComponent + " has not reported"
	case kind == slipway.Rollout && !d.Local:
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
	carrier := d.Image // image whose dags folder Airflow has, where Airflow has no version
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

// revisionOf names the desired state of d. The parts after the number tell
// apart a restored backup, which counts on from an older number.
func revisionOf(tx *store.Tx, d slipway.Deployment) (string, error) {
	n, err := tx.Revision(d.ID)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d/%s/%t/%.12s", n, d.Version, d.Mounted, strings.TrimPrefix(d.Image, "sha256:")), nil
}

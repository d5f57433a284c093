package deploy

import (
	"context"
	"slices"

	"slipway/internal/archive"
	"slipway/internal/slipway"
	"slipway/store"
)

// planner says what a deploy or a return will do.
type planner struct {
	*base
	components *components
	contents   *contents
}

// stagedDeploy reads a deploy with what it brings and what it comes on top of.
func (p *planner) stagedDeploy(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (b queueState, w slipway.Deploy, staged []byte, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		if b, err = readQueue(tx, of, by); err != nil {
			return err
		}
		if w, err = tx.Deploy(of, number); err != nil {
			return err
		}
		staged, err = tx.StagedFiles(w.ID)
		return err
	})
	return b, w, staged, err
}

// plan returns what w will do to the files at the end of the queue, or why the
// outcome cannot be a version.
func (p *planner) plan(b queueState, w slipway.Deploy, staged []byte) (slipway.Plan, error) {
	base, err := p.contents.projectedFiles(b)
	if err != nil {
		return slipway.Plan{}, err
	}
	if !b.projected.Brings(w) {
		plan := slipway.NewPlan(base, base)
		plan.NoDAGs, plan.NotAirflow, plan.ByHand = false, notAirflow(w), p.byHand(b.projected, w)
		return plan, nil
	}
	if w.Switch != nil && !b.projected.Mounted { // Airflow has had these DAGs from its image
		base = nil
	}
	brought, err := p.contents.uploadedFiles(w.ID, staged)
	if err != nil {
		return slipway.Plan{}, err
	}
	next := w.Merge.Apply(base, brought)
	plan := slipway.NewPlan(base, next)
	plan.NotAirflow = notAirflow(w)
	return plan, archive.Check(next, p.cfg.Limits)
}

// Describe sets the description of a deploy that is not confirmed yet.
func (p *planner) Describe(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, description string) error {
	text, err := slipway.CheckDescription(description)
	if err != nil {
		return err
	}
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		_, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		w, err := tx.Deploy(of, number)
		if err != nil {
			return err
		}
		if w, err = w.Describe(role, text); err != nil {
			return err
		}
		_, err = tx.SaveDeploy(w)
		return err
	})
	if err == nil {
		p.watchers.notify(of)
	}
	return err
}

func (p *planner) returnTarget(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (b queueState, old slipway.Deploy, retained bool, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		b, old, retained, err = readReturn(tx, of, number, by)
		return err
	})
	return b, old, retained, err
}

// readReturn reads what a return to a deploy is judged by.
func readReturn(tx *store.Tx, of slipway.DeploymentID, number int, by slipway.Actor) (b queueState, old slipway.Deploy, retained bool, err error) {
	if b, err = readQueue(tx, of, by); err != nil {
		return b, old, false, err
	}
	if old, err = tx.Deploy(of, number); err != nil {
		return b, old, false, err
	}
	retained, err = tx.Retained(of, old.After.Version)
	return b, old, retained, err
}

// queueState is what the files at the end of a queue are made of, read in one
// moment.
type queueState struct {
	now       slipway.Deployment
	role      slipway.Role
	projected slipway.Deployment
	queue     []slipway.Turn
	staged    map[slipway.DeployID][]byte // what the deploys in the queue bring
}

// readQueue reads the queue of a Deployment.
func readQueue(tx *store.Tx, of slipway.DeploymentID, by slipway.Actor) (b queueState, err error) {
	if b.now, b.role, err = tx.Deployment(of, by); err != nil {
		return b, err
	}
	if b.queue, err = tx.Queue(of); err != nil {
		return b, err
	}
	b.projected, b.staged = b.now.Tail(b.queue), map[slipway.DeployID][]byte{}
	for _, t := range b.queue {
		if t.Deploy == nil || t.Deploy.WentLive() || t.Deploy.ReturnTo != 0 {
			continue
		}
		if b.staged[t.Deploy.ID], err = tx.StagedFiles(t.Deploy.ID); err != nil {
			return b, err
		}
	}
	return b, nil
}

// makersQueue is readQueue for whoever began w, if they may still make it.
func makersQueue(tx *store.Tx, w slipway.Deploy) (queueState, error) {
	if err := lostAccess(tx, w); err != nil {
		return queueState{}, err
	}
	return readQueue(tx, w.Deployment, w.By)
}

// same reports whether the files at the end of the queue of now are those at the
// end of b's: nothing was queued in between, and what left the queue went live as
// was foreseen.
func (b queueState) same(now queueState) bool {
	gone := len(b.queue) - len(now.queue)
	if gone < 0 || !slices.EqualFunc(b.queue[gone:], now.queue, func(s, t slipway.Turn) bool { return s.Position() == t.Position() }) {
		return false
	}
	for gone < len(b.queue) && now.queue[0].Deploy != nil && now.queue[0].Deploy.WentLive() {
		gone, now.queue = gone+1, now.queue[1:]
	}
	return b.now.GuardAPI == now.now.GuardAPI && b.now.Tail(b.queue[:gone]).State == now.now.State
}

// before returns b with only what comes before w in its queue.
func (b queueState) before(w slipway.Deploy) queueState {
	i := slices.IndexFunc(b.queue, func(t slipway.Turn) bool { return t.Deploy != nil && t.Deploy.ID == w.ID })
	if i >= 0 {
		b.queue = b.queue[:i]
		b.projected = b.now.Tail(b.queue)
	}
	return b
}

// steps returns the deploys of b's queue that change the files, in order, from the
// last one on that replaces all of them. onTop says that there is none such: the
// steps are on top of the version that is wanted now.
func (b queueState) steps() (steps []slipway.Deploy, onTop bool) {
	onTop = true
	tail := b.now
	for _, t := range b.queue {
		before := tail
		tail = tail.Tail([]slipway.Turn{t})
		if t.Deploy == nil || t.Deploy.WentLive() || before.Takes(*t.Deploy) != nil {
			continue // what will be refused at its turn changes nothing
		}
		w := *t.Deploy
		if !before.Brings(w) && !(w.ReturnTo != 0 && w.After.Mounted) {
			continue
		}
		if w.ReturnTo != 0 || w.Merge != slipway.AddFiles {
			steps, onTop = nil, false
		}
		steps = append(steps, w)
	}
	return steps, onTop
}

// planReturn returns what the return w will do to the files at the end of the
// queue. Where the image carries the DAGs, the version stays.
func (p *planner) planReturn(b queueState, w slipway.Deploy) (slipway.Plan, error) {
	base, err := p.contents.projectedFiles(b)
	if err != nil {
		return slipway.Plan{}, err
	}
	files := base
	if w.After.Mounted {
		files, err = p.contents.filesOf(b.now.Namespace, w.After.Version)
	}
	plan := slipway.NewPlan(base, files)
	plan.NoDAGs = plan.NoDAGs && w.After.Mounted
	plan.ByHand = p.byHand(b.projected, w)
	return plan, err
}

// byHand reports whether w takes mounted DAGs of d away although nothing has its
// image run that carries others.
func (p *planner) byHand(d slipway.Deployment, w slipway.Deploy) bool {
	return d.Uncovers(w) && !d.AppliesImages(p.components.Components(d.ID), p.store.Now())
}

// review returns what is known without the files.
func (b queueState) review(w slipway.Deploy) Review {
	return Review{
		Deployment: b.now, Tail: b.projected, Role: b.role, Deploy: w, Base: b.projected.Version, NewBytes: w.Counts.NewBytes, was: b.projected.State,
	}
}

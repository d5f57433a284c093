package deploy

import (
	"context"

	"slipway/internal/archive"
	"slipway/internal/slipway"
	"slipway/store"
)

// Confirm queues a staged deploy. base is the version that its changes were
// read against, ticks what was confirmed beside it.
func (e *Engine) Confirm(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base slipway.Version, ticks slipway.Ticks) (slipway.Deploy, error) {
	return e.confirm(ctx, of, number, by, &base, attended(ticks))
}

// agreement judges the plan p of the deploy w. tail is the Deployment as it will
// be at the end of its queue; note is kept on the deploy.
type agreement func(tail slipway.Deployment, w slipway.Deploy, p slipway.Plan) (note string, err error)

// attended agrees to what a person has ticked.
func attended(ticks slipway.Ticks) agreement {
	return func(_ slipway.Deployment, _ slipway.Deploy, p slipway.Plan) (string, error) {
		return "", p.Check(ticks)
	}
}

// confirm queues a staged deploy if agree lets it pass. base is as for Confirm,
// nil for whichever is wanted at the end of the queue.
func (e *Engine) confirm(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base *slipway.Version, agree agreement) (queued slipway.Deploy, err error) {
	err = e.inTurn(ctx, of, func() error {
		queued, err = e.confirmOnce(ctx, of, number, by, base, agree)
		return err
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	e.wakers.wakeQueue(of)
	e.watchers.changed(of, queued.ID)
	return queued, nil
}

func (e *Engine) confirmOnce(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base *slipway.Version, agree agreement) (queued slipway.Deploy, err error) {
	b, w, staged, err := e.stagedDeploy(ctx, of, number, by)
	if err != nil {
		return queued, err
	}
	if _, err := b.tail.Confirm(w, b.role, by, versionOr(base, b.tail)); err != nil {
		return queued, err
	}
	plan, err := e.plan(b, w, staged)
	if err != nil {
		return queued, err
	}
	note, err := agree(b.tail, w, plan)
	if err != nil {
		return queued, err
	}
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		w, err := queueable(tx, b, number, by, base)
		if err != nil {
			return err
		}
		w.Counts, w.ByHand = counted(w.Counts, plan.Counts), plan.ByHand
		if note != "" {
			w.Note = note
		}
		if queued, err = tx.Enqueue(w); err != nil {
			return err
		}
		return audit(tx, by, b.now, "deploy.confirm", queued)
	})
	return queued, err
}

func versionOr(base *slipway.Version, tail slipway.Deployment) slipway.Version {
	if base == nil {
		return tail.Version
	}
	return *base
}

// queueable judges the deploy again in the transaction that queues it, and that
// nothing came in between since b was read.
func queueable(tx *store.Tx, b basis, number int, by slipway.Actor, base *slipway.Version) (w slipway.Deploy, err error) {
	d, role, err := tx.Deployment(b.now.ID, by)
	if err != nil {
		return w, err
	}
	queue, err := tx.Queue(d.ID)
	if err != nil {
		return w, err
	}
	if w, err = tx.Deploy(d.ID, number); err != nil {
		return w, err
	}
	tail := d.Tail(queue)
	if w, err = tail.Confirm(w, role, by, versionOr(base, tail)); err != nil {
		return w, err
	}
	if !b.same(basis{now: d, queue: queue}) {
		return w, errMoved
	}
	return w, nil
}

// stagedDeploy reads a deploy with what it brings and what it comes on top of.
func (e *Engine) stagedDeploy(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (b basis, w slipway.Deploy, staged []byte, err error) {
	err = e.store.View(ctx, func(tx *store.Tx) error {
		if b, err = basisOf(tx, of, by); err != nil {
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
func (e *Engine) plan(b basis, w slipway.Deploy, staged []byte) (slipway.Plan, error) {
	base, err := e.tailFiles(b)
	if err != nil {
		return slipway.Plan{}, err
	}
	if !b.tail.Brings(w) {
		plan := slipway.NewPlan(base, base)
		plan.NoDAGs, plan.NotAirflow, plan.ByHand = false, notAirflow(w), e.byHand(b.tail, w)
		return plan, nil
	}
	if w.Switch != nil && !b.tail.Mounted { // Airflow has had these DAGs from its image
		base = nil
	}
	brought, err := e.brought(w.ID, staged)
	if err != nil {
		return slipway.Plan{}, err
	}
	next := w.Merge.Apply(base, brought)
	plan := slipway.NewPlan(base, next)
	plan.NotAirflow = notAirflow(w)
	return plan, archive.Check(next, e.cfg.Limits)
}

// notAirflow names the image of w if nothing says that it is one of Airflow. On
// what runs already, people have decided.
func notAirflow(w slipway.Deploy) string {
	if w.Image == nil || w.Image.IsAirflow() || w.Switch != nil {
		return ""
	}
	return w.Image.Title()
}

// Describe sets the description of a deploy that is not confirmed yet.
func (e *Engine) Describe(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, description string) error {
	text, err := slipway.CheckDescription(description)
	if err != nil {
		return err
	}
	err = e.store.Update(ctx, func(tx *store.Tx) error {
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
		e.watchers.notify(of)
	}
	return err
}

// Cancel discards a deploy that is not confirmed yet, or calls one back that
// waits for its turn.
func (e *Engine) Cancel(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (w slipway.Deploy, err error) {
	var uploads []string
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		if w, err = tx.Deploy(of, number); err != nil {
			return err
		}
		if w, err = w.Cancel(role, by); err != nil {
			return err
		}
		if uploads, err = end(tx, w); err != nil {
			return err
		}
		return audit(tx, by, d, "deploy.cancel", w)
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	e.ended(w, uploads)
	return w, nil
}

// Return queues a deploy that brings back the state after deploy number. base
// and ticks are as for Confirm.
func (e *Engine) Return(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base slipway.Version, ticks slipway.Ticks, reason string) (slipway.Deploy, error) {
	return e.takeBack(ctx, of, number, by, &base, reason, attended(ticks))
}

// takeBack queues a return if agree lets it pass. base is as for confirm.
func (e *Engine) takeBack(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base *slipway.Version, reason string, agree agreement) (queued slipway.Deploy, err error) {
	if reason, err = slipway.CheckDescription(reason); err != nil {
		return queued, err
	}
	err = e.inTurn(ctx, of, func() error {
		queued, err = e.takeBackOnce(ctx, of, number, by, base, reason, agree)
		return err
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	e.wakers.wakeQueue(of)
	e.watchers.changed(of, queued.ID)
	return queued, nil
}

func (e *Engine) takeBackOnce(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base *slipway.Version, reason string, agree agreement) (queued slipway.Deploy, err error) {
	b, old, retained, err := e.oldDeploy(ctx, of, number, by)
	if err != nil {
		return queued, err
	}
	next, err := b.tail.Return(old, b.role, retained)
	if err != nil {
		return queued, err
	}
	if b.tail.Version != versionOr(base, b.tail) {
		return queued, slipway.ErrBaseChanged // before its ticks: they were for other changes
	}
	plan, err := e.planReturn(b, next)
	if err != nil {
		return queued, err
	}
	note, err := agree(b.tail, next, plan)
	if err != nil {
		return queued, err
	}
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		w, err := returnable(tx, b, number, by, base)
		if err != nil {
			return err
		}
		w.By, w.ConfirmedBy, w.Description, w.Note, w.Counts, w.ByHand = by, by, reason, note, plan.Counts, plan.ByHand
		if queued, err = tx.AddDeploy(w); err != nil {
			return err
		}
		return audit(tx, by, b.now, "deploy.return", queued)
	})
	return queued, err
}

// returnable judges a return in the transaction that queues it.
func returnable(tx *store.Tx, b basis, number int, by slipway.Actor, base *slipway.Version) (w slipway.Deploy, err error) {
	now, old, retained, err := returnBasis(tx, b.now.ID, number, by)
	if err != nil {
		return w, err
	}
	if w, err = now.tail.Return(old, now.role, retained); err != nil {
		return w, err
	}
	if err := by.Allows(w.Kind); err != nil {
		return w, err
	}
	if err := imageKept(tx, w); err != nil {
		return w, err
	}
	if now.tail.Version != versionOr(base, now.tail) {
		return w, slipway.ErrBaseChanged
	}
	if !b.same(now) {
		return w, errMoved
	}
	return w, nil
}

func (e *Engine) oldDeploy(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (b basis, old slipway.Deploy, retained bool, err error) {
	err = e.store.View(ctx, func(tx *store.Tx) error {
		b, old, retained, err = returnBasis(tx, of, number, by)
		return err
	})
	return b, old, retained, err
}

// returnBasis reads what a return to a deploy is judged by.
func returnBasis(tx *store.Tx, of slipway.DeploymentID, number int, by slipway.Actor) (b basis, old slipway.Deploy, retained bool, err error) {
	if b, err = basisOf(tx, of, by); err != nil {
		return b, old, false, err
	}
	if old, err = tx.Deploy(of, number); err != nil {
		return b, old, false, err
	}
	retained, err = tx.Retained(of, old.After.Version)
	return b, old, retained, err
}

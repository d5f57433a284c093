package deploy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"slipway/internal/slipway"
	"slipway/store"
)

// queue puts deploys, returns and switches into the queue of a Deployment.
type queue struct {
	*base
	endings  *endings
	planner  *planner
	queueing queueLocks
}

// Confirm queues a staged deploy. base is the version behind the changes on the
// person's page, and ticks are the person's confirmations.
func (q *queue) Confirm(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base slipway.Version, ticks slipway.Ticks) (slipway.Deploy, error) {
	return q.confirm(ctx, of, number, by, &base, attended(ticks))
}

// Return queues a deploy back to the state after deploy number. base and ticks
// are as for Confirm.
func (q *queue) Return(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base slipway.Version, ticks slipway.Ticks, reason string) (slipway.Deploy, error) {
	return q.returnTo(ctx, of, number, by, &base, reason, attended(ticks))
}

// agreement approves the plan of a deploy, or returns an error. projected is
// the Deployment after its queue; note is stored with the deploy.
type agreement func(projected slipway.Deployment, w slipway.Deploy, p slipway.Plan) (note string, err error)

// attended approves plans with the ticks of a person.
func attended(ticks slipway.Ticks) agreement {
	return func(_ slipway.Deployment, w slipway.Deploy, p slipway.Plan) (string, error) {
		if ticks.Review != w.ReviewTag() && (ticks.Review != "" || w.Landing != nil) {
			return "", slipway.ErrReviewChanged
		}
		return "", p.Check(ticks)
	}
}

// proposal is a deploy to be queued.
type proposal struct {
	state queueState
	w     slipway.Deploy
	plan  func() (slipway.Plan, error)
	// add checks the deploy once more in the transaction, and queues the
	// deploy.
	add func(*store.Tx, slipway.Plan, string) (slipway.Deploy, error)
}

// decide plans a deploy, asks agree, and queues the deploy if the queue has not
// changed meanwhile; else decide starts anew. action is the name in the audit log.
func (q *queue) decide(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, action string, agree agreement, propose func() (proposal, error)) (queued slipway.Deploy, err error) {
	err = q.inTurn(ctx, of, func() error {
		p, err := propose()
		if err != nil {
			return err
		}
		plan, err := p.plan()
		if err != nil {
			return err
		}
		note, err := agree(p.state.projected, p.w, plan)
		if err != nil {
			return err
		}
		return q.store.Update(ctx, func(tx *store.Tx) error {
			if queued, err = p.add(tx, plan, note); err != nil {
				return err
			}
			return audit(tx, by, p.state.now, action, queued)
		})
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	q.wakers.wakeQueue(of)
	q.watchers.changed(of, queued.ID)
	return queued, nil
}

// confirm queues a staged deploy after agree approved the plan. A nil base is
// the version at the end of the queue.
func (q *queue) confirm(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base *slipway.Version, agree agreement) (slipway.Deploy, error) {
	var uploads []string
	queued, err := q.decide(ctx, of, by, "deploy.confirm", agree, func() (p proposal, err error) {
		s, stored, staged, err := readStaged(ctx, q.store, of, number, by)
		if err != nil {
			return p, err
		}
		w := q.planner.contents.relanded(s, stored, staged)
		if _, err := s.projected.Confirm(w, s.role, by, versionOr(base, s.projected)); err != nil {
			return p, err
		}
		p = proposal{state: s, w: w, plan: func() (slipway.Plan, error) { return q.planner.plan(ctx, s, w, staged) }}
		p.add = func(tx *store.Tx, plan slipway.Plan, note string) (slipway.Deploy, error) {
			w, err := queueable(tx, s, stored, w.Landing, by, base)
			if err != nil {
				return w, err
			}
			w.Counts, w.ByHand = counted(w.Counts, plan.Counts), plan.ByHand
			w.Note = strings.TrimSpace(note + " " + w.Note)
			if uploads, err = dropUploads(tx, w); err != nil {
				return w, err
			}
			return tx.Enqueue(w)
		}
		return p, nil
	})
	if err == nil {
		q.endings.uploadFiles.ledger.End(queued.ID)
		for _, id := range uploads { // an archive with a choice of folders
			q.endings.uploadFiles.removeUpload(id)
		}
	}
	return queued, err
}

func versionOr(base *slipway.Version, projected slipway.Deployment) slipway.Version {
	if base == nil {
		return projected.Version
	}
	return *base
}

// queueable checks the deploy again in the transaction of queueing, and returns it with
// the places of the plan. After a change since b and planned were read, of the queue or of
// the deploy, queueable returns errQueueChanged.
func queueable(tx *store.Tx, b queueState, planned slipway.Deploy, places *slipway.Landings, by slipway.Actor, base *slipway.Version) (w slipway.Deploy, err error) {
	d, role, err := tx.Deployment(b.now.ID, by)
	if err != nil {
		return w, err
	}
	queue, err := tx.Queue(d.ID)
	if err != nil {
		return w, err
	}
	if w, err = tx.Deploy(d.ID, planned.Number); err != nil {
		return w, err
	}
	if w.ReviewTag() != planned.ReviewTag() {
		return w, errQueueChanged
	}
	w.Landing = places
	projected := d.Projected(queue)
	if w, err = projected.Confirm(w, role, by, versionOr(base, projected)); err != nil {
		return w, err
	}
	if !b.same(queueState{now: d, queue: queue}) {
		return w, errQueueChanged
	}
	return w, nil
}

// notAirflow names the image of w unless the image is recognized as Airflow.
// The image of a switch runs already, so notAirflow returns "".
func notAirflow(w slipway.Deploy) string {
	if w.Image == nil || w.Image.IsAirflow() || w.Purpose() == slipway.ForSwitch {
		return ""
	}
	return w.Image.Title()
}

// Cancel cancels a deploy that is not live yet: one before confirmation, or one
// in the queue.
func (q *queue) Cancel(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (w slipway.Deploy, err error) {
	var uploads []string
	err = q.store.Update(ctx, func(tx *store.Tx) error {
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
		if uploads, err = saveEnded(tx, w); err != nil {
			return err
		}
		return audit(tx, by, d, "deploy.cancel", w)
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	q.endings.cleanUp(w, uploads)
	return w, nil
}

// returnTo queues a return after agree approved the plan. base is as for
// confirm.
func (q *queue) returnTo(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base *slipway.Version, reason string, agree agreement) (queued slipway.Deploy, err error) {
	if reason, err = slipway.CheckDescription(reason); err != nil {
		return queued, err
	}
	return q.decide(ctx, of, by, "deploy.return", agree, func() (p proposal, err error) {
		s, old, retained, err := q.planner.returnTarget(ctx, of, number, by)
		if err != nil {
			return p, err
		}
		next, err := s.projected.Return(old, s.role, retained)
		if err == nil {
			err = by.Reaches(next)
		}
		if err != nil {
			return p, err
		}
		if s.projected.Version != versionOr(base, s.projected) {
			return p, slipway.ErrBaseChanged // before the ticks: the ticks were for other changes
		}
		p = proposal{state: s, w: next, plan: func() (slipway.Plan, error) { return q.planner.planReturn(ctx, s, next) }}
		p.add = func(tx *store.Tx, plan slipway.Plan, note string) (slipway.Deploy, error) {
			w, err := returnable(tx, s, number, by, base)
			if err != nil {
				return w, err
			}
			w.By, w.ConfirmedBy, w.Description, w.Note, w.Counts, w.ByHand = by, by, reason, note, plan.Counts, plan.ByHand
			return tx.AddDeploy(w)
		}
		return p, nil
	})
}

// returnable checks a return again in the transaction of queueing.
func returnable(tx *store.Tx, b queueState, number int, by slipway.Actor, base *slipway.Version) (w slipway.Deploy, err error) {
	now, old, retained, err := readReturn(tx, b.now.ID, number, by)
	if err != nil {
		return w, err
	}
	if w, err = now.projected.Return(old, now.role, retained); err != nil {
		return w, err
	}
	if err := by.Allows(w.Kind); err != nil {
		return w, err
	}
	if err := imageRetained(tx, w); err != nil {
		return w, err
	}
	if now.projected.Version != versionOr(base, now.projected) {
		return w, slipway.ErrBaseChanged
	}
	if !b.same(now) {
		return w, errQueueChanged
	}
	return w, nil
}

// queueLocks admit one request at a time to the queue of a Deployment. A plan
// is made before the transaction of queueing, and holds only while no other
// deploy is queued. Without the lock, all but one of many requests would have
// to plan again, time and again.
type queueLocks struct {
	mu      sync.Mutex
	waiting map[slipway.DeploymentID][]waiter // in the order of the requests; the first holds the lock
}

// waiter is a place in a line; closed when the request holds the lock.
type waiter chan struct{}

// take waits for the lock, in the order of the calls, or until ctx ends.
func (l *queueLocks) take(ctx context.Context, of slipway.DeploymentID) (release func(), err error) {
	mine := l.enter(of)
	select {
	case <-mine:
		return func() { l.leave(of, mine) }, nil
	case <-ctx.Done():
		l.leave(of, mine)
		return nil, ctx.Err()
	}
}

func (l *queueLocks) enter(of slipway.DeploymentID) waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = map[slipway.DeploymentID][]waiter{}
	}
	mine := make(waiter)
	if len(l.waiting[of]) == 0 {
		close(mine)
	}
	l.waiting[of] = append(l.waiting[of], mine)
	return mine
}

// leave gives a place up. From the first place, the lock goes to the next
// request.
func (l *queueLocks) leave(of slipway.DeploymentID, mine waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.waiting[of], mine)
	l.waiting[of] = slices.Delete(l.waiting[of], at, at+1)
	switch {
	case len(l.waiting[of]) == 0:
		delete(l.waiting, of)
	case at == 0:
		close(l.waiting[of][0])
	}
}

// errQueueChanged is the error for a queue that changed while a plan was made.
var errQueueChanged = errors.New("the queue has changed")

// planTries is the largest number of plans for one request. Other requests to
// queue a deploy wait meanwhile. Deploys that fail or are cancelled, and
// switches, can still change the queue.
const planTries = 20

// errQueueUnstable is the refusal after planTries plans. Nothing was queued.
var errQueueUnstable = &slipway.Error{Kind: slipway.Conflict, Text: "The queue of this Deployment kept changing while this deploy was checked, so it was not queued. Deploy or confirm it again."}

// inTurn waits for the request's turn and calls try, to plan and to queue in a
// transaction. While the queue changes in between, inTurn calls try again.
func (q *queue) inTurn(ctx context.Context, of slipway.DeploymentID, try func() error) error {
	release, err := q.queueing.take(ctx, of)
	if err != nil {
		return err
	}
	defer release()
	for range planTries {
		if err := try(); !errors.Is(err, errQueueChanged) {
			return err
		}
	}
	return errQueueUnstable
}

// Switch turns DAG-only deploys on or off: at once with an empty queue,
// otherwise after the queue. projectAtHand is the tick for having the project's
// latest version at hand.
func (q *queue) Switch(ctx context.Context, of slipway.DeploymentID, on bool, by slipway.Actor, projectAtHand bool) (waits bool, err error) {
	err = q.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		queue, err := tx.Queue(of)
		if err != nil {
			return err
		}
		if err := d.Projected(queue).SwitchTo(on, role, projectAtHand); err != nil {
			return err
		}
		s, err := tx.AddSwitch(slipway.SwitchOrder{Deployment: of, On: on, By: by})
		if err != nil {
			return err
		}
		err = tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "switch.order", Target: d.Name, Detail: slipway.OnOff(on)})
		if waits = len(queue) > 0; err != nil || waits {
			return err
		}
		_, err = applySwitch(tx, d, s)
		return err
	})
	if err != nil {
		return false, err
	}
	q.wakers.wakeQueue(of)
	q.watchers.notify(of)
	return waits, nil
}

// CancelSwitch cancels a waiting switch.
func (q *queue) CancelSwitch(ctx context.Context, of slipway.DeploymentID, id int64, by slipway.Actor) error {
	err := q.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		if err := role.May(slipway.Switch); err != nil {
			return err
		}
		if err := tx.CancelSwitch(of, id); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "switch.cancel", Target: d.Name})
	})
	if err == nil {
		q.watchers.notify(of)
	}
	return err
}

package deploy

import (
	"context"
	"errors"
	"slices"
	"sync"

	"slipway/internal/slipway"
)

// queueLocks let one request at a time queue a deploy of a Deployment. What a
// deploy will do is found out before the transaction that queues it, and holds
// only as long as nothing else is queued in between: without the lock, of many
// requests at once all but one would have to begin anew, time and again.
type queueLocks struct {
	mu    sync.Mutex
	lines map[slipway.DeploymentID][]turn // in the order of the requests; the first holds the lock
}

// turn is a request's place in a line. It is closed when the lock is the
// request's.
type turn chan struct{}

// take waits until it is the request's turn, which comes in the order of the
// calls, or until ctx ends.
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

func (l *queueLocks) enter(of slipway.DeploymentID) turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == nil {
		l.lines = map[slipway.DeploymentID][]turn{}
	}
	mine := make(turn)
	if len(l.lines[of]) == 0 {
		close(mine)
	}
	l.lines[of] = append(l.lines[of], mine)
	return mine
}

// leave gives a place up. If it was the first, the lock is the next one's.
func (l *queueLocks) leave(of slipway.DeploymentID, mine turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.lines[of], mine)
	l.lines[of] = slices.Delete(l.lines[of], at, at+1)
	switch {
	case len(l.lines[of]) == 0:
		delete(l.lines, of)
	case at == 0:
		close(l.lines[of][0])
	}
}

// errMoved says that the queue changed while a plan was made against it.
var errMoved = errors.New("the queue has changed")

// planTries is how often a plan is made anew. Other requests that queue a deploy
// are held back meanwhile; what still comes in between are deploys that fail or
// are cancelled, and switches.
const planTries = 20

// errCrowded is for a request whose every plan was overtaken. It has queued
// nothing.
var errCrowded = &slipway.Error{Kind: slipway.Conflict, Text: "The queue of this Deployment kept changing while this deploy was checked, so it was not queued. Deploy or confirm it again."}

// inTurn calls try, which plans and then queues in a transaction, when it is the
// request's turn, and again while the queue changes in between.
func (e *Engine) inTurn(ctx context.Context, of slipway.DeploymentID, try func() error) error {
	release, err := e.queueing.take(ctx, of)
	if err != nil {
		return err
	}
	defer release()
	for range planTries {
		if err := try(); !errors.Is(err, errMoved) {
			return err
		}
	}
	return errCrowded
}

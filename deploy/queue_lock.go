package deploy

import (
	"context"
	"errors"
	"sync"

	"slipway"
)

// queueLocks let one request at a time queue a deploy of a Deployment. What a
// deploy will do is found out before the transaction that queues it, and holds
// only as long as nothing else is queued in between: without the lock, of many
// requests at once all but one would have to begin anew, time and again.
type queueLocks struct {
	mu  sync.Mutex
	all map[slipway.DeploymentID]*queueLock
}

type queueLock struct {
	held  chan struct{} // has a token while a request holds the lock
	users int           // requests that hold it or wait for it
}

// take waits until it is the request's turn, which comes in the order of the
// calls, or until ctx ends.
func (l *queueLocks) take(ctx context.Context, of slipway.DeploymentID) (release func(), err error) {
	lock := l.enter(of)
	select {
	case lock.held <- struct{}{}: // Go lets those who wait for a channel go on in their order
	case <-ctx.Done():
		l.leave(of)
		return nil, ctx.Err()
	}
	return func() {
		<-lock.held
		l.leave(of)
	}, nil
}

func (l *queueLocks) enter(of slipway.DeploymentID) *queueLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[slipway.DeploymentID]*queueLock{}
	}
	if l.all[of] == nil {
		l.all[of] = &queueLock{held: make(chan struct{}, 1)}
	}
	l.all[of].users++
	return l.all[of]
}

func (l *queueLocks) leave(of slipway.DeploymentID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[of].users--; l.all[of].users == 0 {
		delete(l.all, of)
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

package deploy

import (
	"context"
	"sync"

	"slipway/internal/slipway"
)

// ErrMoved has InTurn call try again.
var ErrMoved = errQueueChanged

// InTurn calls try as whoever queues a deploy does.
func (e *Engine) InTurn(ctx context.Context, of slipway.DeploymentID, try func() error) error {
	return e.inTurn(ctx, of, try)
}

// ConfirmWhile is Confirm, with something that happens once between the plan and its
// transaction.
func (e *Engine) ConfirmWhile(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base slipway.Version, ticks slipway.Ticks, between func()) (slipway.Deploy, error) {
	once := sync.OnceFunc(between)
	return e.confirm(ctx, of, number, by, &base, func(projected slipway.Deployment, w slipway.Deploy, p slipway.Plan) (string, error) {
		note, err := attended(ticks)(projected, w, p)
		once()
		return note, err
	})
}

// InLine returns how many requests hold the lock of a Deployment's queue or wait
// for it.
func (e *Engine) InLine(of slipway.DeploymentID) int {
	e.queueing.mu.Lock()
	defer e.queueing.mu.Unlock()
	return len(e.queueing.waiting[of])
}

// Watching returns how many wait to be told of changes.
func (e *Engine) Watching() int {
	e.watchers.mu.Lock()
	defer e.watchers.mu.Unlock()
	return len(e.watchers.all)
}

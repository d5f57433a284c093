package deploy

import (
	"context"

	"slipway/internal/slipway"
)

// ErrMoved has InTurn call try again.
var ErrMoved = errQueueChanged

// InTurn calls try as whoever queues a deploy does.
func (e *Engine) InTurn(ctx context.Context, of slipway.DeploymentID, try func() error) error {
	return e.inTurn(ctx, of, try)
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

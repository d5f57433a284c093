package deploy

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// room is what runs in the background for one Deployment.
type room struct {
	stop   context.CancelFunc
	wg     sync.WaitGroup
	staged signal // there may be something to stage, or packs to drop
	queued signal // the queue may have a turn to take
	stored signal // there may be packs to merge
}

// signal wakes a loop: however often it is set meanwhile, once more.
type signal chan struct{}

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// open starts what runs for d. The caller holds e.mu.
func (e *Engine) open(d slipway.Deployment) {
	if e.ctx == nil || e.ctx.Err() != nil || e.rooms[d.ID] != nil {
		return
	}
	ctx, stop := context.WithCancel(e.ctx)
	r := &room{stop: stop, staged: make(signal, 1), queued: make(signal, 1), stored: make(signal, 1)}
	e.rooms[d.ID] = r
	r.staged.set()
	r.queued.set()
	r.stored.set()
	r.wg.Go(func() { e.loop(ctx, d, "stage", r.staged, e.stageAll) })
	r.wg.Go(func() { e.loop(ctx, d, "publish", r.queued, e.publishAll) })
	r.wg.Go(func() { e.loop(ctx, d, "merge", r.stored, e.mergePacks) })
	if d.Here {
		r.wg.Go(func() { e.keepMounting(ctx, d, e.mount) })
	}
}

// loop does the work of d each time that s is set, one after the other, until
// ctx ends.
func (e *Engine) loop(ctx context.Context, d slipway.Deployment, what string, s signal, work func(context.Context, slipway.DeploymentID) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s:
		}
		if err := work(ctx, d.ID); err != nil && ctx.Err() == nil {
			e.log.Error(what, slog.String("deployment", d.Namespace), slog.Any("error", err))
			time.AfterFunc(retryAfter, s.set)
		}
	}
}

// keepMounting runs mount for d, again if it gives up.
func (e *Engine) keepMounting(ctx context.Context, d slipway.Deployment, mount Runner) {
	for ctx.Err() == nil {
		err := mount(ctx, d, e.MountDir(d), e.Portal(d))
		if ctx.Err() != nil {
			return
		}
		e.log.Error("mount", slog.String("deployment", d.Namespace), slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

// pokeStage and pokeQueue wake a Deployment's loops. While Run does not run
// there is nothing to wake: it begins by looking itself.
func (e *Engine) pokeStage(of slipway.DeploymentID) {
	if r := e.room(of); r != nil {
		r.staged.set()
	}
}

func (e *Engine) pokeQueue(of slipway.DeploymentID) {
	if r := e.room(of); r != nil {
		r.queued.set()
	}
}

func (e *Engine) room(of slipway.DeploymentID) *room {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rooms[of]
}

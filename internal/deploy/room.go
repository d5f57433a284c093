package deploy

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// worker is everything in the background for one Deployment.
type worker struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// open starts what runs for d. The caller holds e.mu.
func (e *Engine) open(d slipway.Deployment) {
	if e.ctx == nil || e.ctx.Err() != nil || e.running[d.ID] != nil {
		return
	}
	ctx, stop := context.WithCancel(e.ctx)
	r := &worker{stop: stop}
	e.running[d.ID] = r
	wake := e.wakers.add(d.ID)
	r.wg.Go(func() { e.loop(ctx, d, "stage", wake.stage, e.stageAll) })
	r.wg.Go(func() { e.loop(ctx, d, "publish", wake.queue, e.publishAll) })
	r.wg.Go(func() { e.loop(ctx, d, "merge", wake.merge, e.mergePacks) })
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

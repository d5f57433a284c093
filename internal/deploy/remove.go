package deploy

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// close ends what runs for d and has d removed. Without a running engine, the
// next start removes it.
func (e *Engine) close(d slipway.Deployment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.running[d.ID]
	delete(e.running, d.ID)
	e.wakers.remove(d.ID)
	if e.ctx == nil || e.ctx.Err() != nil || r == nil {
		return
	}
	r.stop()
	ctx := e.ctx
	e.wg.Go(func() {
		r.wg.Wait()
		e.remove(ctx, d)
	})
}

// remove deletes all that belongs to d, which is marked as deleted, and tries
// again until it succeeds or ctx ends.
func (e *Engine) remove(ctx context.Context, d slipway.Deployment) {
	for ctx.Err() == nil {
		err := e.removeOnce(ctx, d)
		if err == nil || ctx.Err() != nil {
			return
		}
		e.log.Error("remove", slog.String("deployment", d.Namespace), slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

func (e *Engine) removeOnce(ctx context.Context, d slipway.Deployment) error {
	var uploads []store.Upload
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		uploads, err = tx.UploadsOf(d.ID)
		return err
	})
	if err != nil {
		return err
	}
	for _, u := range uploads {
		e.removeUpload(u.ID)
	}
	e.live.forget(d.ID)
	if err := e.waitLeases(ctx); err != nil {
		return err
	}
	if err := durable.RemoveTree(e.MountDir(d)); err != nil {
		return fmt.Errorf("remove mount: %w", err)
	}
	if err := e.bundles.DropNamespace(d.Namespace); err != nil {
		return fmt.Errorf("remove bundles: %w", err)
	}
	if err := e.cfg.Images.Drop(ctx, d.Namespace); err != nil {
		return fmt.Errorf("remove images: %w", err)
	}
	return e.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveDeployment(d.ID) })
}

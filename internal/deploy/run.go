package deploy

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// Runner mounts what is wanted of one Deployment on this machine until ctx
// ends.
type Runner func(ctx context.Context, d slipway.Deployment, dir string, p *LocalPortal) error

const (
	sweepEvery = time.Hour
	retryAfter = 5 * time.Second // what failed on our side
)

// Run works queues off, stages uploads and has mount run for each Deployment
// on this machine. It goes on with what was cut off before. It returns once ctx
// is done and what must not be cut off has finished.
func (e *Engine) Run(ctx context.Context, mount Runner) error {
	switch err := e.start(ctx, mount); {
	case err != nil && ctx.Err() != nil:
		return nil // told to stop before it began
	case err != nil:
		return err
	}
	defer e.finish()
	e.wg.Go(func() { e.keepRetaining(ctx) })
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := e.sweep(ctx); err != nil && ctx.Err() == nil {
			e.log.Error("sweep", slog.Any("error", err))
		}
	}
}

// start opens a room for each Deployment and has the deleted ones removed.
func (e *Engine) start(ctx context.Context, mount Runner) error {
	e.mu.Lock() // so that what is deleted now is among deleted, or finds its room
	defer e.mu.Unlock()
	var all, deleted []slipway.Deployment
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		if all, err = tx.AllDeployments(); err != nil {
			return err
		}
		deleted, err = tx.DeletedDeployments()
		return err
	})
	if err != nil {
		return err
	}
	e.ctx, e.mount = ctx, mount
	for _, d := range all {
		e.open(d)
	}
	for _, d := range deleted {
		e.wg.Go(func() { e.remove(ctx, d) })
	}
	return nil
}

// finish waits for everything that runs in the background.
func (e *Engine) finish() {
	e.mu.Lock()
	rooms := e.running
	e.running = map[slipway.DeploymentID]*worker{} // none opens any more, as the context has ended
	e.mu.Unlock()
	for _, r := range rooms {
		r.stop()
		r.wg.Wait()
	}
	e.wg.Wait()
}

// sweep fails the deploys that nobody finished in time.
func (e *Engine) sweep(ctx context.Context) error {
	var late []slipway.Deploy
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		late, err = e.expired(tx)
		return err
	})
	for _, w := range late {
		err = errors.Join(err, e.giveUp(ctx, w, e.expiry)) // somebody may have confirmed it by now
	}
	return err
}

// expired returns the deploys to give up now.
func (e *Engine) expired(tx *store.Tx) ([]slipway.Deploy, error) {
	all, err := tx.Unfinished()
	if err != nil {
		return nil, err
	}
	var late []slipway.Deploy
	for _, w := range all {
		switch reason, err := e.expiry(tx, w); {
		case err != nil:
			return nil, err
		case reason != "":
			late = append(late, w)
		}
	}
	return late, nil
}

// expiry says why w is given up now; "" while it may still be finished.
func (e *Engine) expiry(tx *store.Tx, w slipway.Deploy) (string, error) {
	uploads, err := tx.UploadsFor(w.ID)
	if err != nil || slices.ContainsFunc(uploads, func(u store.Upload) bool { return e.arriving.busy(u.ID) }) {
		return "", err
	}
	last := w.UploadedAt
	if last.IsZero() {
		last = w.CreatedAt
	}
	for _, u := range uploads {
		if u.TouchedAt.After(last) {
			last = u.TouchedAt
		}
	}
	return w.Expired(last, tx.Now), nil
}

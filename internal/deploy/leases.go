package deploy

import (
	"context"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// releaseEnded forgets the packs of a Deployment that no deploy needs any
// more. While somebody holds a lease, or the records are older than the packs,
// that has to wait.
func (e *Engine) releaseEnded(tx *store.Tx, of slipway.DeploymentID) (unused []string, err error) {
	leased, err := tx.Leased()
	if err != nil {
		return nil, err
	}
	if leased {
		time.AfterFunc(store.LeaseLife, func() { e.wakers.wakeStage(of) })
		return nil, nil
	}
	if held, err := tx.Held(); err != nil || held {
		return nil, err
	}
	return tx.DropUnusedPacks(of)
}

// waitLeases returns once nobody holds a lease. What is marked as deleted by
// then, later leases do not cover.
func (e *Engine) waitLeases(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		leased := false
		err := e.store.View(ctx, func(tx *store.Tx) (err error) {
			leased, err = tx.Leased()
			return err
		})
		if err != nil || !leased {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

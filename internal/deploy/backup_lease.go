package deploy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// A lease runs out by itself when its holder is gone; until then it is
// prolonged in good time.
const (
	leaseLife  = 2 * time.Minute
	leaseRenew = 20 * time.Second
)

// withLease runs fn while nothing that a record names is removed.
func withLease(ctx context.Context, st *store.Store, holder string, fn func(context.Context) error) error {
	var id string
	err := st.Update(ctx, func(tx *store.Tx) (err error) {
		id, err = tx.TakeLease(holder, leaseLife)
		return err
	})
	if err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	inner, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { renewLease(inner, st, id, cancel) })
	err = fn(inner)
	if lost := context.Cause(inner); lost != nil && ctx.Err() == nil {
		err = lost
	}
	cancel(nil)
	renewing.Wait()
	// Given back or not, it runs out.
	_ = st.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.EndLease(id) })
	return err
}

// renewLease prolongs a lease until ctx ends. If that fails, it ends ctx.
func renewLease(ctx context.Context, st *store.Store, id string, lost context.CancelCauseFunc) {
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := st.Update(ctx, func(tx *store.Tx) error { return tx.RenewLease(id, leaseLife) })
		if err != nil {
			lost(fmt.Errorf("renew the lease: %w", err))
			return
		}
	}
}

// releaseEnded forgets the packs of a Deployment that no deploy needs any
// more. While somebody holds a lease, or the records are older than the packs,
// that has to wait.
func (e *Engine) releaseEnded(tx *store.Tx, of slipway.DeploymentID) (unused []string, err error) {
	leased, err := tx.Leased()
	if err != nil {
		return nil, err
	}
	if leased {
		time.AfterFunc(leaseLife, func() { e.pokeStage(of) })
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

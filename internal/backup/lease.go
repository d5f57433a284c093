package backup

import (
	"context"
	"fmt"
	"sync"
	"time"

	"slipway/store"
)

// leaseRenew is the time between two renewals of a lease, which expires after
// store.LeaseLife unless renewed.
const leaseRenew = 20 * time.Second

// withLease runs fn under a lease, which keeps every recorded file in place.
func withLease(ctx context.Context, st *store.Store, holder string, fn func(context.Context) error) error {
	var id string
	err := st.Update(ctx, func(tx *store.Tx) (err error) {
		id, err = tx.TakeLease(holder, store.LeaseLife)
		return err
	})
	if err != nil {
		return fmt.Errorf("take a lease: %w", err)
	}
	inner, cancel := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { renewLease(inner, st, id, cancel) })
	err = fn(inner)
	if cause := context.Cause(inner); cause != nil && ctx.Err() == nil {
		err = cause
	}
	cancel(nil)
	renewing.Wait()
	// A lease that could not be released expires.
	_ = st.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.EndLease(id) })
	return err
}

// renewLease renews a lease until ctx ends, and calls failed after a renewal
// that failed.
func renewLease(ctx context.Context, st *store.Store, id string, failed context.CancelCauseFunc) {
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := st.Update(ctx, func(tx *store.Tx) error { return tx.RenewLease(id, store.LeaseLife) })
		if err != nil {
			failed(fmt.Errorf("renew the lease: %w", err))
			return
		}
	}
}

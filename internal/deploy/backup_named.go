package deploy

import (
	"context"
	"iter"
	"math"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// named is a file that a record names: the manifest of a version, or a pack.
type named struct {
	of      slipway.Deployment
	version store.BundleVersion // zero for a pack
	pack    store.Pack
}

// pageRows is how many rows are read in one short transaction.
const pageRows = 500

// ever is later than the time of any record.
var ever = time.UnixMilli(math.MaxInt64)

// allNamed yields what the records of every Deployment name: those that stood
// at a time.
func allNamed(ctx context.Context, st *store.Store, until time.Time) iter.Seq2[named, error] {
	return func(yield func(named, error) bool) {
		all, err := deploymentsOf(ctx, st)
		if err != nil {
			yield(named{}, err)
			return
		}
		for _, d := range all {
			for v, err := range versionsOf(ctx, st, d.ID, until) {
				if !yield(named{of: d, version: v}, err) {
					return
				}
			}
			for p, err := range packsIn(ctx, st, d.ID, until) {
				if !yield(named{of: d, pack: p}, err) {
					return
				}
			}
		}
	}
}

func deploymentsOf(ctx context.Context, st *store.Store) (all []slipway.Deployment, err error) {
	err = st.View(ctx, func(tx *store.Tx) error {
		all, err = tx.AllDeployments()
		return err
	})
	return all, err
}

// versionsOf yields the versions of a Deployment, by name.
func versionsOf(ctx context.Context, st *store.Store, of slipway.DeploymentID, until time.Time) iter.Seq2[store.BundleVersion, error] {
	return paged(ctx, st, func(tx *store.Tx, last store.BundleVersion) ([]store.BundleVersion, error) {
		return tx.VersionsAfter(of, last.Version, until, pageRows)
	})
}

// packsIn yields the packs of a Deployment, by sha256.
func packsIn(ctx context.Context, st *store.Store, of slipway.DeploymentID, until time.Time) iter.Seq2[store.Pack, error] {
	return paged(ctx, st, func(tx *store.Tx, last store.Pack) ([]store.Pack, error) {
		return tx.PacksAfter(of, last.SHA256, until, pageRows)
	})
}

// paged yields what next returns after the last one, until it returns nothing.
func paged[T any](ctx context.Context, st *store.Store, next func(tx *store.Tx, last T) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last T
		for {
			var page []T
			err := st.View(ctx, func(tx *store.Tx) (err error) {
				page, err = next(tx, last)
				return err
			})
			if err != nil {
				yield(last, err)
				return
			}
			for _, last = range page {
				if !yield(last, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

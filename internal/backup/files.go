package backup

import (
	"context"
	"fmt"
	"iter"
	"math"
	"path"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
)

// storedFile is a recorded file: the manifest of a version, or a pack.
type storedFile struct {
	of      slipway.Deployment
	version store.BundleVersion // zero for a pack
	pack    store.Pack
}

// open opens the file in the data folder or the bucket.
func (n storedFile) open(bundles *bundle.Store) (bundle.File, error) {
	if n.pack.SHA256 == "" {
		return bundles.OpenManifest(context.Background(), n.of.Namespace, n.version.Version)
	}
	return bundles.OpenPack(n.of.Namespace, n.pack.SHA256)
}

// path is the file's slash-separated path in a data folder and in a backup.
func (n storedFile) path() string {
	if n.pack.SHA256 == "" {
		return path.Join(datadir.Bundles, n.of.Namespace, n.version.Version.Dir()+".json.zst")
	}
	return path.Join(datadir.Packs, n.of.Namespace, n.pack.SHA256+".tar.zst")
}

// title names the file at the start of a sentence.
func (n storedFile) title() string {
	if n.pack.SHA256 == "" {
		return fmt.Sprintf("The manifest of version %s of %s (%s)", n.version.Version, n.of.Name, n.of.Namespace)
	}
	return fmt.Sprintf("The pack %s of %s (%s)", n.pack.SHA256, n.of.Name, n.of.Namespace)
}

// pageRows is the number of rows read in one short transaction.
const pageRows = 500

// ever is later than any record's time.
var ever = time.UnixMilli(math.MaxInt64)

// storedFiles yields the files of every Deployment that were recorded at until.
func storedFiles(ctx context.Context, st *store.Store, until time.Time) iter.Seq2[storedFile, error] {
	return func(yield func(storedFile, error) bool) {
		all, err := deploymentsOf(ctx, st)
		if err != nil {
			yield(storedFile{}, err)
			return
		}
		for _, d := range all {
			for v, err := range versionsOf(ctx, st, d.ID, until) {
				if !yield(storedFile{of: d, version: v}, err) {
					return
				}
			}
			for p, err := range packsIn(ctx, st, d.ID, until) {
				if !yield(storedFile{of: d, pack: p}, err) {
					return
				}
			}
		}
	}
}

// deploymentsOf returns all Deployments except deleted ones.
func deploymentsOf(ctx context.Context, st *store.Store) (all []slipway.Deployment, err error) {
	err = st.View(ctx, func(tx *store.Tx) error {
		all, err = tx.AllDeployments()
		return err
	})
	return all, err
}

// versionsOf yields the versions of a Deployment recorded at until, by name.
func versionsOf(ctx context.Context, st *store.Store, of slipway.DeploymentID, until time.Time) iter.Seq2[store.BundleVersion, error] {
	return paged(ctx, st, func(tx *store.Tx, last store.BundleVersion) ([]store.BundleVersion, error) {
		return tx.VersionsAfter(of, last.Version, until, pageRows)
	})
}

// packsIn yields the packs of a Deployment recorded at until, by sha256.
func packsIn(ctx context.Context, st *store.Store, of slipway.DeploymentID, until time.Time) iter.Seq2[store.Pack, error] {
	return paged(ctx, st, func(tx *store.Tx, last store.Pack) ([]store.Pack, error) {
		return tx.PacksAfter(of, last.SHA256, until, pageRows)
	})
}

// paged yields rows page by page: next returns the page after the row last.
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

package deploy

import (
	"context"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// addBucket adds which bucket holds what the records in st name, having made
// sure that it does.
func (b *backup) addBucket(st *store.Store) (versions, packs int, err error) {
	f, err := b.bundles.OpenBucketFile()
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	if _, err := b.add(bundle.BucketFile, f); err != nil {
		return 0, 0, err
	}
	return inBucket(b.ctx, st, b.bundles)
}

// inBucket counts what records in st name, and returns an error unless all of it
// is in the bucket, packs in full length.
func inBucket(ctx context.Context, st *store.Store, bundles *bundle.Store) (versions, packs int, err error) {
	var has listing
	for n, err := range allNamed(ctx, st, ever) {
		if err == nil && n.of.Namespace != has.ns {
			has, err = list(bundles, n.of.Namespace)
		}
		switch {
		case err != nil:
			return 0, 0, err
		case !has.all(n):
			return 0, 0, slipway.Errorf(slipway.Invalid, "%s is missing or cut off in the bucket %s. slipway fsck says what else is damaged.", n.title(), bundles.Bucket())
		case n.pack.SHA256 == "":
			versions++
		default:
			packs++
		}
	}
	return versions, packs, nil
}

// listing is what there is of a namespace.
type listing struct {
	ns       string
	versions map[slipway.Version]bool
	packs    map[string]int64 // size by sha256
}

func list(bundles *bundle.Store, ns string) (listing, error) {
	l := listing{ns, map[slipway.Version]bool{}, map[string]int64{}}
	for v, err := range bundles.Manifests(ns) {
		if err != nil {
			return l, err
		}
		l.versions[v] = true
	}
	for p, err := range bundles.Packs(ns) {
		if err != nil {
			return l, err
		}
		l.packs[p.SHA256] = p.Size
	}
	return l, nil
}

// all reports whether all of n is there.
func (l listing) all(n named) bool {
	if n.pack.SHA256 == "" {
		return l.versions[n.version.Version]
	}
	size, there := l.packs[n.pack.SHA256]
	return there && size == n.pack.Size
}

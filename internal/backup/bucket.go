package backup

import (
	"context"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// inBucket counts the manifests and packs recorded in st. A file missing in the
// bucket, or a pack of another length, is an error.
func inBucket(ctx context.Context, st *store.Store, bundles *bundle.Store) (versions, packs int, err error) {
	var in listing
	for n, err := range storedFiles(ctx, st, ever) {
		if err == nil && n.of.Namespace != in.ns {
			in, err = list(bundles, n.of.Namespace)
		}
		switch {
		case err != nil:
			return 0, 0, err
		case !in.has(n):
			return 0, 0, slipway.Errorf(slipway.Invalid, "%s is missing or cut off in the bucket %s. slipway fsck says what else is damaged.", n.title(), bundles.Bucket())
		case n.pack.SHA256 == "":
			versions++
		default:
			packs++
		}
	}
	return versions, packs, nil
}

// listing is the bucket's content for one namespace.
type listing struct {
	ns       string
	versions map[slipway.Version]bool
	packs    map[string]int64 // size by sha256
}

// list reads the names of a namespace's manifests and packs in the bucket.
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

// has reports whether the bucket has n, in full length.
func (l listing) has(n storedFile) bool {
	if n.pack.SHA256 == "" {
		return l.versions[n.version.Version]
	}
	size, ok := l.packs[n.pack.SHA256]
	return ok && size == n.pack.Size
}

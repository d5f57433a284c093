package image

import (
	"context"
	"encoding/json"
	"errors"

	"slipway/internal/slipway"
)

// Limits of indexes: how deep they lie in each other, and of how many images
// the platform is looked up because their entries name none.
const (
	maxDepth   = 3
	maxUnnamed = 32
)

// indexReader finds the images in an index.
type indexReader struct {
	from  repo
	name  string // of the repository
	left  int    // lookups of platforms
	found []descriptor
	err   error // of an entry that could not be read; the others count
}

// imagesIn returns the images in an index, all with platforms, in their order.
// err is the reason why an entry is missing.
func imagesIn(ctx context.Context, from repo, name string, c content) (found []descriptor, err error) {
	r := &indexReader{from: from, name: name, left: maxUnnamed}
	r.add(ctx, c.Manifests, 0)
	return r.found, r.err
}

func (r *indexReader) add(ctx context.Context, all []descriptor, depth int) {
	for _, d := range all {
		switch {
		case !d.mayBeImage():
		case d.Platform != nil:
			r.found = append(r.found, d)
		case r.left > 0 && depth < maxDepth:
			r.left--
			if err := r.addUnnamed(ctx, d, depth); err != nil && r.err == nil {
				r.err = err
			}
		}
	}
}

// addUnnamed adds an entry without a platform: an image's platform is in the
// configuration, and an index has entries of its own.
func (r *indexReader) addUnnamed(ctx context.Context, d descriptor, depth int) error {
	m, err := r.from.manifest(ctx, Ref{Name: r.name, Digest: d.Digest})
	if err != nil {
		return err
	}
	c, err := m.content()
	if err != nil || artifact(m, c) != "" {
		return err
	}
	if m.isIndex() {
		r.add(ctx, c.Manifests, depth+1)
		return nil
	}
	raw, err := configOf(ctx, r.from, c)
	if err != nil {
		return err
	}
	d.Platform = &slipway.Platform{}
	if err := json.Unmarshal(raw, d.Platform); err != nil { // os, architecture and variant, as in an index
		return damaged("its configuration is no JSON (%v)", err)
	}
	r.found = append(r.found, d)
	return nil
}

// best returns the images that fit a platform best: the first one, and all
// others that fit as well.
func best(found []descriptor, wanted slipway.Platform) (all []descriptor) {
	least := 0
	for _, d := range found {
		distance, runs := d.Platform.Fit(wanted)
		switch {
		case !runs || len(all) > 0 && distance > least:
			continue
		case len(all) > 0 && distance < least:
			all = nil
		}
		all, least = append(all, d), distance
	}
	return all
}

// chosen returns the manifest for a platform from an index.
func chosen(ctx context.Context, from repo, ref Ref, m manifest, wanted slipway.Platform) (manifest, error) {
	for range maxDepth {
		if !m.isIndex() {
			return m, nil
		}
		c, err := m.content()
		if err != nil {
			return m, err
		}
		if title := artifact(m, c); title != "" {
			return m, noImage(ref, title)
		}
		found, err := imagesIn(ctx, from, ref.Name, c)
		all := best(found, wanted)
		switch {
		case len(all) > 0:
		case len(found) == 0 && err != nil:
			return m, err
		case len(found) == 0:
			return m, noImage(ref, "an index without an image")
		default:
			return m, errors.Join(wrongPlatform(platformsOf(found), wanted), err)
		}
		if m, err = from.manifest(ctx, Ref{Name: ref.Name, Digest: all[0].Digest}); err != nil {
			return m, err
		}
	}
	return m, damaged("its indexes lie too deep in each other")
}

func platformsOf(all []descriptor) (offered []slipway.Platform) {
	for _, d := range all {
		offered = append(offered, *d.Platform)
	}
	return offered
}

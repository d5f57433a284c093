package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"slipway/internal/slipway"
)

// Merge writes the contents of files, which lie in several packs of ns, into
// one new pack, and returns it with the place of each content in it. Each is
// verified on the way. The pack is durable then; the others stay as they are.
// On an error nothing is left of it.
//
// Everything is compressed anew: the frame at the end of a pack holds the end
// of its tar, too, and so could not be copied, and small packs have no other.
func (s *Store) Merge(ctx context.Context, ns string, files []slipway.File) (Pack, map[string]slipway.Place, error) {
	p, err := s.newPack(ns)
	if err != nil {
		return Pack{}, nil, fmt.Errorf("merge packs: %w", err)
	}
	defer p.discard()
	if err := p.merge(ctx, s.Source(ns), files); err != nil {
		return Pack{}, nil, fmt.Errorf("merge packs: %w", err)
	}
	kept, err := p.keep(ctx, s, ns)
	if err != nil {
		return Pack{}, nil, fmt.Errorf("merge packs: %w", err)
	}
	at := make(map[string]slipway.Place, len(p.list))
	for _, c := range p.list {
		at[c.sha] = p.place(c)
	}
	return kept, at, nil
}

// merge appends the contents of files and ends the pack.
func (p *packWriter) merge(ctx context.Context, src Source, files []slipway.File) error {
	wanted := map[string]bool{}
	var places []slipway.Place
	for _, f := range files {
		if f.Link == "" {
			wanted[f.SHA256] = true
			places = append(places, f.Place)
		}
	}
	err := eachContent(ctx, src, places, func(sha string, size int64, r io.Reader) error {
		if !wanted[sha] {
			return nil
		}
		delete(wanted, sha)
		return p.addVerified(sha, size, r)
	})
	if err != nil {
		return err
	}
	for sha := range wanted {
		return fmt.Errorf("content %s is missing from its pack", sha)
	}
	if len(p.list) == 0 {
		return errors.New("there is nothing to merge")
	}
	return p.finish()
}

// addVerified is add for a content that may be damaged.
func (p *packWriter) addVerified(sha string, size int64, r io.Reader) error {
	sum := sha256.New()
	if err := p.add(sha, size, io.TeeReader(r, sum)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != sha {
		return ContentError(sha, got)
	}
	return nil
}

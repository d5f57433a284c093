package deploy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"slipway/internal/slipway"
	"slipway/store"
)

// contentAt names a content and where it is said to lie.
type contentAt struct {
	sum            [32]byte
	pack           int // its index in a batch
	offset, length int64
}

// absent is the size of a content that is not where it is said to lie.
const absent = -1

// batch is some packs of a Deployment, and what was found in them.
type batch struct {
	*fsck
	of     slipway.Deployment
	first  bool                // of its Deployment: manifests are checked as such
	index  map[string]int      // of packs
	faults map[string]*Damage  // of packs that are damaged
	lost   map[string]bool     // packs that are missing
	places map[contentAt]int64 // size; absent if it was looked for in vain
}

func (f *fsck) newBatch(d slipway.Deployment) *batch {
	return &batch{
		fsck: f, of: d, index: map[string]int{}, faults: map[string]*Damage{},
		lost: map[string]bool{}, places: map[contentAt]int64{},
	}
}

// damage returns one of the batch's Deployment.
func (b *batch) damage(path, format string, args ...any) Damage {
	return Damage{Deployment: b.of.Name, Namespace: b.of.Namespace, Path: path, Problem: fmt.Sprintf(format, args...)}
}

// pack reads a pack and notes what is in it, and what is wrong with it.
func (b *batch) pack(p store.Pack) error {
	b.totals.Packs++
	b.totals.Bytes += p.Size
	b.index[p.SHA256] = len(b.index)
	err := b.bundles.CheckPack(b.ctx, b.of.Namespace, p.SHA256, func(c slipway.File) {
		if at, ok := b.at(c); ok {
			b.totals.Contents++
			b.places[at] = c.Size
		}
	})
	switch {
	case b.ctx.Err() != nil:
		return b.ctx.Err()
	case away(err):
		return err
	case err == nil:
		return b.contentRows(p)
	}
	problem := fmt.Sprintf("The pack is damaged: %v.", err)
	if errors.Is(err, fs.ErrNotExist) {
		b.lost[p.SHA256] = true
		problem = "The pack is missing."
	}
	fault := b.damage(named{of: b.of, pack: p}.path(), "%s", problem)
	b.faults[p.SHA256] = &fault
	return nil
}

// at returns the key of a file's content; ok is false if it is not the batch's.
func (b *batch) at(c slipway.File) (at contentAt, ok bool) {
	at.pack, ok = b.index[c.Pack]
	at.offset, at.length = c.Offset, c.Length
	n, err := hex.Decode(at.sum[:], []byte(c.SHA256))
	return at, ok && err == nil && n == len(at.sum)
}

// contentRows checks where later deploys would look for what is in a pack.
func (b *batch) contentRows(p store.Pack) error {
	wrong := 0
	rows := paged(b.ctx, b.store, func(tx *store.Tx, last store.StoredContent) ([]store.StoredContent, error) {
		return tx.ContentsIn(b.of.ID, p.SHA256, last.SHA256, pageRows)
	})
	for c, err := range rows {
		if err != nil {
			return err
		}
		at, _ := b.at(slipway.File{SHA256: c.SHA256, Place: c.Place})
		if _, found := b.places[at]; !found {
			wrong++
		}
	}
	if wrong > 0 {
		b.report(b.damage(named{of: b.of, pack: p}.path(),
			"The records say of %d contents that they lie in this pack, where they do not. Later deploys would rely on it.", wrong))
	}
	return nil
}

// finish checks all manifests against the packs of the batch, and reports.
func (b *batch) finish() error {
	for v, err := range versionsOf(b.ctx, b.store, b.of.ID, b.started) {
		if err == nil {
			err = b.version(v)
		}
		if err != nil {
			return err
		}
	}
	if err := b.waiting(); err != nil {
		return err
	}
	for _, sum := range slices.Sorted(maps.Keys(b.faults)) {
		known, err := b.recorded(b.of, sum)
		if err != nil {
			return err
		}
		if known {
			b.report(*b.faults[sum])
		}
	}
	return nil
}

// files checks where contents lie. add notes, in the damage of a pack, who is
// affected by it; what is wrong though the pack is not is reported for the file
// at path.
func (b *batch) files(files []slipway.File, path string, add func(*Damage)) error {
	var wrong []string
	for _, f := range files {
		at, ok := b.at(f)
		if f.Link != "" || !ok {
			continue
		}
		fault := b.faults[f.Pack]
		size, err := b.size(at, f, fault)
		switch {
		case err != nil:
			return err
		case size == f.Size:
		case fault != nil:
			add(fault)
		default:
			wrong = append(wrong, f.Path)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	d := b.damage(path, "The contents of %d files are not where it says, the first of them %s.", len(wrong), wrong[0])
	add(&d)
	b.report(d)
	return nil
}

// size returns the size of the content of f, absent if it is not at its place.
// In a pack that is damaged it is looked for now.
func (b *batch) size(at contentAt, f slipway.File, fault *Damage) (int64, error) {
	size, found := b.places[at]
	switch {
	case found:
		return size, nil
	case fault == nil || b.lost[f.Pack]:
		return absent, nil
	}
	size, err := b.read(f)
	b.places[at] = size
	return size, errors.Join(err, b.ctx.Err())
}

func (b *batch) read(f slipway.File) (int64, error) {
	r, err := b.bundles.Content(b.ctx, b.of.Namespace, f)
	if err == nil {
		defer r.Close()
		var n int64
		if n, err = io.Copy(io.Discard, r); err == nil {
			return n, nil
		}
	}
	if away(err) {
		return absent, err
	}
	return absent, nil
}

// away reports whether err is about a bucket that cannot be reached: that says
// nothing about what is in it.
func away(err error) bool {
	kind, _ := slipway.Explain(err)
	return err != nil && kind == slipway.Unavailable
}

package backup

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
)

// contentAt is a content at its recorded place.
type contentAt struct {
	sum            [32]byte
	pack           int // index in the batch
	offset, length int64
}

// absent is the size of a content missing at its recorded place.
const absent = -1

// batch is some packs of a Deployment, with their contents and damages.
type batch struct {
	*fsck
	of      slipway.Deployment
	first   bool                // of the Deployment: check the manifests themselves
	index   map[string]int      // of packs
	faults  map[string]*Damage  // of damaged packs
	missing map[string]bool     // packs
	places  map[contentAt]int64 // sizes; absent for a failed read
}

func (f *fsck) newBatch(d slipway.Deployment) *batch {
	return &batch{
		fsck: f, of: d, index: map[string]int{}, faults: map[string]*Damage{},
		missing: map[string]bool{}, places: map[contentAt]int64{},
	}
}

// damage returns a damage of the batch's Deployment.
func (b *batch) damage(path, format string, args ...any) Damage {
	return Damage{Deployment: b.of.Name, Namespace: b.of.Namespace, Path: path, Problem: fmt.Sprintf(format, args...)}
}

// pack reads a pack, and records the places of its contents, or the damage.
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
	case unreachable(err):
		return err
	case err == nil:
		return b.contentRows(p)
	}
	problem := fmt.Sprintf("The pack is damaged: %v.", err)
	if errors.Is(err, fs.ErrNotExist) {
		b.missing[p.SHA256] = true
		problem = "The pack is missing."
	}
	fault := b.damage(storedFile{of: b.of, pack: p}.path(), "%s", problem)
	b.faults[p.SHA256] = &fault
	return nil
}

// at returns the recorded place of a file's content; ok is false for a pack
// outside the batch.
func (b *batch) at(c slipway.File) (at contentAt, ok bool) {
	at.pack, ok = b.index[c.Pack]
	at.offset, at.length = c.Offset, c.Length
	n, err := hex.Decode(at.sum[:], []byte(c.SHA256))
	return at, ok && err == nil && n == len(at.sum)
}

// contentRows checks the recorded places of a pack's contents. Later deploys
// rely on the records.
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
		b.report(b.damage(storedFile{of: b.of, pack: p}.path(),
			"The records say of %d contents that they lie in this pack, where they do not. Later deploys would rely on it.", wrong))
	}
	return nil
}

// finish checks all manifests against the packs of the batch, and reports
// damages.
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

// files checks the places of files' contents. A content in a damaged pack
// completes the pack's damage with the name of the reader, by add. Other wrong
// places are one damage of the manifest at path.
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

// size returns the size of the content of f, or absent. Contents of a damaged
// pack are read one by one.
func (b *batch) size(at contentAt, f slipway.File, fault *Damage) (int64, error) {
	size, found := b.places[at]
	switch {
	case found:
		return size, nil
	case fault == nil || b.missing[f.Pack]:
		return absent, nil
	}
	size, err := b.read(f)
	b.places[at] = size
	return size, errors.Join(err, b.ctx.Err())
}

// read returns the size of the content of f as read from its pack, or absent for
// damage.
func (b *batch) read(f slipway.File) (int64, error) {
	r, err := b.bundles.Content(b.ctx, b.of.Namespace, f)
	if err == nil {
		defer r.Close()
		var n int64
		if n, err = io.Copy(io.Discard, r); err == nil {
			return n, nil
		}
	}
	if unreachable(err) {
		return absent, err
	}
	return absent, nil
}

// unreachable reports whether err means an unreachable bucket, as opposed to
// damage.
func unreachable(err error) bool {
	return errors.Is(err, slipway.ErrUnavailable)
}

// version checks the manifest and the record of a version, and the contents in
// packs of the batch.
func (b *batch) version(v store.BundleVersion) error {
	if b.first {
		b.totals.Versions++
	}
	m, err := b.bundles.Manifest(b.of.Namespace, v.Version)
	if err != nil {
		return b.badManifest(v, err)
	}
	if b.first {
		if err := b.row(v, m); err != nil {
			return err
		}
	}
	return b.files(m.Files, storedFile{of: b.of, version: v}.path(), func(d *Damage) {
		if !slices.Contains(d.Versions, v.Version) {
			d.Versions = append(d.Versions, v.Version)
		}
	})
}

// badManifest reports an unreadable manifest, unless the version has been removed
// meanwhile.
func (b *batch) badManifest(v store.BundleVersion, problem error) error {
	if unreachable(problem) {
		return problem
	}
	if !b.first {
		return nil // reported by the first batch
	}
	ok, err := b.retained(b.of, v.Version)
	if err != nil || !ok {
		return err
	}
	text := fmt.Sprintf("The manifest is damaged: %v.", problem)
	if errors.Is(problem, fs.ErrNotExist) {
		text = "The manifest is missing."
	}
	d := b.damage(storedFile{of: b.of, version: v}.path(), "%s", text)
	d.Versions = []slipway.Version{v.Version}
	b.report(d)
	return nil
}

// row compares a version's record with its manifest.
func (b *batch) row(v store.BundleVersion, m slipway.Manifest) error {
	var size int64
	for _, f := range m.Files {
		size += f.Size
	}
	report := func(format string, args ...any) {
		d := b.damage(storedFile{of: b.of, version: v}.path(), format, args...)
		d.Versions = []slipway.Version{v.Version}
		b.report(d)
	}
	if len(m.Files) != v.Files || size != v.Size {
		report("The manifest has %d files of %d bytes, its record %d of %d.", len(m.Files), size, v.Files, v.Size)
	}
	return b.claims(v.Deploy, m.Files, report)
}

// claims reports packs needed but not claimed by a deploy.
func (b *batch) claims(w slipway.DeployID, files []slipway.File, report func(format string, args ...any)) error {
	var free []string
	err := b.store.View(b.ctx, func(tx *store.Tx) (err error) {
		now, err := tx.LoadDeploy(w)
		if err != nil || now.Status.Ended() && !now.WentLive() { // ended meanwhile, without its claims
			return err
		}
		free, err = tx.Unclaimed(w, b.of.ID, slipway.PacksOf(files))
		return err
	})
	if errors.Is(err, slipway.ErrNotFound) {
		return nil // deleted meanwhile
	}
	if len(free) > 0 {
		report("It relies on %d packs that it has not claimed, so that they could be removed. The first of them is %s.", len(free), free[0])
	}
	return err
}

// waiting checks the uploaded files of staged and queued deploys.
func (b *batch) waiting() error {
	var all []slipway.Deploy
	err := b.store.View(b.ctx, func(tx *store.Tx) (err error) {
		all, err = tx.Holding(b.of.ID)
		return err
	})
	for _, w := range all {
		if err == nil {
			err = b.staged(w)
		}
	}
	return err
}

// staged checks the uploaded files of one deploy: their list, claims and contents.
func (b *batch) staged(w slipway.Deploy) error {
	var packed []byte
	err := b.store.View(b.ctx, func(tx *store.Tx) (err error) {
		packed, err = tx.StagedFiles(w.ID)
		return err
	})
	if err != nil || len(packed) == 0 { // published meanwhile
		return err
	}
	report := func(format string, args ...any) {
		d := b.damage(datadir.Database, format, args...)
		d.Deploys = []int{w.Number}
		b.report(d)
	}
	m, err := bundle.ReadManifest(bytes.NewReader(packed))
	switch {
	case err != nil && b.first:
		report("The list of files that a deploy brought is damaged: %v.", err)
		return nil
	case err != nil:
		return nil // reported by the first batch
	case b.first:
		if err := b.claims(w.ID, m.Files, report); err != nil {
			return err
		}
	}
	return b.files(m.Files, datadir.Database, func(d *Damage) {
		if !slices.Contains(d.Deploys, w.Number) {
			d.Deploys = append(d.Deploys, w.Number)
		}
	})
}

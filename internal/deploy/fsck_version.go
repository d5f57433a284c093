package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"slipway/internal/slipway"
	"slipway/store"
)

// version checks a version: its manifest, its record, and its contents as far
// as they lie in the batch.
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
	return b.files(m.Files, named{of: b.of, version: v}.path(), func(d *Damage) {
		if !slices.Contains(d.Versions, v.Version) {
			d.Versions = append(d.Versions, v.Version)
		}
	})
}

func (b *batch) badManifest(v store.BundleVersion, problem error) error {
	if away(problem) {
		return problem
	}
	if !b.first {
		return nil // reported already
	}
	kept, err := b.retained(b.of, v.Version)
	if err != nil || !kept {
		return err
	}
	text := fmt.Sprintf("The manifest is damaged: %v.", problem)
	if errors.Is(problem, fs.ErrNotExist) {
		text = "The manifest is missing."
	}
	d := b.damage(named{of: b.of, version: v}.path(), "%s", text)
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
	say := func(format string, args ...any) {
		d := b.damage(named{of: b.of, version: v}.path(), format, args...)
		d.Versions = []slipway.Version{v.Version}
		b.report(d)
	}
	if len(m.Files) != v.Files || size != v.Size {
		say("The manifest has %d files of %d bytes, its record %d of %d.", len(m.Files), size, v.Files, v.Size)
	}
	return b.claims(v.Deploy, m.Files, say)
}

// claims says if a deploy relies on packs that it has not claimed.
func (b *batch) claims(w slipway.DeployID, files []slipway.File, say func(format string, args ...any)) error {
	var free []string
	err := b.store.View(b.ctx, func(tx *store.Tx) (err error) {
		now, err := tx.LoadDeploy(w)
		if err != nil || now.Status.Ended() && !now.WentLive() { // given up meanwhile, and its claims with it
			return err
		}
		free, err = tx.Unclaimed(w, b.of.ID, packsOf(files))
		return err
	})
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
		return nil // deleted meanwhile
	}
	if len(free) > 0 {
		say("It relies on %d packs that it has not claimed, so that they could be removed. The first of them is %s.", len(free), free[0])
	}
	return err
}

// waiting checks what the deploys brought that have not had their turn.
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

func (b *batch) staged(w slipway.Deploy) error {
	var packed []byte
	err := b.store.View(b.ctx, func(tx *store.Tx) (err error) {
		packed, err = tx.StagedFiles(w.ID)
		return err
	})
	if err != nil || len(packed) == 0 { // it had its turn meanwhile
		return err
	}
	say := func(format string, args ...any) {
		d := b.damage(databaseName, format, args...)
		d.Deploys = []int{w.Number}
		b.report(d)
	}
	files, err := decodeStaged(packed)
	switch {
	case err != nil && b.first:
		say("The list of files that a deploy brought is damaged: %v.", err)
		return nil
	case err != nil:
		return nil // said already
	case b.first:
		if err := b.claims(w.ID, files, say); err != nil {
			return err
		}
	}
	return b.files(files, databaseName, func(d *Damage) {
		if !slices.Contains(d.Deploys, w.Number) {
			d.Deploys = append(d.Deploys, w.Number)
		}
	})
}

package deploy

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"slipway/internal/slipway"
	"slipway/store"
)

// Many deploys of a few files make many small packs, and a component without
// files on disk reads all packs of a version. So the merger writes the contents
// of a current version's small packs together into one. Manifests never change:
// only later manifests name the new pack, and an old pack is deleted with the
// last version in need of the pack.
const (
	smallPack = 4 << 20   // a pack of fewer bytes is small
	smallMax  = 32        // largest number of small packs for a version
	mergeMax  = 256 << 20 // largest total of packs in one merge, bytes
)

// merger merges small packs.
type merger struct {
	*base
	contents    *contents
	dagStager   *dagStager
	uploadFiles *uploadFiles
	mergers     chan struct{} // a token for the merge in progress
}

// mergePacks merges the small packs of a Deployment while the number is too
// large. One merge runs at a time in the installation. No deploy waits for a
// merge.
func (e *merger) mergePacks(ctx context.Context, of slipway.DeploymentID) error {
	for again := true; again; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e.mergers <- struct{}{}:
		}
		var err error
		again, err = e.mergeOnce(ctx, of)
		<-e.mergers
		if err != nil && ctx.Err() == nil {
			// Nothing is lost. The next deploy starts another merge.
			e.log.Warn("merge packs", slog.String("deployment", string(of)), slog.Any("error", err))
		}
	}
	return nil
}

// merge is the plan of a merge.
type merge struct {
	d     slipway.Deployment
	files []slipway.File // contents to write together
	packs []string       // packs with the contents
	size  int64          // total size of the packs, bytes
}

// mergeOnce merges small packs, and reports whether any merge was needed.
func (e *merger) mergeOnce(ctx context.Context, of slipway.DeploymentID) (done bool, err error) {
	m, err := e.planMerge(ctx, of)
	if err != nil || len(m.packs) == 0 {
		return false, err
	}
	release, err := e.uploadFiles.Claim(m.size)
	if err != nil {
		return false, err
	}
	defer release()
	pack, places, err := e.bundles.Merge(ctx, m.d.Namespace, m.files)
	if err != nil {
		return false, err
	}
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeployment(of)
		if err != nil {
			return err
		}
		return tx.AddMergedPack(of, now.Version, store.Pack{SHA256: pack.SHA256, Size: pack.Size}, places, m.packs)
	})
	if err != nil {
		return false, errors.Join(err, e.dagStager.dropUnrecorded(context.WithoutCancel(ctx), m.d, pack.SHA256))
	}
	e.log.Info("packs merged", slog.String("deployment", m.d.Namespace), slog.Int("packs", len(m.packs)), slog.Int64("bytes", pack.Size))
	return true, nil
}

// planMerge returns the packs to merge for the next manifest; none while the
// number is small enough.
func (e *merger) planMerge(ctx context.Context, of slipway.DeploymentID) (m merge, err error) {
	few := false
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		if m.d, err = tx.LoadDeployment(of); err != nil {
			return err
		}
		n, err := tx.SmallPacks(of, m.d.Version, smallPack)
		if err != nil {
			return err
		}
		few = n <= smallMax
		return nil
	})
	if errors.Is(err, slipway.ErrNotFound) {
		return m, nil // deleted
	}
	if err != nil || few {
		return m, err
	}
	files, err := e.contents.filesOf(m.d.Namespace, m.d.Version)
	if err != nil {
		return m, err
	}
	err = e.store.View(ctx, func(tx *store.Tx) error {
		packs, err := tx.Packs(of)
		if err != nil {
			return err
		}
		if files, _, err = relocated(tx, of, files); err != nil {
			return err
		}
		m.choose(files, packs)
		return nil
	})
	return m, err
}

// choose picks the small packs of files, the oldest first, and the files
// inside.
func (m *merge) choose(files []slipway.File, packs []store.Pack) {
	used := map[string]bool{}
	for _, sum := range slipway.PacksOf(files) {
		used[sum] = true
	}
	packs = slices.DeleteFunc(packs, func(p store.Pack) bool { return p.Size >= smallPack || !used[p.SHA256] })
	if len(packs) <= smallMax {
		return
	}
	chosen := map[string]bool{}
	for _, p := range packs {
		if m.size += p.Size; m.size > mergeMax {
			break
		}
		chosen[p.SHA256] = true
		m.packs = append(m.packs, p.SHA256)
	}
	for _, f := range files {
		if chosen[f.Pack] {
			m.files = append(m.files, f)
		}
	}
}

// relocated returns files with the present places of their contents: a merge
// moves contents to another pack. moved reports any change. The slice files
// stays as is.
func relocated(tx *store.Tx, of slipway.DeploymentID, files []slipway.File) (_ []slipway.File, moved bool, err error) {
	merged, err := tx.MergedPacks(of, slipway.PacksOf(files))
	if err != nil || len(merged) == 0 {
		return files, false, err
	}
	contents, err := tx.Contents(of)
	if err != nil {
		return files, false, err
	}
	defer func() { err = errors.Join(err, contents.Close()) }()
	next := slices.Clone(files)
	for i, f := range next {
		if !merged[f.Pack] {
			continue
		}
		if at, stored := contents.Place(f.SHA256); stored && at != f.Place {
			next[i].Place, moved = at, true
		}
	}
	return next, moved, nil
}

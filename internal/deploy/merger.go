package deploy

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"slipway/internal/slipway"
	"slipway/store"
)

// Many deploys of a few files make many small packs, and whoever mounts a
// version from nothing reads them all. So what a current version needs of small
// packs is written together into one. Manifests never change: only later ones
// name the new pack, and the old ones go with the versions that name them.
const (
	smallPack = 4 << 20   // bytes below which a pack is small
	smallMax  = 32        // small packs that a version may rely on
	mergeMax  = 256 << 20 // bytes of packs that are merged at a time
)

// merger merges small packs.
type merger struct {
	*base
	contents    *contents
	dagStager   *dagStager
	uploadFiles *uploadFiles
	mergers     chan struct{} // a token for the merge in progress
}

// mergePacks merges the small packs of a Deployment if there are too many. In
// the installation one merge runs at a time. No deploy waits for it.
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
			// Nothing is lost by it. The next deploy has it tried again.
			e.log.Warn("merge packs", slog.String("deployment", string(of)), slog.Any("error", err))
		}
	}
	return nil
}

// merge is what is to be merged.
type merge struct {
	d     slipway.Deployment
	files []slipway.File // whose contents to write together
	packs []string       // in which they lie
	size  int64          // of those, bytes
}

// mergeOnce merges small packs, and reports whether there was anything to do.
func (e *merger) mergeOnce(ctx context.Context, of slipway.DeploymentID) (done bool, err error) {
	m, err := e.planMerge(ctx, of)
	if err != nil || len(m.packs) == 0 {
		return false, err
	}
	if err := e.uploadFiles.freeSpace(m.size); err != nil {
		return false, err
	}
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

// planMerge returns what to merge of what the next manifest would rely on;
// nothing while that is few enough.
func (e *merger) planMerge(ctx context.Context, of slipway.DeploymentID) (m merge, err error) {
	few := false
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		if m.d, err = tx.LoadDeployment(of); err != nil {
			return err
		}
		n, err := tx.SmallPacks(of, m.d.Version, smallPack)
		few = n <= smallMax
		return err
	})
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
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
		files, _, err = relocated(tx, of, files)
		m.choose(files, packs)
		return err
	})
	return m, err
}

// choose picks the small ones of packs that files lie in, the oldest first, and
// what of files lies in them.
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

// relocated returns files with the places that a new manifest names, and
// whether any is another: where a pack was merged, the contents may lie
// elsewhere. The files that are passed in stay as they are.
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

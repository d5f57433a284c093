package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// errOurs is what the user reads of an error on our side.
const errOurs = "Something went wrong on our side. Nothing was deployed; the log of the portal says more."

// stageAll drops the packs that nobody needs any more and stages what has
// arrived. Both happen here and nowhere else, so they never cross: staging
// relies on packs before it claims them.
func (e *Engine) stageAll(ctx context.Context, of slipway.DeploymentID) error {
	var d slipway.Deployment
	var unused []string
	var arrived []slipway.Deploy
	err := e.store.Update(ctx, func(tx *store.Tx) (err error) {
		if d, err = tx.LoadDeployment(of); err != nil {
			return err
		}
		if unused, err = e.releaseEnded(tx, of); err != nil {
			return err
		}
		arrived, err = tx.Arrived(of)
		return err
	})
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
		return nil // deleted
	}
	if err != nil {
		return err // what was unused is still on record
	}
	for _, sum := range unused {
		err = errors.Join(err, e.bundles.DropPack(d.Namespace, sum))
	}
	for _, w := range arrived {
		if err == nil {
			err = e.stageOne(ctx, d, w)
		}
	}
	return err
}

// stageOne stages w when it is its turn in the installation.
func (e *Engine) stageOne(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	staging, finish := e.stagings.begin(ctx, w.ID)
	defer finish()
	stagers := e.stagers
	if w.Kind.HasImage() { // which may take minutes to arrive from elsewhere
		stagers = e.imagers
	}
	select {
	case <-staging.Done():
		return ctx.Err()
	case stagers <- struct{}{}:
	}
	defer func() { <-stagers }()
	err := outage(e.stage(staging, d, w))
	switch kind, text := slipway.Explain(err); {
	case err == nil || staging.Err() != nil:
		return ctx.Err() // discarded meanwhile, or resumed after the next start
	case kind != slipway.Internal:
		return e.fail(ctx, w, text)
	}
	e.log.Error("stage", slog.String("deployment", d.Namespace), slog.Int("deploy", w.Number), slog.Any("error", err))
	return e.fail(ctx, w, errOurs)
}

// stageDAGs reads the upload u of w, stores what is new in it and records the
// rest.
func (e *Engine) stageDAGs(ctx context.Context, d slipway.Deployment, w slipway.Deploy, u store.Upload) error {
	staged, err := e.unpack(ctx, d, u)
	if err != nil {
		return err
	}
	files, err := prefixed(staged.Files, u.Folder, e.cfg.Limits)
	if err == nil {
		err = e.record(ctx, w, u, staged, files)
	}
	if err != nil && staged.Pack.SHA256 != "" {
		err = errors.Join(err, e.dropStray(context.WithoutCancel(ctx), d, staged.Pack.SHA256))
	}
	if err == nil {
		e.removeUpload(u.ID)
		e.watchers.changed(d.ID, w.ID)
	}
	return err
}

// unpack stores the contents of an upload that no pack has.
func (e *Engine) unpack(ctx context.Context, d slipway.Deployment, u store.Upload) (staged bundle.Staged, err error) {
	if err := e.spare(0); err != nil {
		return staged, err
	}
	f, err := os.Open(e.uploadPath(u.ID))
	if err != nil {
		return staged, fmt.Errorf("open upload: %w", err)
	}
	defer f.Close()
	return e.unpackFile(ctx, d, f)
}

// unpackFile stores the contents of an archive that no pack has.
func (e *Engine) unpackFile(ctx context.Context, d slipway.Deployment, f *os.File) (staged bundle.Staged, err error) {
	info, err := f.Stat()
	if err != nil {
		return staged, fmt.Errorf("open archive: %w", err)
	}
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		known := func(string) (p slipway.Place, stored bool) { return p, false }
		any, err := tx.HasContents(d.ID)
		if err != nil {
			return err
		}
		if any {
			contents, err2 := tx.Contents(d.ID)
			if err2 != nil {
				return err2
			}
			defer func() { err = errors.Join(err, contents.Close()) }()
			known = contents.Place
		}
		lim := e.cfg.Limits
		lim.Reserve = e.cfg.Reserve
		staged, err = e.bundles.Stage(ctx, d.Namespace, f, info.Size(), lim, known)
		return err
	})
	return staged, err
}

// prefixed returns files as they lie below folder.
func prefixed(files []slipway.File, folder string, lim archive.Limits) ([]slipway.File, error) {
	if folder == "" {
		return files, nil
	}
	for i := range files {
		files[i].Path = path.Join(folder, files[i].Path)
	}
	return files, archive.Check(files, lim)
}

// record notes what w brings. Its upload is over then.
func (e *Engine) record(ctx context.Context, w slipway.Deploy, u store.Upload, staged bundle.Staged, files []slipway.File) error {
	encoded, err := encodeStaged(w, files)
	if err != nil {
		return err
	}
	var base basis
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		base, err = makersBasis(tx, w)
		return err
	})
	if err != nil {
		return err
	}
	e.files.put(stagedKey(w.ID), files)
	before, err := e.tailFiles(base)
	if err != nil {
		return err
	}
	counts := slipway.NewPlan(before, w.Merge.Apply(before, files)).Counts
	counts.NewBytes, counts.LeftOut, counts.Outside = staged.Pack.Size, staged.LeftOutFiles, len(staged.Outside)
	return e.store.Update(ctx, func(tx *store.Tx) error {
		now, err := stillOpen(tx, w)
		if err != nil {
			return err
		}
		if err := addPacks(tx, now, staged, files); err != nil {
			return err
		}
		if err := tx.SetStaged(w.ID, encoded, report(staged)); err != nil {
			return err
		}
		now.Counts, now.Base, now.WantsDAG = counts, base.tail.Version, false
		if now.Switch != nil {
			now.UploadedAt = tx.Now
		}
		if _, err := tx.SaveDeploy(now.Checked()); err != nil || u.ID == "" {
			return err
		}
		return tx.DropUpload(u.ID)
	})
}

// addPacks records the new pack and claims all that the files lie in.
func addPacks(tx *store.Tx, w slipway.Deploy, staged bundle.Staged, files []slipway.File) error {
	if staged.Pack.SHA256 != "" {
		places := make(map[string]slipway.Place, len(staged.New))
		for _, f := range staged.New {
			places[f.SHA256] = f.Place
		}
		if err := tx.AddPack(w.Deployment, store.Pack{SHA256: staged.Pack.SHA256, Size: staged.Pack.Size}, places); err != nil {
			return err
		}
	}
	return tx.ClaimPacks(w, slipway.PacksOf(files))
}

// outsideMax is how many names beside the dags folder are kept. All are counted.
const outsideMax = 1000

// report says what of an upload is not deployed.
func report(staged bundle.Staged) store.Report {
	r := store.Report{Outside: staged.Outside[:min(len(staged.Outside), outsideMax)]}
	for _, o := range staged.LeftOut {
		r.LeftOut = append(r.LeftOut, store.LeftOut{Name: o.Name, Why: o.Why})
	}
	return r
}

// dropStray deletes a pack that no record names. One of the same contents may
// have been there before, which other records name.
func (e *Engine) dropStray(ctx context.Context, d slipway.Deployment, sum string) error {
	known, err := e.knownPacks(ctx, d.ID)
	if err != nil || known[sum] {
		return err
	}
	if kept, err := e.deletionPaused(ctx); err != nil || kept {
		return err
	}
	return e.bundles.DropPack(d.Namespace, sum)
}

func (e *Engine) knownPacks(ctx context.Context, of slipway.DeploymentID) (map[string]bool, error) {
	known := map[string]bool{}
	err := e.store.View(ctx, func(tx *store.Tx) error {
		packs, err := tx.Packs(of)
		for _, p := range packs {
			known[p.SHA256] = true
		}
		return err
	})
	return known, err
}

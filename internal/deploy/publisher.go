package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"slipway/internal/archive"
	"slipway/internal/slipway"
	"slipway/store"
)

// versions stores the versions of deploys.
type versions struct {
	*base
	contents *contents
}

// relocate returns files with the present places of their contents, after
// merges of packs. A change also claims the packs for w.
func (e *versions) relocate(ctx context.Context, w slipway.Deploy, files []slipway.File) (next []slipway.File, err error) {
	moved := false
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		next, moved, err = relocated(tx, w.Deployment, files)
		return err
	})
	if err != nil || !moved {
		return next, err
	}
	err = e.store.Update(ctx, func(tx *store.Tx) (err error) {
		if next, _, err = relocated(tx, w.Deployment, files); err != nil {
			return err
		}
		return tx.ClaimPacks(w, slipway.PacksOf(next))
	})
	if err != nil {
		return nil, fmt.Errorf("relocate files of deploy %s: %w", w.ID, err)
	}
	return next, nil
}

// publisher deploys the queue of a Deployment, in order.
type publisher struct {
	*base
	awaiter    *awaiter
	components *components
	endings    *endings
	rollouts   *rollouts
	versions   *versions
}

// publishAll takes the turns of a Deployment's queue, one after the other.
func (p *publisher) publishAll(ctx context.Context, of slipway.DeploymentID) error {
	for {
		w, found, err := p.nextTurn(ctx, of)
		if err == nil && found {
			err = p.publish(ctx, w)
		}
		if errors.Is(err, slipway.ErrNotFound) {
			return nil // deleted
		}
		if err != nil || !found {
			return err
		}
	}
}

// nextTurn returns the next deploy of the queue. Switches before the deploy are
// applied.
func (p *publisher) nextTurn(ctx context.Context, of slipway.DeploymentID) (w slipway.Deploy, found bool, err error) {
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		d, err := tx.LoadDeployment(of)
		if err != nil {
			return err
		}
		queue, err := tx.Queue(of)
		if err != nil {
			return err
		}
		for _, t := range queue {
			if t.Deploy == nil {
				if d, err = applySwitch(tx, d, *t.Switch); err != nil {
					return err
				}
				continue
			}
			w, found = *t.Deploy, true
			if w.Status == slipway.Queued {
				w.Status = slipway.Deploying
				w, err = tx.SaveDeploy(w)
			}
			return err
		}
		return nil
	})
	p.watchers.notify(of)
	return w, found, err
}

// applySwitch applies a switch at its turn.
func applySwitch(tx *store.Tx, d slipway.Deployment, s slipway.SwitchOrder) (slipway.Deployment, error) {
	if d.DAGDeploys == s.On { // as another switch was cancelled
		return d, tx.CancelSwitch(d.ID, s.ID)
	}
	d = d.Switched(s.On)
	d.Updater = s.By.Title()
	if err := tx.SaveState(d); err != nil {
		return d, err
	}
	if err := tx.SwitchApplied(s.ID); err != nil {
		return d, err
	}
	return d, tx.Audit(s.By, slipway.Event{Workspace: d.Workspace, Deployment: d.ID, Action: "switch.apply", Target: d.Name, Detail: slipway.OnOff(s.On)})
}

// publish makes w the desired state of its Deployment, and waits until the
// components run w.
func (p *publisher) publish(ctx context.Context, w slipway.Deploy) error {
	if w.Kind.HasImage() && !w.WentLive() {
		return p.rollouts.rollOut(ctx, w)
	}
	connected := p.components.connected(w.Deployment, slipway.Sidecar)
	if !w.WentLive() {
		// Going live is not interrupted: the step is quick and safe to repeat.
		live, err := p.goLive(context.WithoutCancel(ctx), w)
		switch kind, text := slipway.Explain(unavailable(err)); {
		case isTemporary(kind):
			return err // a confirmed deploy waits for disk space, or for the bucket
		case err != nil && kind != slipway.Internal:
			return p.endings.fail(ctx, w, text)
		case err != nil:
			p.log.Error("publish", slog.Any("deploy", w.ID), slog.Any("error", err))
			return p.endings.fail(ctx, w, internalReason)
		}
		w = live
	}
	return p.awaiter.await(ctx, w, connected)
}

// versionChange holds the changes of going live.
type versionChange struct {
	files    []slipway.File
	plan     slipway.Plan
	manifest int64 // bytes; 0 for a return, without a new manifest
	applied  bool  // the image is known to run
}

// goLive stores the version of w and makes the version the desired one.
func (p *publisher) goLive(ctx context.Context, w slipway.Deploy) (live slipway.Deploy, err error) {
	d, r, err := p.versions.prepare(ctx, w)
	if err != nil {
		return w, err
	}
	if w.Purpose() != slipway.ForReturn {
		if r, err = p.versions.storeVersion(ctx, d, w, r); err != nil {
			return w, err
		}
	}
	p.components.reports.clearErrors(d.ID)
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		live, err = commit(tx, w, r)
		return err
	})
	if err != nil && w.Purpose() != slipway.ForReturn {
		err = errors.Join(err, p.versions.dropUnretained(ctx, d, w.Version))
	}
	p.watchers.changed(d.ID, w.ID)
	p.wakers.wakeMerge(d.ID)
	return live, err
}

// storeVersion stores the version of w, and returns r with the manifest. A
// manifest from an earlier try keeps its places, because manifests never
// change; packs may have been merged since. A different manifest left by a
// crash, without a record, is replaced.
func (e *versions) storeVersion(ctx context.Context, d slipway.Deployment, w slipway.Deploy, r versionChange) (versionChange, error) {
	size, err := e.bundles.PutManifest(d.Namespace, slipway.Manifest{Version: w.Version, Files: r.files})
	if err != nil {
		stored, missing := e.bundles.Manifest(d.Namespace, w.Version)
		switch {
		case missing != nil:
			return r, fmt.Errorf("store version %s: %w", w.Version, err)
		case sameFiles(stored.Files, r.files):
			r.files = stored.Files
		default:
			if err := e.dropUnretained(ctx, d, w.Version); err != nil {
				return r, fmt.Errorf("store version %s: %w", w.Version, err)
			}
			stored.Files = r.files
		}
		if size, err = e.bundles.PutManifest(d.Namespace, stored); err != nil {
			return r, fmt.Errorf("store version %s again: %w", w.Version, err)
		}
	}
	r.manifest = size
	e.contents.files.put(versionKey(d.Namespace, w.Version), r.files, len(r.files))
	return r, nil
}

// sameFiles reports whether a and b would be the same once mounted.
func sameFiles(a, b []slipway.File) bool {
	return slices.EqualFunc(a, b, func(f, g slipway.File) bool { return f.Path == g.Path && f.Same(g) })
}

// prepare returns the changes of w to the present Deployment.
func (e *versions) prepare(ctx context.Context, w slipway.Deploy) (d slipway.Deployment, r versionChange, err error) {
	var staged []byte
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		if d, err = tx.LoadDeployment(w.Deployment); err != nil {
			return err
		}
		staged, err = tx.StagedFiles(w.ID)
		return err
	})
	if err == nil {
		err = d.Takes(w)
	}
	if err != nil {
		return d, r, err
	}
	base, err := e.contents.filesOf(d.Namespace, d.Version)
	if err != nil {
		return d, r, err
	}
	switch {
	case w.Purpose() == slipway.ForReturn:
		r.files, err = e.contents.filesOf(d.Namespace, d.State.With(w).Version)
	case !d.Brings(w):
		r.files = base
	default:
		base = archive.Composed(base)
		if r.files, err = e.merged(w, base, staged); err == nil {
			r.files, err = e.relocate(ctx, w, r.files)
		}
	}
	r.plan = slipway.NewPlan(archive.Composed(base), archive.Composed(r.files))
	return d, r, err
}

// merged returns the files of base with the changes of w.
func (e *versions) merged(w slipway.Deploy, base []slipway.File, staged []byte) ([]slipway.File, error) {
	uploaded, err := e.contents.uploadedFiles(w.ID, staged)
	if err != nil {
		return nil, err
	}
	files := merged(w, base, uploaded)
	return files, checkMerged(w, base, files, e.cfg.Limits)
}

// dropUnretained deletes the manifest of a version unless a record names the
// version.
func (e *versions) dropUnretained(ctx context.Context, d slipway.Deployment, v slipway.Version) error {
	retained := false
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		if retained, err = tx.Retained(d.ID, v); err == nil && !retained {
			retained, err = tx.EverythingOrphaned()
		}
		return err
	})
	if err != nil || retained {
		return err
	}
	return e.bundles.DropManifest(d.Namespace, v)
}

// commit records w as the desired state, with the version and the changes.
func commit(tx *store.Tx, w slipway.Deploy, r versionChange) (slipway.Deploy, error) {
	d, err := tx.LoadDeployment(w.Deployment)
	if err != nil {
		return w, err
	}
	if w, err = tx.LoadDeploy(w.ID); err != nil {
		return w, err
	}
	if w.Status != slipway.Deploying || w.WentLive() {
		return w, fmt.Errorf("deploy %s is %s", w.ID, w.Status)
	}
	switch {
	case d.Brings(w):
		err = keepVersion(tx, w, r)
	case w.Purpose() != slipway.ForReturn:
		err = tx.DropStaged(w.ID)
	default:
		err = tx.Undo(w.Deployment, w.ReturnTo, w.Number)
	}
	if err != nil {
		return w, err
	}
	if err := tx.AddChanges(w, r.plan.Changes); err != nil {
		return w, err
	}
	w.Base = d.Version
	if !d.Bundles(w) { // else the changes are those since an older version, for the history of files
		w.Counts = counted(w.Counts, r.plan.Counts)
	}
	d = d.Deployed(w)
	if r.applied {
		d.ToRun = ""
	}
	d.Updater = w.By.Title()
	w.After = d.State
	w.StoredAt, w.LiveAt = tx.Now, tx.Now
	if err := tx.AddStep(w, r.plan.Changes); err != nil {
		return w, err
	}
	if err := tx.SaveState(d); err != nil {
		return w, err
	}
	return tx.SaveDeploy(w)
}

// keepVersion records the version of w, and claims the packs.
func keepVersion(tx *store.Tx, w slipway.Deploy, r versionChange) error {
	v := store.BundleVersion{Version: w.Version, Deploy: w.ID, Number: w.Number, Files: len(r.files), Stored: r.manifest + w.Counts.NewBytes}
	for _, f := range r.files {
		v.Size += f.Size
	}
	if err := tx.AddVersion(w.Deployment, v); err != nil {
		return err
	}
	if err := tx.ClaimPacks(w, slipway.PacksOf(r.files)); err != nil {
		return err
	}
	return tx.DropStaged(w.ID)
}

// counted returns now with the counts of the upload from old.
func counted(old, now slipway.Counts) slipway.Counts {
	now.NewBytes, now.LeftOut, now.Outside = old.NewBytes, old.LeftOut, old.Outside
	return now
}

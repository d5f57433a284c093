package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/quota"
	"slipway/internal/slipway"
	"slipway/store"
)

// startup repairs the leftovers of a crash.
type startup struct {
	*base
	components  *components
	dagStager   *dagStager
	endings     *endings
	orphans     *orphans
	uploadFiles *uploadFiles
	uploads     *uploads
}

// resume removes unrecorded files and fails the deploys that cannot be
// finished. Run resumes all other deploys. With records that may be the wrong
// ones, unrecorded files stay as orphans.
func (s *startup) resume(ctx context.Context) error {
	var uploads []store.Upload
	var all []slipway.Deployment
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		if uploads, err = tx.Uploads(); err != nil {
			return err
		}
		if all, err = tx.AllDeployments(); err != nil {
			return err
		}
		if err = s.holdUnfinished(tx); err != nil {
			return err
		}
		seen, err := tx.AgentsSeen()
		if err != nil {
			return err
		}
		s.components.resumeSeen(seen)
		s.components.expected, err = tx.AgentsSince(s.components.started.Add(-slipway.ForgottenAfter))
		return err
	})
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	left, older, err := s.unnamedManifests(ctx, all)
	if err != nil {
		return fmt.Errorf("resume manifests: %w", err)
	}
	held, err := s.orphans.resumeOrphans(ctx, older)
	if err != nil {
		return fmt.Errorf("resume what is set aside: %w", err)
	}
	for _, u := range uploads {
		if err := s.resumeUpload(ctx, u); err != nil {
			return fmt.Errorf("resume uploads: %w", err)
		}
	}
	if !held {
		err = errors.Join(s.dropUploads(uploads), s.dropPacks(ctx, all), s.dropManifests(ctx, all, left))
	}
	err = errors.Join(err, s.dropPartialFiles(all), s.openMounts(all))
	if err != nil {
		return fmt.Errorf("remove leftovers: %w", err)
	}
	return s.endings.sweep(ctx)
}

// openMounts lets Airflow's user enter the mounts whose folders a kill left closed.
func (s *startup) openMounts(all []slipway.Deployment) error {
	err := durable.OpenFolder(filepath.Join(s.cfg.Dir, datadir.Mounts), 0o755)
	for _, d := range all {
		err = errors.Join(err, durable.OpenFolder(s.MountDir(d), 0o755))
	}
	return err
}

// holdUnfinished counts again what unfinished deploys keep on the disk.
func (s *startup) holdUnfinished(tx *store.Tx) error {
	all, err := tx.Unfinished()
	if err != nil {
		return err
	}
	for _, w := range all {
		if w.Status == slipway.Staged || w.HasDAGs() || w.Image != nil {
			err = errors.Join(err, s.uploadFiles.hold(tx, w))
		}
	}
	return err
}

// dropPartialFiles removes half-written image.env files from mounts after a
// crash.
func (s *startup) dropPartialFiles(all []slipway.Deployment) error {
	for _, d := range all {
		dir := s.MountDir(d)
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, f := range entries {
			if !f.Type().IsRegular() || !strings.HasPrefix(f.Name(), durable.TempPrefix) {
				continue
			}
			info, err := f.Info()
			if err == nil && s.isLeftover(info) {
				err = os.Remove(filepath.Join(dir, f.Name()))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// isLeftover reports whether an unrecorded file is old enough to remove. A
// younger file stays until a later start.
func (s *startup) isLeftover(info fs.FileInfo) bool {
	return s.store.Now().Sub(info.ModTime()) >= s.cfg.LeftoverAge
}

// dropUploads removes unrecorded files of uploads.
func (s *startup) dropUploads(uploads []store.Upload) error {
	known := map[string]bool{}
	for _, u := range uploads {
		known[u.ID] = true
	}
	dir := filepath.Join(s.cfg.Dir, datadir.Uploads)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range entries {
		if known[strings.TrimSuffix(f.Name(), blocksSuffix)] {
			continue
		}
		info, bad := f.Info()
		if err = errors.Join(err, bad); bad == nil && s.isLeftover(info) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
		}
	}
	return err
}

// resumeUpload makes the record and the file of an upload agree.
func (s *startup) resumeUpload(ctx context.Context, u store.Upload) error {
	var w slipway.Deploy
	var h quota.Holder
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		if w, err = tx.LoadDeploy(u.Deploy); err != nil {
			return err
		}
		d, err := tx.LoadDeployment(w.Deployment)
		if err != nil {
			return err
		}
		h, err = holderOf(tx, d, w)
		return err
	})
	if errors.Is(err, slipway.ErrNotFound) {
		return nil // the Deployment was deleted; the removal covers the upload
	}
	if err != nil {
		return err
	}
	err = errors.Join(s.uploadFiles.dropPartialBlocks(u.ID), s.uploadFiles.restore(u, h))
	if err != nil {
		return err
	}
	size, err := s.uploadFiles.offset(u)
	switch {
	case u.Length == inBlocks && u.ArrivedAt.IsZero():
		return nil // more blocks may come; an assembled file is overwritten
	case errors.Is(err, os.ErrNotExist) && u.ArrivedAt.IsZero() && u.Length >= 0:
		return os.WriteFile(s.uploadFiles.uploadPath(u.ID), nil, 0o600) // the first bytes were never durable
	case errors.Is(err, os.ErrNotExist):
		return s.endings.fail(ctx, w, "The uploaded file was lost. Upload the files again.")
	case err != nil:
		return err
	case u.ArrivedAt.IsZero() && u.Length < 0:
		return s.endings.fail(ctx, w, "The upload broke off. Upload the files again.")
	case u.ArrivedAt.IsZero() && size == u.Length:
		_, err = s.uploads.arrived(ctx, u, w)
	}
	if errors.Is(err, slipway.ErrNotFound) || errors.Is(err, slipway.ErrForbidden) {
		return nil // refused: the author may no longer deploy, and the deploy has failed
	}
	return err
}

// dropPacks removes unrecorded packs of Deployments.
func (s *startup) dropPacks(ctx context.Context, all []slipway.Deployment) error {
	for _, d := range all {
		known, err := s.dagStager.knownPacks(ctx, d.ID)
		if err != nil {
			return err
		}
		for p, err := range s.bundles.Packs(d.Namespace) {
			if err == nil && !known[p.SHA256] {
				err = s.dropLeftover(
					func() (bundle.File, error) { return s.bundles.OpenPack(d.Namespace, p.SHA256) },
					func() error { return s.bundles.DropPack(d.Namespace, p.SHA256) })
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// unnamedManifests returns, by Deployment, the versions with an unrecorded
// manifest to remove. older reports a manifest that belongs to newer records.
func (s *startup) unnamedManifests(ctx context.Context, all []slipway.Deployment) (left map[slipway.DeploymentID][]slipway.Version, older bool, err error) {
	left = map[slipway.DeploymentID][]slipway.Version{}
	for _, d := range all {
		var stored []slipway.Version
		for v, err := range s.bundles.Manifests(d.Namespace) {
			if err != nil {
				return nil, false, err
			}
			stored = append(stored, v)
		}
		err := s.store.View(ctx, func(tx *store.Tx) error {
			unrecorded, err := unrecordedManifests(tx, d, stored)
			if err != nil {
				return err
			}
			for v, what := range unrecorded {
				older = older || what == slipway.Foreign
				if what != slipway.Awaited {
					left[d.ID] = append(left[d.ID], v)
				}
			}
			return nil
		})
		if err != nil {
			return nil, false, err
		}
	}
	return left, older, nil
}

// unrecordedManifests returns the versions without a record among stored, with
// the origin of each manifest.
func unrecordedManifests(tx *store.Tx, d slipway.Deployment, stored []slipway.Version) (map[slipway.Version]slipway.Unrecorded, error) {
	retained, err := tx.RetainedOf(d.ID, stored)
	if err != nil {
		return nil, err
	}
	unrecorded := map[slipway.Version]slipway.Unrecorded{}
	for _, v := range stored {
		if retained[v] {
			continue
		}
		w, known, err := tx.MintedFor(d.ID, v)
		if err != nil {
			return nil, err
		}
		unrecorded[v] = slipway.UnrecordedManifest(w, known)
	}
	return unrecorded, nil
}

// dropManifests removes the unrecorded manifests left by crashes.
func (s *startup) dropManifests(ctx context.Context, all []slipway.Deployment, left map[slipway.DeploymentID][]slipway.Version) error {
	for _, d := range all {
		for _, v := range left[d.ID] {
			if err := s.dropLeftover(
				func() (bundle.File, error) { return s.bundles.OpenManifest(ctx, d.Namespace, v) },
				func() error { return s.bundles.DropManifest(d.Namespace, v) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropLeftover removes an unrecorded manifest or pack by drop, unless the file
// from open is young.
func (s *startup) dropLeftover(open func() (bundle.File, error), drop func() error) error {
	f, err := open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil || !s.isLeftover(info) {
		return err
	}
	return drop()
}

package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway"
	"slipway/store"
)

// resume puts in order what a crash left: what no record names is removed, and
// what cannot be finished any more has failed. Run does the rest.
func (e *Engine) resume(ctx context.Context) error {
	var uploads []store.Upload
	var all, deleted []slipway.Deployment
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		if uploads, err = tx.Uploads(); err != nil {
			return err
		}
		if all, err = tx.AllDeployments(); err != nil {
			return err
		}
		if deleted, err = tx.DeletedDeployments(); err != nil {
			return err
		}
		e.expected, err = tx.AgentsSince(e.started.Add(-slipway.ForgottenAfter))
		return err
	})
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	if err := e.resumeUploads(ctx, uploads); err != nil {
		return fmt.Errorf("resume uploads: %w", err)
	}
	if err := e.resumeBundles(ctx, all, deleted); err != nil {
		return fmt.Errorf("resume bundles: %w", err)
	}
	return e.sweep(ctx)
}

func (e *Engine) resumeUploads(ctx context.Context, uploads []store.Upload) error {
	known := map[string]bool{}
	for _, u := range uploads {
		known[u.ID] = true
		if err := e.resumeUpload(ctx, u); err != nil {
			return err
		}
	}
	dir := filepath.Join(e.cfg.Dir, uploadsName)
	entries, err := os.ReadDir(dir)
	for _, f := range entries {
		if !known[strings.TrimSuffix(f.Name(), blocksSuffix)] {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
		}
	}
	return err
}

// resumeUpload makes an upload and its file agree.
func (e *Engine) resumeUpload(ctx context.Context, u store.Upload) error {
	var w slipway.Deploy
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		w, err = tx.LoadDeploy(u.Deploy)
		return err
	})
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
		return nil // of a deleted Deployment: it goes with the rest
	}
	if err != nil {
		return err
	}
	size, err := e.offset(u)
	switch {
	case u.Length == inBlocks && u.ArrivedAt.IsZero():
		return e.dropHalfBlocks(u.ID) // more may come; what was assembled is written over
	case errors.Is(err, os.ErrNotExist) && u.ArrivedAt.IsZero() && u.Length >= 0:
		return os.WriteFile(e.uploadPath(u.ID), nil, 0o600) // its first bytes were never durable
	case errors.Is(err, os.ErrNotExist):
		return e.fail(ctx, w, "The uploaded file was lost. Upload the files again.")
	case err != nil:
		return err
	case u.ArrivedAt.IsZero() && u.Length < 0:
		return e.fail(ctx, w, "The upload broke off. Upload the files again.")
	case u.ArrivedAt.IsZero() && size == u.Length:
		_, err = e.arrived(ctx, u, w)
	}
	if kind, _ := slipway.Explain(err); kind == slipway.NotFound || kind == slipway.Forbidden {
		return nil // refused, as whoever sent it may no longer deploy: it has failed
	}
	return err
}

// resumeBundles removes packs and manifests that no record names.
func (e *Engine) resumeBundles(ctx context.Context, all, deleted []slipway.Deployment) error {
	byName := map[string]bool{}
	for _, d := range deleted {
		byName[d.Namespace] = true // goes as a whole, soon
	}
	for _, d := range all {
		byName[d.Namespace] = true
		if err := e.resumePacks(ctx, d); err != nil {
			return err
		}
		if err := e.resumeManifests(ctx, d); err != nil {
			return err
		}
	}
	for ns, err := range e.bundles.Namespaces() {
		if err == nil && !byName[ns] {
			err = e.bundles.DropNamespace(ns)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) resumePacks(ctx context.Context, d slipway.Deployment) error {
	known, err := e.knownPacks(ctx, d.ID)
	if err != nil {
		return err
	}
	for p, err := range e.bundles.Packs(d.Namespace) {
		if err == nil && !known[p.SHA256] {
			err = e.bundles.DropPack(d.Namespace, p.SHA256)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) resumeManifests(ctx context.Context, d slipway.Deployment) error {
	for v, err := range e.bundles.Manifests(d.Namespace) {
		if err == nil {
			err = e.dropUnkept(ctx, d, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

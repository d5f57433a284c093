package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// LocalPortal is the portal as an agent of one Deployment sees it, in process.
type LocalPortal struct {
	e    *Engine
	of   slipway.DeploymentID
	ns   string
	from bundle.Source
}

// pollFor is how long Desired waits for something new.
const pollFor = 30 * time.Second

// Portal returns the side of the portal that agents of d talk to.
func (e *Engine) Portal(d slipway.Deployment) *LocalPortal {
	return &LocalPortal{e: e, of: d.ID, ns: d.Namespace, from: e.bundles.Source(d.Namespace)}
}

// Desired returns what is wanted, at once if its revision is not since, else
// when it changes or after half a minute.
func (p *LocalPortal) Desired(ctx context.Context, since string) (slipway.Desired, error) {
	changed, stop := p.e.watchers.add(watch{of: p.of})
	defer stop()
	late := time.NewTimer(pollFor)
	defer late.Stop()
	for {
		want, err := p.desired(ctx)
		if err != nil || want.Revision != since {
			return want, err
		}
		select {
		case <-ctx.Done():
			return want, ctx.Err()
		case <-late.C:
			return want, nil
		case <-changed:
		}
	}
}

func (p *LocalPortal) desired(ctx context.Context) (want slipway.Desired, err error) {
	err = p.e.store.View(ctx, func(tx *store.Tx) error {
		d, revision, err := desiredIn(tx, p.of)
		if err != nil {
			return err
		}
		want = d.Desired(revision)
		return nil
	})
	return want, err
}

// revisionOf names what is wanted of d. What follows the number tells restored
// backups apart, which count on from an older one.
func revisionOf(tx *store.Tx, d slipway.Deployment) (string, error) {
	n, err := tx.Revision(d.ID)
	return fmt.Sprintf("%d/%s/%t/%.12s", n, d.Version, d.Mounted, strings.TrimPrefix(d.Image, "sha256:")), err
}

// Manifest returns the manifest of a version.
func (p *LocalPortal) Manifest(ctx context.Context, v slipway.Version) (slipway.Manifest, error) {
	files, err := p.e.filesOf(p.ns, v)
	return slipway.Manifest{Version: v, Files: files}, err
}

// Frames returns a part of a pack, as bundle.Source has it.
func (p *LocalPortal) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	return p.from.Frames(ctx, pack, offset, length)
}

// Report takes what an agent says of its component.
func (p *LocalPortal) Report(_ context.Context, r slipway.Report) error {
	if r.Agent == "" {
		r.Agent = p.e.cfg.Agent
	}
	if err := p.e.live.put(p.of, r, p.e.store.Now()); err != nil {
		return err
	}
	p.e.watchers.reported(p.of)
	return nil
}

// OpenManifest opens the manifest of a version as it is kept.
func (p *LocalPortal) OpenManifest(v slipway.Version) (bundle.File, error) {
	f, err := p.e.bundles.OpenManifest(p.ns, v)
	if _, named := v.Time(); !named || errors.Is(err, fs.ErrNotExist) {
		return nil, slipway.Errorf(slipway.NotFound, "There is no DAG bundle version %s, or it is no longer kept.", v)
	}
	return f, err
}

// OpenPack opens a pack's file.
func (p *LocalPortal) OpenPack(sha string) (bundle.File, error) {
	f, err := p.e.bundles.OpenPack(p.ns, sha)
	if len(sha) != 64 || errors.Is(err, fs.ErrNotExist) {
		return nil, slipway.Errorf(slipway.NotFound, "There is no pack %s, or it is no longer kept.", sha)
	}
	return f, err
}

// ManifestURL returns an address at which the bucket hands the manifest of a
// version out for a while; "" where only the portal does.
func (p *LocalPortal) ManifestURL(ctx context.Context, v slipway.Version) (string, error) {
	return p.e.bundles.ManifestURL(ctx, p.ns, v)
}

// PackURL is ManifestURL for a pack.
func (p *LocalPortal) PackURL(ctx context.Context, sha string) (string, error) {
	return p.e.bundles.PackURL(ctx, p.ns, sha)
}

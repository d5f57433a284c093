package deploy

import (
	"context"
	"fmt"
	"io"
	"time"

	"slipway"
	"slipway/bundle"
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
	changed, stop := p.e.Watch(p.of)
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
		d, err := tx.LoadDeployment(p.of)
		if err != nil {
			return err
		}
		n, err := tx.Revision(p.of)
		want = d.Desired(fmt.Sprintf("%d/%s", n, d.Version)) // the version tells restored backups apart
		return err
	})
	return want, err
}

// Manifest returns the manifest of a version.
func (p *LocalPortal) Manifest(ctx context.Context, v slipway.Version) (slipway.Manifest, error) {
	files, err := p.e.filesOf(ctx, p.ns, v)
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
	p.e.live.put(p.of, r, p.e.store.Now())
	p.e.watchers.notify(p.of)
	return nil
}

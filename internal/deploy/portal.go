package deploy

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// AgentPortal is the portal for the agents of one Deployment: the embedded agent
// calls an AgentPortal, and web/agents.go does for agents elsewhere.
type AgentPortal struct {
	*portals
	of    slipway.DeploymentID
	token slipway.TokenID // "" for the embedded agent
	ns    string
	from  bundle.Source
}

// With returns p for an agent with a token.
func (p AgentPortal) With(token slipway.TokenID) *AgentPortal {
	p.token = token
	return &p
}

// pollFor is how long Desired waits for something new.
const pollFor = 30 * time.Second

// portals makes the AgentPortal of a Deployment.
type portals struct {
	*base
	components *components
}

// Portal returns the portal for the agents of d.
func (p *portals) Portal(d slipway.Deployment) *AgentPortal {
	return &AgentPortal{portals: p, of: d.ID, ns: d.Namespace, from: p.bundles.Source(d.Namespace)}
}

// Desired returns the desired state: at once if the revision differs from
// since, otherwise after a change or half a minute.
func (p *AgentPortal) Desired(ctx context.Context, since string) (slipway.Desired, error) {
	changed, stop := p.watchers.add(watch{of: p.of})
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

func (p *AgentPortal) desired(ctx context.Context) (want slipway.Desired, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		d, revision, err := desiredIn(tx, p.of)
		if err != nil {
			return err
		}
		want = d.Desired(revision)
		return nil
	})
	return want, err
}

// Manifest opens the stored manifest of a version, as in mount.Source.
func (p *AgentPortal) Manifest(ctx context.Context, v slipway.Version) (io.ReadCloser, error) {
	return p.OpenManifest(ctx, v)
}

// Frames returns a part of a pack, as in bundle.Source.
func (p *AgentPortal) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	return p.from.Frames(ctx, pack, offset, length)
}

// Report records an agent's report about a component.
func (p *AgentPortal) Report(ctx context.Context, r slipway.Report) error {
	if r.Agent == "" {
		r.Agent = p.cfg.Agent
	}
	err := p.components.reports.put(p.of, p.token, r, p.store.Now())
	if err == nil && r.Kind == slipway.Rollout && r.Image != "" {
		err = p.imageRuns(ctx)
	}
	p.watchers.reported(p.of) // of a refusal, too
	return err
}

// imageRuns records once that the agents run the image with Airflow's DAGs.
func (p *AgentPortal) imageRuns(ctx context.Context) error {
	runs := func(tx *store.Tx) (d slipway.Deployment, runs bool, err error) {
		d, err = tx.LoadDeployment(p.of)
		return d, d.ToRun != "" && slipway.KnownToRun(d.ToRun, p.components.Components(p.of), tx.Now), err
	}
	found := false
	err := p.store.View(ctx, func(tx *store.Tx) (err error) {
		_, found, err = runs(tx)
		return err
	})
	if err != nil || !found {
		return err
	}
	return p.store.Update(ctx, func(tx *store.Tx) error {
		d, found, err := runs(tx)
		if err != nil || !found {
			return err
		}
		d.ToRun = ""
		return tx.SaveToRun(d)
	})
}

// OpenManifest opens the stored manifest of a version.
func (p *AgentPortal) OpenManifest(ctx context.Context, v slipway.Version) (bundle.File, error) {
	f, err := p.bundles.OpenManifest(ctx, p.ns, v)
	if _, named := v.Time(); !named || errors.Is(err, fs.ErrNotExist) {
		return nil, slipway.Errorf(slipway.NotFound, "There is no DAG bundle version %s, or it is no longer kept.", v)
	}
	return f, err
}

// OpenPack opens a pack's file.
func (p *AgentPortal) OpenPack(sha string) (bundle.File, error) {
	f, err := p.bundles.OpenPack(p.ns, sha)
	if len(sha) != 64 || errors.Is(err, fs.ErrNotExist) {
		return nil, slipway.Errorf(slipway.NotFound, "There is no pack %s, or it is no longer kept.", sha)
	}
	return f, err
}

// ManifestURL returns a temporary address of a version's manifest in the
// bucket; "" where only the portal serves manifests.
func (p *AgentPortal) ManifestURL(ctx context.Context, v slipway.Version) (string, error) {
	return p.bundles.ManifestURL(ctx, p.ns, v)
}

// PackURL is ManifestURL for a pack.
func (p *AgentPortal) PackURL(ctx context.Context, sha string) (string, error) {
	return p.bundles.PackURL(ctx, p.ns, sha)
}

// Log adds lines from the agent of a component to the log of the deploy in
// rollout. Without a rollout, the lines are dropped.
func (p *AgentPortal) Log(ctx context.Context, component string, lines []string) error {
	heard := false
	err := p.store.Update(ctx, func(tx *store.Tx) error {
		w, found, err := tx.Rolling(p.of)
		if err != nil || !found {
			return err
		}
		heard = true
		return addLog(tx, w, component, lines)
	})
	if err == nil && heard {
		p.watchers.notify(p.of)
	}
	return err
}

// addLog stores lines up to the limit of a log.
func addLog(tx *store.Tx, w slipway.Deploy, component string, lines []string) error {
	full, err := tx.Log(w.ID, logLines-1, 1)
	if err != nil || len(full) > 0 {
		return err
	}
	texts := make([]string, len(lines))
	for i, text := range lines {
		texts[i] = component + ": " + plain(text)
	}
	return tx.AddLog(w.ID, texts)
}

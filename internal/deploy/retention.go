package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// The default interval of retention rounds, and the delay of the first round
// after a start: by the end of the delay, every running component has reported
// its version.
const (
	retainEvery = time.Hour
	retainFirst = 2 * slipway.SilentAfter
)

// retention deletes expired versions and images.
type retention struct {
	*base
	components *components
	contents   *contents
	images     *images
	orphans    *orphans
}

// runRetention has versions expire from time to time until ctx ends.
func (r *retention) runRetention(ctx context.Context) {
	every := r.cfg.RetainEvery
	if every <= 0 {
		every = retainEvery
	}
	next := time.NewTimer(min(every, retainFirst))
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		if err := r.retainAll(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("retain", slog.Any("error", err))
		}
		next.Reset(every)
	}
}

func (r *retention) retainAll(ctx context.Context) error {
	if r.cfg.Round != nil {
		if err := r.cfg.Round(ctx); err != nil {
			return err
		}
	}
	var all []slipway.Deployment
	err := r.store.View(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.AllDeployments()
		return err
	})
	for _, d := range all {
		err = errors.Join(err, r.retain(ctx, d.ID))
	}
	return errors.Join(err, r.orphans.deleteOrphans(ctx), r.images.retainImages(ctx, all))
}

// expireMax is how many versions expire in one transaction: others have to
// write, too.
const expireMax = 100

// retain removes the expired versions of a Deployment. The files left by a
// crash go at the next start.
func (r *retention) retain(ctx context.Context, of slipway.DeploymentID) error {
	for {
		n, err := r.retainSome(ctx, of)
		if err != nil {
			return fmt.Errorf("retain versions of %s: %w", of, err)
		}
		if n < expireMax {
			return nil
		}
	}
}

// retainSome is retain for as many versions as may expire at a time, and
// returns how many did.
func (r *retention) retainSome(ctx context.Context, of slipway.DeploymentID) (n int, err error) {
	d, late, err := r.lateVersions(ctx, of)
	if err != nil || len(late) == 0 {
		return 0, err
	}
	err = r.store.Update(ctx, func(tx *store.Tx) (err error) {
		if d, late, err = r.expiredVersions(tx, of); err != nil { // checked once more: a return may have been queued
			return err
		}
		late = late[:min(len(late), expireMax)]
		for _, v := range late {
			if err := tx.DropVersion(of, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, v := range late {
		err = errors.Join(err, r.bundles.DropManifest(d.Namespace, v))
		r.contents.files.drop(versionKey(d.Namespace, v))
	}
	r.log.Info("versions expired", slog.String("deployment", d.Namespace), slog.Int("versions", len(late)))
	r.wakers.wakeStage(of) // deletes unused packs
	r.watchers.notify(of)
	return len(late), err
}

// lateVersions looks for expired versions without keeping anyone from writing.
func (r *retention) lateVersions(ctx context.Context, of slipway.DeploymentID) (d slipway.Deployment, late []slipway.Version, err error) {
	err = r.store.View(ctx, func(tx *store.Tx) (err error) {
		d, late, err = r.expiredVersions(tx, of)
		return err
	})
	if errors.Is(err, slipway.ErrNotFound) {
		return d, nil, nil // deleted
	}
	return d, late, err
}

// expiredVersions returns the versions of a Deployment to delete now.
func (r *retention) expiredVersions(tx *store.Tx, of slipway.DeploymentID) (d slipway.Deployment, late []slipway.Version, err error) {
	if d, err = tx.LoadDeployment(of); err != nil {
		return d, nil, err
	}
	if paused, err := deletionPausedIn(tx); err != nil || paused {
		return d, nil, err
	}
	old, err := tx.ReplacedBefore(of, tx.Now.Add(-d.KeepFor()))
	if err != nil || len(old) == 0 {
		return d, nil, err
	}
	held, err := r.holds(tx, d)
	if err != nil {
		return d, nil, err
	}
	for _, v := range old {
		if d.Retention(v.Version, v.ReplacedAt, held).Expired(tx.Now) {
			late = append(late, v.Version)
		}
	}
	return d, late, nil
}

// holds returns the reasons that keep versions of d from expiring.
func (r *retention) holds(tx *store.Tx, d slipway.Deployment) (slipway.Holds, error) {
	last, err := tx.LastVersions(d.ID, d.KeepLast())
	if err != nil {
		return nil, err
	}
	needed, err := tx.NeededVersions(d.ID)
	if err != nil {
		return nil, err
	}
	return d.Holds(last, needed, r.components.Components(d.ID)), nil
}

// Cost is the disk space of a version, and the time of its expiry.
type Cost struct {
	Stored    int64 // bytes added by the version: the manifest and new contents
	Frees     int64 // bytes freed by deleting the version now: contents in no other version
	Retention slipway.Retention
}

// VersionCosts returns the costs of versions of a Deployment, without versions
// that are no longer kept. The caller has checked the role for the Deployment.
func (r *retention) VersionCosts(ctx context.Context, of slipway.DeploymentID, versions []slipway.Version) (map[slipway.Version]Cost, error) {
	costs := make(map[slipway.Version]Cost, len(versions))
	err := r.store.View(ctx, func(tx *store.Tx) error {
		d, err := tx.LoadDeployment(of)
		if err != nil {
			return err
		}
		held, err := r.holds(tx, d)
		if err != nil {
			return err
		}
		for _, v := range versions {
			k, kept, err := tx.KeptVersion(of, v)
			if err != nil {
				return err
			}
			if kept {
				costs[v] = Cost{Stored: k.Stored, Frees: k.Frees, Retention: d.Retention(v, k.ReplacedAt, held)}
			}
		}
		return nil
	})
	return costs, err
}

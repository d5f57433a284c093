package deploy

import (
	"context"
	"errors"
	"fmt"

	"slipway"
	"slipway/store"
)

// broughtLife is for how long an image is known that was brought and never
// wanted, in lives of a deploy that nobody finishes.
const broughtLife = 2 * slipway.UnfinishedLife

// retainImages forgets the images that no deploy needs any more, and has the
// registry remove what is left of them.
func (e *Engine) retainImages(ctx context.Context, all []slipway.Deployment) error {
	leased := false
	err := e.store.Update(ctx, func(tx *store.Tx) (err error) {
		if leased, err = tx.Leased(); err != nil || leased { // a backup reads what records name
			return err
		}
		for _, d := range all {
			err = errors.Join(err, tx.ForgetImages(d, tx.Now.Add(-d.KeepFor()), tx.Now.Add(-broughtLife)))
		}
		return err
	})
	if err != nil || leased {
		return err
	}
	if err := e.cfg.Images.Sweep(ctx, func() (map[string][]string, error) { return e.keptImages(ctx) }, e.store.Now()); err != nil {
		return fmt.Errorf("sweep registry: %w", err)
	}
	return e.dropOrphans(ctx)
}

// dropOrphans drops what a push wrote while its Deployment was deleted.
func (e *Engine) dropOrphans(ctx context.Context) error {
	namespaces, err := e.cfg.Images.Namespaces()
	for _, ns := range namespaces {
		if err != nil {
			return err
		}
		err = e.store.View(ctx, func(tx *store.Tx) error {
			_, err := tx.DeploymentIn(ns)
			return err
		})
		if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
			err = e.cfg.Images.Drop(ctx, ns)
		}
	}
	return err
}

// keptImages returns the digests that deploys need, by repository.
func (e *Engine) keptImages(ctx context.Context) (all map[string][]string, err error) {
	err = e.store.View(ctx, func(tx *store.Tx) error {
		all, err = tx.ImageRepositories()
		return err
	})
	return all, err
}

// imageKept refuses a return to an image that is no longer in the portal's
// registry. Those of others are theirs to keep.
func imageKept(tx *store.Tx, next slipway.Deploy) error {
	if !next.Kind.HasImage() || next.After.ImageName == "" || hostOf(next.After.ImageName) != "" {
		return nil
	}
	_, kept, err := tx.Image(next.Deployment, next.After.Image)
	if err == nil && !kept {
		err = slipway.Errorf(slipway.Conflict, "The image of deploy #%d is no longer kept.", next.ReturnTo)
	}
	return err
}

func (e *Engine) imageKept(ctx context.Context, next slipway.Deploy) error {
	return e.store.View(ctx, func(tx *store.Tx) error { return imageKept(tx, next) })
}

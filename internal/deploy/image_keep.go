package deploy

import (
	"context"
	"errors"
	"fmt"

	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// broughtLife is for how long an image is known that was brought and never
// wanted, in lives of a deploy that nobody finishes.
const broughtLife = 2 * slipway.UnfinishedLife

// retainImages forgets the images that no deploy needs any more, and has the
// registry remove what is left of them.
func (e *Engine) retainImages(ctx context.Context, all []slipway.Deployment) error {
	kept := false
	err := e.store.Update(ctx, func(tx *store.Tx) (err error) {
		if kept, err = deletionPausedIn(tx); err != nil || kept {
			return err
		}
		for _, d := range all {
			err = errors.Join(err, tx.ForgetImages(d, tx.Now.Add(-d.KeepFor()), tx.Now.Add(-broughtLife)))
		}
		return err
	})
	if err != nil || kept {
		return err
	}
	if err := e.cfg.Images.Sweep(ctx, func() (image.Needed, error) { return e.neededImages(ctx) }, e.store.Now()); err != nil {
		return fmt.Errorf("sweep registry: %w", err)
	}
	return nil
}

// neededImages returns what the registry keeps: the images that deploys need,
// and all of the namespaces that no record names. Those are set aside, also
// where a push wrote to one while its Deployment was deleted.
func (e *Engine) neededImages(ctx context.Context) (n image.Needed, err error) {
	there, err := e.cfg.Images.Namespaces()
	if err != nil {
		return n, err
	}
	err = e.store.View(ctx, func(tx *store.Tx) error {
		if n.Digests, err = tx.ImageRepositories(); err != nil {
			return err
		}
		named, err := namedIn(tx)
		n.Whole = map[string]bool{}
		for _, ns := range there {
			n.Whole[ns] = !named[ns]
		}
		return err
	})
	return n, err
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

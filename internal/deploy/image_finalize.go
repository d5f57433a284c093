package deploy

import (
	"context"
	"errors"

	"slipway/internal/slipway"
	"slipway/store"
)

// closeImage settles which image a deploy of the API brings that waits for a
// push: what its tag names by now. From then on it is looked at. version is that
// of the DAGs that go with it, "" for none.
func (e *Engine) closeImage(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, version slipway.Version) error {
	w, err := e.DeployOf(ctx, of, id, by)
	if err != nil || !waitsForPush(w) {
		return err
	}
	if err := finishable(w, version); err != nil {
		return err
	}
	var d slipway.Deployment
	err = e.store.View(ctx, func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Tail(of, by); err != nil {
			return err
		}
		return d.MayMake(w, role, by)
	})
	if err != nil {
		return e.refused(ctx, w, err)
	}
	digest, err := e.cfg.Images.Pin(ctx, Repository(d), w.Tag)
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
		return slipway.Errorf(slipway.Conflict, "No image has been pushed as %s:%s yet. Push it, then finalize deploy #%d.", e.PushTarget(d), w.Tag, w.Number)
	}
	if err != nil {
		return err
	}
	return e.closed(ctx, d, w, digest)
}

// waitsForPush reports whether w is an image deploy whose image is to be pushed
// by its tag.
func waitsForPush(w slipway.Deploy) bool {
	return w.Kind.HasImage() && w.Status == slipway.Initialized && w.Image == nil && w.Source == "" && w.Switch == nil && w.Tag != ""
}

// closed records the digest that w was pushed with. DAGs that never came are no
// longer waited for.
func (e *Engine) closed(ctx context.Context, d slipway.Deployment, w slipway.Deploy, digest string) error {
	var dropped []string
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeploy(w.ID)
		if err != nil || !waitsForPush(now) {
			return err // the same request was faster
		}
		if err := mayNoLonger(tx, now); err != nil {
			return err
		}
		uploads, err := tx.UploadsFor(w.ID)
		if err != nil {
			return err
		}
		for _, u := range uploads {
			if u.ArrivedAt.IsZero() {
				dropped = append(dropped, u.ID)
				err = errors.Join(err, tx.DropUpload(u.ID))
			}
		}
		now.Source, now.WantsDAG = Repository(d)+":"+w.Tag+"@"+digest, now.WantsDAG && !now.UploadedAt.IsZero()
		_, err2 := tx.SaveDeploy(now)
		return errors.Join(err, err2)
	})
	if err != nil {
		return err
	}
	for _, id := range dropped {
		e.removeUpload(id)
	}
	e.wakers.wakeStage(d.ID)
	e.watchers.changed(d.ID, w.ID)
	return nil
}

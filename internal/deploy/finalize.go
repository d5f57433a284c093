package deploy

import (
	"context"
	"errors"

	"slipway/internal/slipway"
	"slipway/store"
)

// Guarded is the refusal of a deploy of the API that has to wait for a person.
type Guarded struct {
	Deploy  slipway.Deploy // staged; for a return the deploy to return to
	Warning string         // what a person has to agree to
}

func (g *Guarded) Error() string { return "guarded: " + g.Warning }

// Unwrap lets errors.As and Explain find the refusal in words.
func (g *Guarded) Unwrap() error {
	return slipway.Errorf(slipway.Conflict, "%s Deploys of the API are guarded for this Deployment: a person has to confirm this one.", g.Warning)
}

// Finish is how a deploy of the API is finalized.
type Finish struct {
	Version slipway.Version  // that the upload was given
	Base    *slipway.Version // that has to be the wanted one by then; nil for whichever it is
}

// finalizer finishes deploys of the API.
type finalizer struct {
	*base
	components  *components
	endings     *endings
	images      *images
	queue       *queue
	uploadFiles *uploadFiles
}

// Finalize confirms a deploy that came by the API, once it is staged. What a
// person would have to tick is noted on it, unless such deploys are guarded.
// Sent again, it changes nothing any more. A deploy that cannot be confirmed
// ends as failed with the reason. Beside an error the deploy is as it was read.
func (i *finalizer) Finalize(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, f Finish) (slipway.Deploy, error) {
	if err := i.closeImage(ctx, of, id, by, f.Version); err != nil {
		return slipway.Deploy{}, err
	}
	w, err := i.settledDeploy(ctx, of, id, by)
	if err != nil {
		return w, err
	}
	if err := finishable(w, f.Version); err != nil || w.Status != slipway.Staged {
		return w, err
	}
	queued, err := i.queue.confirm(ctx, of, w.Number, by, f.Base, unattended)
	if err == nil {
		return queued, nil
	}
	err = i.refused(ctx, w, err)
	if now, late := i.settledDeploy(ctx, of, id, by); late == nil && (now.Status.Active() || now.Status == slipway.Deployed) {
		return now, nil // the same request was faster, or a person
	}
	return w, err
}

// refused returns err, for which a deploy of the API is not taken, after it has
// ended the deploy where err is about that.
func (i *finalizer) refused(ctx context.Context, w slipway.Deploy, err error) error {
	if !failsDeploy(err) {
		return err
	}
	return errors.Join(err, i.endings.Refuse(ctx, w, err))
}

// unattended agrees to a deploy of the API: what a person would have to tick is
// noted on it, unless such deploys are guarded.
func unattended(projected slipway.Deployment, w slipway.Deploy, p slipway.Plan) (note string, err error) {
	if note = p.Warning(); note == "" {
		return "", nil
	}
	if projected.GuardAPI {
		if w.ReturnTo != 0 { // it has no number yet: the page is that of the deploy to return to
			w.Number = w.ReturnTo
		}
		return "", &Guarded{Deploy: w, Warning: note}
	}
	return note, p.Check(p.Ticks())
}

// failsDeploy reports whether a deploy of the API that was refused with err ends
// as failed: nobody would send it again. It does not where a guarded deploy waits
// for a person, where it may be sent against the right base, and where err is
// about the rights of its sender.
func failsDeploy(err error) bool {
	if _, guarded := errors.AsType[*Guarded](err); guarded || errors.Is(err, slipway.ErrBaseChanged) {
		return false
	}
	kind, _ := slipway.Explain(err)
	return kind == slipway.Invalid || kind == slipway.Conflict || kind == slipway.TooLarge
}

// finishable judges whether a deploy may be finalized, or was.
func finishable(w slipway.Deploy, version slipway.Version) error {
	switch {
	case w.UploadedAt.IsZero() && (version != "" || !w.Kind.HasImage()) && w.Kind != slipway.ImageOnly && !w.Status.Ended():
		return slipway.Errorf(slipway.Conflict, "The files of deploy #%d have not been uploaded yet. Upload them, then finalize it.", w.Number)
	case w.Status == slipway.Failed && w.StagedAt.IsZero() && w.Reason != "":
		return slipway.Errorf(slipway.Invalid, "%s", w.Reason) // what is wrong with the files
	case w.Status == slipway.Failed || w.Status == slipway.Cancelled:
		return errEnded(w)
	case w.Kind == slipway.ImageOnly || version == "" && w.UploadedAt.IsZero():
		return nil // no DAGs
	case version == "":
		return slipway.Errorf(slipway.Invalid, "Say which upload is meant: dagTarballVersion is empty. It is the x-ms-version-id that the upload was answered with.")
	case version != w.Version:
		return slipway.Errorf(slipway.Invalid, "The DAG bundle version %q is not that of deploy #%d, which is %s.", version, w.Number, w.Version)
	}
	return nil
}

// settledDeploy returns a deploy of a Deployment by id, as soon as it is known
// whether its files can be deployed.
func (i *finalizer) settledDeploy(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor) (slipway.Deploy, error) {
	changed, stop := i.components.WatchDeploy(of, id)
	defer stop()
	for {
		w, err := i.DeployOf(ctx, of, id, by)
		if err != nil || w.Status != slipway.Initialized || !arriving(w) {
			return w, err
		}
		select {
		case <-ctx.Done():
			return w, ctx.Err()
		case <-changed:
		}
	}
}

// arriving reports whether what there is of w is being checked, so that it will
// soon be known.
func arriving(w slipway.Deploy) bool {
	if !w.Kind.HasImage() {
		return !w.UploadedAt.IsZero()
	}
	return w.Image == nil && (w.Source != "" || w.Switch != nil) || w.WantsDAG && !w.UploadedAt.IsZero()
}

// DeployOf returns a deploy of a Deployment by id. To someone who does not see
// the Deployment, or in another one, it does not exist.
func (i *finalizer) DeployOf(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor) (w slipway.Deploy, err error) {
	missing := slipway.Errorf(slipway.NotFound, "There is no deploy %s of Deployment %s.", id, of)
	err = i.store.View(ctx, func(tx *store.Tx) error {
		if _, _, err := tx.Deployment(of, by); err != nil {
			return err
		}
		w, err = tx.LoadDeploy(id)
		if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound || err == nil && w.Deployment != of {
			return missing
		}
		return err
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	return w, nil
}

// RollBack is Return as the API asks for it: against whatever is wanted, and
// with what a person would have to tick as a note, unless that is guarded.
func (i *finalizer) RollBack(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, reason string) (slipway.Deploy, error) {
	old, err := i.DeployOf(ctx, of, id, by)
	if err != nil {
		return old, err
	}
	return i.queue.returnTo(ctx, of, old.Number, by, nil, reason, unattended)
}

// closeImage settles which image a deploy of the API brings that waits for a
// push: what its tag names by now. From then on it is looked at. version is that
// of the DAGs that go with it, "" for none.
func (i *finalizer) closeImage(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, version slipway.Version) error {
	w, err := i.DeployOf(ctx, of, id, by)
	if err != nil || !waitsForPush(w) {
		return err
	}
	if err := finishable(w, version); err != nil {
		return err
	}
	var d slipway.Deployment
	err = i.store.View(ctx, func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Tail(of, by); err != nil {
			return err
		}
		return d.MayMake(w, role, by)
	})
	if err != nil {
		return i.refused(ctx, w, err)
	}
	digest, err := i.cfg.Images.Pin(ctx, Repository(d), w.Tag)
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
		return slipway.Errorf(slipway.Conflict, "No image has been pushed as %s:%s yet. Push it, then finalize deploy #%d.", i.images.PushTarget(d), w.Tag, w.Number)
	}
	if err != nil {
		return err
	}
	return i.closed(ctx, d, w, digest)
}

// waitsForPush reports whether w is an image deploy whose image is to be pushed
// by its tag.
func waitsForPush(w slipway.Deploy) bool {
	return w.Kind.HasImage() && w.Status == slipway.Initialized && w.Image == nil && w.Source == "" && w.Switch == nil && w.Tag != ""
}

// closed records the digest that w was pushed with. DAGs that never came are no
// longer waited for.
func (i *finalizer) closed(ctx context.Context, d slipway.Deployment, w slipway.Deploy, digest string) error {
	var dropped []string
	err := i.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeploy(w.ID)
		if err != nil || !waitsForPush(now) {
			return err // the same request was faster
		}
		if err := lostAccess(tx, now); err != nil {
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
		i.uploadFiles.removeUpload(id)
	}
	i.wakers.wakeStage(d.ID)
	i.watchers.changed(d.ID, w.ID)
	return nil
}

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

// Finalize confirms a deploy that came by the API, once it is staged. What a
// person would have to tick is noted on it, unless such deploys are guarded.
// Sent again, it changes nothing any more. A deploy that cannot be confirmed
// ends as failed with the reason. Beside an error the deploy is as it was read.
func (e *Engine) Finalize(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, f Finish) (slipway.Deploy, error) {
	if err := e.closeImage(ctx, of, id, by, f.Version); err != nil {
		return slipway.Deploy{}, err
	}
	w, err := e.settledDeploy(ctx, of, id, by)
	if err != nil {
		return w, err
	}
	if err := finishable(w, f.Version); err != nil || w.Status != slipway.Staged {
		return w, err
	}
	queued, err := e.confirm(ctx, of, w.Number, by, f.Base, unattended)
	if err == nil {
		return queued, nil
	}
	err = e.refused(ctx, w, err)
	if now, late := e.settledDeploy(ctx, of, id, by); late == nil && (now.Status.Active() || now.Status == slipway.Deployed) {
		return now, nil // the same request was faster, or a person
	}
	return w, err
}

// refused returns err, for which a deploy of the API is not taken, after it has
// ended the deploy where err is about that.
func (e *Engine) refused(ctx context.Context, w slipway.Deploy, err error) error {
	if !failsDeploy(err) {
		return err
	}
	return errors.Join(err, e.Refuse(ctx, w, err))
}

// unattended agrees to a deploy of the API: what a person would have to tick is
// noted on it, unless such deploys are guarded.
func unattended(tail slipway.Deployment, w slipway.Deploy, p slipway.Plan) (note string, err error) {
	if note = p.Warning(); note == "" {
		return "", nil
	}
	if tail.GuardAPI {
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

// Refuse ends a deploy that is not confirmed yet as failed, for the reason that
// its sender was told: whoever reads the history learns it, too. An error on our
// side is none.
func (e *Engine) Refuse(ctx context.Context, w slipway.Deploy, why error) error {
	kind, text := slipway.Explain(why)
	if kind == slipway.Internal {
		return nil
	}
	return e.giveUp(context.WithoutCancel(ctx), w, func(_ *store.Tx, now slipway.Deploy) (string, error) {
		if now.Status != slipway.Initialized && now.Status != slipway.Staged {
			return "", nil
		}
		return text, nil
	})
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
func (e *Engine) settledDeploy(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor) (slipway.Deploy, error) {
	changed, stop := e.WatchDeploy(of, id)
	defer stop()
	for {
		w, err := e.DeployOf(ctx, of, id, by)
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
func (e *Engine) DeployOf(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor) (w slipway.Deploy, err error) {
	missing := slipway.Errorf(slipway.NotFound, "There is no deploy %s of Deployment %s.", id, of)
	err = e.store.View(ctx, func(tx *store.Tx) error {
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
func (e *Engine) RollBack(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, reason string) (slipway.Deploy, error) {
	old, err := e.DeployOf(ctx, of, id, by)
	if err != nil {
		return old, err
	}
	return e.takeBack(ctx, of, old.Number, by, nil, reason, unattended)
}

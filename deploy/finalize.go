package deploy

import (
	"context"
	"errors"

	"slipway"
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
// Sent again, it changes nothing any more.
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
	for range finishTries {
		w, err = e.finalize(ctx, of, w.Number, by, f.Base)
		if !errors.Is(err, slipway.ErrBaseChanged) || f.Base != nil {
			break
		}
	}
	if now, late := e.settledDeploy(ctx, of, id, by); err != nil && late == nil && (now.Status.Active() || now.Status == slipway.Deployed) {
		return now, nil // the same request was faster
	}
	return w, err
}

// finishTries is how often others may come in between.
const finishTries = 20

// finishable judges whether a deploy may be finalized, or was.
func finishable(w slipway.Deploy, version slipway.Version) error {
	switch {
	case w.UploadedAt.IsZero() && (version != "" || !w.Kind.HasImage()) && w.Kind != slipway.ImageOnly && !w.Status.Ended():
		return slipway.Errorf(slipway.Conflict, "The files of deploy #%d have not been uploaded yet. Upload them, then finalize it.", w.Number)
	case w.Status == slipway.Failed && w.QueuedAt.IsZero() && w.Reason != "":
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
	changed, stop := e.Watch(of)
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

// finalize confirms a staged deploy against base, nil for the version that is
// wanted at the end of the queue.
func (e *Engine) finalize(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, base *slipway.Version) (slipway.Deploy, error) {
	b, w, staged, err := e.stagedDeploy(ctx, of, number, by)
	if err != nil {
		return w, err
	}
	if base == nil {
		base = &b.tail.Version
	}
	if _, err := b.tail.Confirm(w, b.role, by, *base); err != nil {
		return w, err
	}
	plan, err := e.plan(b, w, staged)
	if err != nil {
		return w, err
	}
	warning := plan.Warning()
	if warning != "" && b.tail.GuardAPI {
		return w, &Guarded{Deploy: w, Warning: warning}
	}
	if err := e.note(ctx, w.ID, warning); err != nil {
		return w, err
	}
	return e.Confirm(ctx, of, number, by, *base, plan.Ticks())
}

// note keeps what there is to say of a deploy that waits to be confirmed.
func (e *Engine) note(ctx context.Context, id slipway.DeployID, text string) error {
	return e.store.Update(ctx, func(tx *store.Tx) error {
		w, err := tx.LoadDeploy(id)
		if err != nil || w.Status != slipway.Staged || w.Note == text {
			return err
		}
		w.Note = text
		_, err = tx.SaveDeploy(w)
		return err
	})
}

// RollBack is Return as the API asks for it: against whatever is wanted, and
// with what a person would have to tick as a note, unless that is guarded.
func (e *Engine) RollBack(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, reason string) (slipway.Deploy, error) {
	old, err := e.DeployOf(ctx, of, id, by)
	if err != nil {
		return old, err
	}
	var w slipway.Deploy
	for range finishTries {
		if w, err = e.rollBack(ctx, of, old.Number, by, reason); !errors.Is(err, slipway.ErrBaseChanged) {
			break
		}
	}
	return w, err
}

func (e *Engine) rollBack(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, reason string) (slipway.Deploy, error) {
	r, err := e.ReviewReturn(ctx, of, number, by)
	if err != nil {
		return slipway.Deploy{}, err
	}
	if r.Refusal != nil {
		return slipway.Deploy{}, r.Refusal
	}
	warning := r.Plan.Warning()
	if warning != "" && r.Tail.GuardAPI {
		return slipway.Deploy{}, &Guarded{Deploy: slipway.Deploy{Deployment: of, Number: number, ReturnTo: number}, Warning: warning}
	}
	w, err := e.Return(ctx, of, number, by, r.Base, r.Plan.Ticks(), reason)
	if err != nil || warning == "" {
		return w, err
	}
	return w, e.addNote(ctx, w.ID, warning)
}

// addNote puts text before what is noted of a deploy by now: it may have ended.
func (e *Engine) addNote(ctx context.Context, id slipway.DeployID, text string) error {
	return e.store.Update(ctx, func(tx *store.Tx) error {
		w, err := tx.LoadDeploy(id)
		if err != nil {
			return err
		}
		if w.Note != "" {
			text += " " + w.Note
		}
		w.Note = text
		_, err = tx.SaveDeploy(w)
		return err
	})
}

package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// rollouts rolls images out.
type rollouts struct {
	*base
	applier    *applier
	awaiter    *awaiter
	components *components
	contents   *contents
	endings    *endings
	versions   *versions
}

// rollOut makes an image deploy live: first the image, then the DAGs, and the
// records last. Until the records are written, rollOut can undo all steps, and
// after a crash rollOut begins again.
func (o *rollouts) rollOut(ctx context.Context, w slipway.Deploy) error {
	if w.Reason != "" { // a crash interrupted the undo
		return o.undoOnce(ctx, w)
	}
	now, err := o.tryRollOut(ctx, w)
	if err == nil || ctx.Err() != nil {
		return ctx.Err() // goes on after the next start
	}
	switch kind, text := slipway.Explain(unavailable(err)); kind {
	case slipway.NoSpace, slipway.Unavailable:
		return err // a confirmed deploy waits for disk space, or for the bucket
	case slipway.Internal:
		o.log.Error("roll out", slog.Any("deploy", w.ID), slog.Any("error", err))
		now.Reason = internalReason
	default:
		now.Reason = text
	}
	if now.RollingAt.IsZero() {
		d, _, err := o.awaiter.desiredOf(ctx, w.Deployment)
		if err != nil {
			return err
		}
		return o.failRollOut(ctx, d, w, now.Reason)
	}
	return o.undo(ctx, now)
}

// tryRollOut returns w with the progress made.
func (o *rollouts) tryRollOut(ctx context.Context, w slipway.Deploy) (slipway.Deploy, error) {
	d, r, err := o.versions.prepare(ctx, w)
	if err != nil {
		return w, err
	}
	if d.Brings(w) {
		if r, err = o.versions.storeVersion(ctx, d, w, r); err != nil {
			return w, err
		}
	}
	if err := o.awaiter.mayRemoveDAGs(ctx, d, w); err != nil {
		return w, err
	}
	note, err := o.rollOutImage(ctx, d, &w)
	if err != nil {
		return w, err
	}
	if w.Kind == slipway.ImageAndDAG {
		if err := o.mountDAGs(ctx, &w); err != nil {
			return w, err
		}
	}
	r.applied = d.Local && d.ApplyCommand != "" || slipway.KnownToRun(d.State.With(w).Image, o.components.Components(d.ID), o.store.Now())
	return o.recordLive(ctx, w, r, note)
}

// rollOutImage rolls out the image of w, and returns a note for the deploy.
func (o *rollouts) rollOutImage(ctx context.Context, d slipway.Deployment, w *slipway.Deploy) (note string, err error) {
	connected := o.components.connected(w.Deployment, slipway.Rollout)
	if err := o.setDesired(ctx, w, func(now *slipway.Deploy, at time.Time) { now.RollingAt, now.MountingAt = at, time.Time{} }); err != nil {
		return "", err
	}
	if d.Local {
		if note, err = o.applier.applyLocal(ctx, d, *w, d.Wanted(w)); err != nil {
			return note, err
		}
	}
	v, err := o.awaiter.awaitPart(ctx, *w, part{kind: slipway.Rollout, within: o.cfg.ApplyTimeout, removesDAGs: d.RemovesDAGs(*w), connected: connected})
	switch {
	case err != nil:
		return note, err
	case !v.done:
		return note, slipway.Errorf(slipway.Conflict, "The image was not rolled out everywhere%s: %s.", v.within(o.cfg.ApplyTimeout), strings.TrimSuffix(v.failing, "."))
	}
	return strings.TrimSpace(note + " " + v.note), nil
}

// mountDAGs waits until the DAGs of w are mounted, or the DAGs of the image are
// visible.
func (o *rollouts) mountDAGs(ctx context.Context, w *slipway.Deploy) error {
	connected := o.components.connected(w.Deployment, slipway.Sidecar)
	if err := o.setDesired(ctx, w, func(now *slipway.Deploy, at time.Time) { now.MountingAt = at }); err != nil {
		return err
	}
	v, err := o.awaiter.awaitPart(ctx, *w, part{kind: slipway.Sidecar, within: o.cfg.MountTimeout, connected: connected})
	if err == nil && !v.done {
		err = slipway.Errorf(slipway.Conflict, "The image was rolled out, but its DAGs were not mounted everywhere%s: %s.", v.within(o.cfg.MountTimeout), strings.TrimSuffix(v.failing, "."))
	}
	return err
}

func (v outcome) within(timeout time.Duration) string {
	if v.stuck {
		return ""
	}
	return fmt.Sprintf(" within %s", timeout)
}

// setDesired changes the desired state of the components by changing w.
func (o *rollouts) setDesired(ctx context.Context, w *slipway.Deploy, change func(now *slipway.Deploy, at time.Time)) error {
	o.components.reports.clearErrors(w.Deployment)
	err := o.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeploy(w.ID)
		if err != nil {
			return err
		}
		if now.Status != slipway.Deploying {
			return fmt.Errorf("deploy %s is %s", now.ID, now.Status)
		}
		change(&now, tx.Now)
		*w, err = tx.SaveDeploy(now)
		return errors.Join(err, tx.WakeAgents(w.Deployment))
	})
	o.watchers.changed(w.Deployment, w.ID)
	return err
}

// recordLive records w as live, after the components run all parts.
func (o *rollouts) recordLive(ctx context.Context, w slipway.Deploy, r versionChange, note string) (slipway.Deploy, error) {
	err := o.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		live, err := commit(tx, w, r)
		if err != nil {
			return err
		}
		live.Status, live.Note = slipway.Deployed, strings.TrimSpace(live.Note+" "+note)
		if w.Purpose() == slipway.ForSwitch {
			d, err := tx.LoadDeployment(w.Deployment)
			if err != nil {
				return err
			}
			err = tx.Audit(w.ConfirmedBy, slipway.Event{Workspace: d.Workspace, Deployment: d.ID, Action: "switch.apply", Target: d.Name, Detail: slipway.OnOff(w.Switch.On)})
			if err != nil {
				return err
			}
		}
		w, err = tx.SaveDeploy(live)
		return err
	})
	o.watchers.changed(w.Deployment, w.ID)
	o.wakers.wakeMerge(w.Deployment)
	return w, err
}

// undo records the reason of the failure, and undoes w.
func (o *rollouts) undo(ctx context.Context, w slipway.Deploy) error {
	reason := w.Reason
	err := o.setDesired(ctx, &w, func(now *slipway.Deploy, _ time.Time) { now.Reason = reason })
	if err != nil {
		return err
	}
	return o.undoOnce(ctx, w)
}

// undoOnce rolls the image before w out again, and fails w. The recorded state
// has not changed.
func (o *rollouts) undoOnce(ctx context.Context, w slipway.Deploy) error {
	d, _, err := o.awaiter.desiredOf(ctx, w.Deployment)
	if err != nil {
		return err
	}
	reason := w.Reason
	if d.Local {
		_, err = o.applier.applyLocal(ctx, d, w, d.State)
		switch kind, text := slipway.Explain(err); {
		case ctx.Err() != nil:
			return ctx.Err() // goes on after the next start
		case err != nil && kind == slipway.Internal:
			o.log.Error("go back", slog.Any("deploy", w.ID), slog.Any("error", err))
			reason += " Going back failed, too: the portal could not write " + imageEnvName + " or its records, and its log has the cause. Check which image Airflow runs."
		case err != nil:
			reason += " Going back failed, too: " + text
		}
	}
	if d.Image != "" && err == nil {
		reason += " The image before is wanted again, and nothing else has changed."
	}
	return o.failRollOut(ctx, d, w, reason)
}

// failRollOut fails w, and removes the unused version of w.
func (o *rollouts) failRollOut(ctx context.Context, d slipway.Deployment, w slipway.Deploy, reason string) error {
	if w.Version != "" && w.Purpose() != slipway.ForReturn {
		o.contents.files.drop(versionKey(d.Namespace, w.Version))
		if err := o.versions.dropUnretained(ctx, d, w.Version); err != nil {
			return err
		}
	}
	return o.endings.fail(ctx, w, reason)
}

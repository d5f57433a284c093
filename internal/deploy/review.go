package deploy

import (
	"context"

	"slipway/internal/slipway"
	"slipway/store"
)

// Review is what a deploy will do or did.
type Review struct {
	Deployment slipway.Deployment // as it is now
	Tail       slipway.Deployment // as it will be at the end of its queue
	Role       slipway.Role
	Deploy     slipway.Deploy
	Base       slipway.Version // the version that the changes are against
	BaseDeploy *slipway.Deploy // that brought it, or is about to; nil for none
	Plan       slipway.Plan
	GoesBack   map[string]slipway.Deploy // the earlier deploy that a file returns to, by path
	Report     store.Report              // what of the upload is not deployed
	NewBytes   int64                     // to be stored
	Image      *ImageReview              // nil where no image is rolled out
	Reminders  []string                  // sentences about the image that runs, or will
	Refusal    error                     // why this person could not confirm it now; nil if they could

	was slipway.State // before it
}

// goesBackMax is how many changed files are looked up in the history.
const goesBackMax = 200

// Review returns what a staged deploy will do.
func (e *Engine) Review(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (Review, error) {
	b, w, staged, err := e.stagedDeploy(ctx, of, number, by)
	if err != nil {
		return Review{}, err
	}
	if w.Status != slipway.Staged {
		return Review{}, slipway.Errorf(slipway.Conflict, "Deploy #%d does not wait to be confirmed: it is %s.", number, w.Status)
	}
	r := b.review(w)
	plan, impossible := e.plan(b, w, staged)
	if kind, _ := slipway.Explain(impossible); impossible != nil && kind == slipway.Internal {
		return r, impossible
	}
	r.Plan = plan
	if _, r.Refusal = b.tail.Confirm(w, b.role, by, r.Base); r.Refusal == nil {
		r.Refusal = impossible
	}
	return r, e.history(ctx, &r)
}

// review returns what is known without the files.
func (b basis) review(w slipway.Deploy) Review {
	return Review{
		Deployment: b.now, Tail: b.tail, Role: b.role, Deploy: w, Base: b.tail.Version, NewBytes: w.Counts.NewBytes, was: b.tail.State,
	}
}

// ReviewReturn returns what a return to deploy number would do.
func (e *Engine) ReviewReturn(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (Review, error) {
	b, old, retained, err := e.oldDeploy(ctx, of, number, by)
	if err != nil {
		return Review{}, err
	}
	next, refusal := b.tail.Return(old, b.role, retained)
	if refusal != nil {
		next = slipway.Deploy{Deployment: of, ReturnTo: number, Version: old.After.Version, After: old.After}
	}
	next.By, next.Merge = by, slipway.ReplaceAll
	r := b.review(next)
	if r.Refusal = refusal; refusal == nil {
		r.Refusal = e.imageKept(ctx, next)
	}
	if retained || old.WentLive() && !old.After.Mounted {
		if r.Plan, err = e.planReturn(b, next); err != nil {
			return r, err
		}
	}
	return r, e.history(ctx, &r)
}

// Done returns what a deploy did, or does when its turn comes: its changes
// against the version before it. They are nil where a version is no longer kept.
func (e *Engine) Done(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (Review, error) {
	b, w, staged, err := e.stagedDeploy(ctx, of, number, by)
	if err != nil {
		return Review{}, err
	}
	r := b.review(w)
	r.Base, r.Plan.Counts = w.Base, w.Counts
	switch {
	case w.WentLive():
		err = e.planDone(&r)
	case w.Status.Active():
		b = b.before(w)
		r.Base, r.was = b.tail.Version, b.tail.State
		err = e.planQueued(&r, b, staged)
	}
	if err != nil {
		return r, err
	}
	return r, e.history(ctx, &r)
}

// planDone fills in what a deploy that went live did.
func (e *Engine) planDone(r *Review) error {
	base, err := e.filesOf(r.Deployment.Namespace, r.Deploy.Base)
	if err == nil {
		var next []slipway.File
		if next, err = e.filesOf(r.Deployment.Namespace, r.Deploy.After.Version); err == nil {
			r.Plan = slipway.NewPlan(base, next)
		}
	}
	if kind, _ := slipway.Explain(err); err != nil && kind != slipway.NotFound {
		return err
	}
	return nil
}

// planQueued fills in what a deploy will do when its turn comes.
func (e *Engine) planQueued(r *Review, before basis, staged []byte) (err error) {
	if r.Deploy.ReturnTo != 0 {
		r.Plan, err = e.planReturn(before, r.Deploy)
		return err
	}
	r.Plan, err = e.plan(before, r.Deploy, staged)
	if kind, _ := slipway.Explain(err); err != nil && kind != slipway.Internal {
		r.Refusal = err
		return nil
	}
	return err
}

// history fills in what earlier deploys have to do with r.
func (e *Engine) history(ctx context.Context, r *Review) error {
	return e.store.View(ctx, func(tx *store.Tx) (err error) {
		if r.Report, err = tx.StagedReport(r.Deploy.ID); err != nil {
			return err
		}
		if r.BaseDeploy, err = baseDeploy(tx, r.Deployment.ID, r.Base); err != nil {
			return err
		}
		if r.GoesBack, err = goesBack(tx, r.Deploy, r.Plan.Changes); err != nil {
			return err
		}
		if r.Deploy.WentLive() {
			before, _, err := tx.LiveBefore(r.Deploy)
			if err != nil {
				return err
			}
			r.was = before.After
		}
		return e.reviewImage(tx, r, r.was)
	})
}

// baseDeploy returns the deploy that brought version v, or is about to.
func baseDeploy(tx *store.Tx, of slipway.DeploymentID, v slipway.Version) (*slipway.Deploy, error) {
	if v == "" {
		return nil, nil
	}
	w, found, err := tx.VersionDeploy(of, v)
	if err != nil || found {
		return &w, err
	}
	queue, err := tx.Queue(of)
	for _, t := range queue {
		if t.Deploy != nil && t.Deploy.Version == v {
			return t.Deploy, err
		}
	}
	return nil, err
}

// goesBack returns the earlier deploys whose contents the changed files have
// again, by path.
func goesBack(tx *store.Tx, w slipway.Deploy, changes []slipway.Change) (map[string]slipway.Deploy, error) {
	back, looked := map[string]slipway.Deploy{}, 0
	for _, c := range changes {
		if c.New.SHA256 == "" || c.New.SHA256 == c.Old.SHA256 {
			continue
		}
		if looked++; looked > goesBackMax {
			break
		}
		earlier, found, err := tx.SameBefore(w.Deployment, c.Path, c.New.SHA256, w.Position)
		if err != nil {
			return nil, err
		}
		if found {
			back[c.Path] = earlier
		}
	}
	return back, nil
}

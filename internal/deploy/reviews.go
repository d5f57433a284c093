package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"slipway/internal/archive"
	"slipway/internal/diff"
	"slipway/internal/slipway"
	"slipway/store"
)

// reviews show the changes of deploys, before and after going live.
type reviews struct {
	*base
	contents *contents
	images   *images
	planner  *planner
}

// Patch returns a deploy's changes of text files as a patch for git apply, in a
// repository with the DAG bundle's files below dags/.
func (e *reviews) Patch(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) ([]byte, error) {
	r, err := e.Done(ctx, of, number, by)
	if err == nil && r.Deploy.Status == slipway.Staged {
		r, err = e.Review(ctx, of, number, by)
	}
	if err = cmp.Or(err, r.Away); err != nil {
		return nil, err
	}
	if c := r.Plan.Counts; len(r.Plan.Changes) == 0 {
		if c.Added+c.Changed+c.Removed > 0 && r.Deploy.WentLive() {
			return nil, slipway.Errorf(slipway.NotFound, "The versions before and after deploy #%d are no longer kept, so that there is no patch.", number)
		}
		return nil, slipway.Errorf(slipway.Conflict, "Deploy #%d changes no file.", number)
	}
	var p diff.Patch
	for _, c := range r.Plan.Changes {
		if err := e.addToPatch(ctx, r.Deployment, c, &p); err != nil {
			return nil, err
		}
	}
	if p.Empty() {
		return nil, slipway.Errorf(slipway.Conflict, "Deploy #%d changes no text file, and a patch holds nothing else.", number)
	}
	return p.Bytes(fmt.Sprintf("Deploy #%d of %q. Apply it in the repository with: git apply", number, r.Deployment.Name)), nil
}

func (e *reviews) addToPatch(ctx context.Context, d slipway.Deployment, c slipway.Change, p *diff.Patch) error {
	if ok, err := p.Reserve(c); err != nil || !ok {
		return err
	}
	if c.ModeOnly() {
		return p.Add(c, nil, nil)
	}
	before, after, err := e.contents.contentsOf(ctx, d, c)
	if err != nil {
		return err
	}
	return p.Add(c, before, after)
}

// ImageReview describes the change of a Deployment's image by a deploy.
type ImageReview struct {
	slipway.ImageChange
	Files   store.ImageFiles // of the image's dags folder
	Carries bool             // Airflow's DAGs come from the dags folder of the image
}

// reviewImage fills in the change of the image by r's deploy. was is the state
// before the deploy.
func (e *reviews) reviewImage(tx *store.Tx, r *Review, was slipway.State) error {
	old, err := stateImage(tx, r.Deployment.ID, was)
	if err != nil {
		return err
	}
	next := was.With(r.Deploy)
	if !r.Deploy.Kind.HasImage() {
		if r.Deploy.Status == slipway.Staged {
			r.Reminders = old.Reminders(e.releases(), tx.Now)
		}
		return nil
	}
	i := slipway.Image{}
	if r.Deploy.Image != nil {
		i = *r.Deploy.Image
	} else if i, err = stateImage(tx, r.Deployment.ID, next); err != nil {
		return err
	}
	r.Image = &ImageReview{ImageChange: slipway.NewImageChange(old, i), Carries: !next.Mounted}
	if r.Image.Files, _, err = tx.ImageFiles(cmp.Or(r.Deploy.ID)); err != nil {
		return err
	}
	r.Reminders = i.Reminders(e.releases(), tx.Now)
	if r.Deploy.Kind == slipway.ImageOnly && !next.Mounted {
		r.Reminders = append(r.Reminders, "No DAGs have been deployed yet: Airflow will show no DAGs but those that the image itself carries.")
	}
	if r.Image.Carries && r.Deploy.Kind == slipway.ImageAndDAG && r.Deploy.Image != nil && r.Image.Files.Count == 0 && r.Image.Files.Unread == "" {
		r.Reminders = append(r.Reminders, "The image holds no file in "+r.Image.Files.Folder+": Airflow will show no DAGs.")
	}
	return nil
}

// stateImage returns the known facts about the image of a state.
func stateImage(tx *store.Tx, of slipway.DeploymentID, s slipway.State) (slipway.Image, error) {
	if s.Image == "" {
		return slipway.Image{}, nil
	}
	i, found, err := tx.Image(of, s.Image)
	if err != nil {
		return i, err
	}
	if !found {
		i = slipway.Image{Name: s.ImageName, Digest: s.Image, Runtime: s.Runtime}
	}
	i.Tag = cmp.Or(s.ImageTag, i.Tag)
	return i, nil
}

func (e *reviews) releases() []slipway.Release { return slipway.Releases(e.cfg.Releases...) }

// Review describes the effect of a deploy, before or after going live.
type Review struct {
	Deployment slipway.Deployment // in the present state
	Projected  slipway.Deployment // projected to the end of the queue
	Role       slipway.Role
	By         slipway.Actor // the reader
	Deploy     slipway.Deploy
	Base       slipway.Version // version before the changes
	BaseDeploy *slipway.Deploy // the deploy of version Base, live or queued; nil for none
	Plan       slipway.Plan
	Same       slipway.Version           // with the files of Plan, where Plan changes none; "" for none known
	SameAs     map[string]slipway.Deploy // the earlier deploy with the same content of a file, by path
	Report     store.Report              // files of the upload that are not deployed
	NewBytes   int64                     // to be stored
	Image      *ImageReview              // nil where no image is rolled out
	Reminders  []string                  // sentences about the running image, or the future one
	Refusal    error                     // reason why the person could not confirm the deploy now; nil for permission
	Away       error                     // why the backend could not be read, so that Plan is unknown or incomplete; nil for a complete Plan

	was slipway.State // state before the deploy
}

// sameAsMax is how many changed files are looked up in the history.
const sameAsMax = 200

// Review returns the effect of a staged deploy.
func (e *reviews) Review(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (Review, error) {
	b, w, staged, err := readStaged(ctx, e.store, of, number, by)
	if err != nil {
		return Review{}, err
	}
	if w.Status != slipway.Staged {
		return Review{}, slipway.Errorf(slipway.Conflict, "Deploy #%d does not wait to be confirmed: it is %s.", number, w.Status)
	}
	w = e.contents.relanded(b, w, staged)
	r := b.review(w)
	r.By = by
	plan, impossible := e.planner.plan(ctx, b, w, staged)
	if impossible != nil && !slipway.Explained(impossible) {
		return r, impossible
	}
	r.Plan, r.Away = plan, away(impossible)
	if r.Same, err = e.sameVersion(b, w, plan, staged); err != nil {
		return r, err
	}
	if _, r.Refusal = b.projected.Confirm(w, b.role, by, r.Base); r.Refusal == nil {
		r.Refusal = impossible
	}
	return r, e.history(ctx, &r)
}

// sameVersion returns the version before w if w changes none of its files, "" otherwise.
func (e *reviews) sameVersion(b queueState, w slipway.Deploy, plan slipway.Plan, staged []byte) (slipway.Version, error) {
	v := b.projected.Version
	if len(plan.Changes) > 0 || !b.projected.Brings(w) || !b.projected.Bundles(w) {
		return v, nil
	}
	base, err := e.contents.projectedFiles(b)
	if err != nil {
		return "", err
	}
	uploaded, err := e.contents.uploadedFiles(w.ID, staged)
	if err != nil || !sameFiles(archive.Composed(base), uploaded) {
		return "", err
	}
	return v, nil
}

// ReviewReturn returns the effect of a return to deploy number.
func (e *reviews) ReviewReturn(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (Review, error) {
	b, old, retained, err := e.planner.returnTarget(ctx, of, number, by)
	if err != nil {
		return Review{}, err
	}
	next, refusal := b.projected.Return(old, b.role, retained)
	if refusal != nil {
		next = slipway.Deploy{Deployment: of, ReturnTo: number, Version: old.After.Version, After: old.After}
	}
	next.By, next.Merge = by, slipway.ReplaceAll
	r := b.review(next)
	r.Same = r.Base
	if r.Refusal = refusal; refusal == nil {
		r.Refusal = e.images.imageRetained(ctx, next)
	}
	if retained || old.WentLive() && !old.After.Mounted {
		r.Plan, err = e.planner.planReturn(ctx, b, next)
		if r.Away = away(err); r.Away != nil {
			r.Refusal = cmp.Or(r.Refusal, err)
		} else if err != nil {
			return r, err
		}
	}
	return r, e.history(ctx, &r)
}

// away returns err for a backend that cannot be reached now, otherwise nil: a page
// shows the rest of a deploy meanwhile.
func away(err error) error {
	if errors.Is(err, slipway.ErrUnavailable) {
		return err
	}
	return nil
}

// Done returns the effect of a deploy that went live, or is queued: the changes
// against the version before. Without one of the versions, the changes are nil.
func (e *reviews) Done(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (Review, error) {
	b, w, staged, err := readStaged(ctx, e.store, of, number, by)
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
		r.Base, r.was = b.projected.Version, b.projected.State
		err = e.planQueued(ctx, &r, b, staged)
	}
	if r.Away = away(err); err != nil && r.Away == nil {
		return r, err
	}
	return r, e.history(ctx, &r)
}

// planDone fills in the changes of a deploy that went live.
func (e *reviews) planDone(r *Review) error {
	before := r.Deploy.Base
	if w := r.Deploy; w.Purpose() == slipway.ForSwitch && w.Switch.From.Bundles(w) {
		before = w.After.Version
	}
	base, err := e.contents.filesOf(r.Deployment.Namespace, before)
	if err == nil {
		var next []slipway.File
		if next, err = e.contents.filesOf(r.Deployment.Namespace, r.Deploy.After.Version); err == nil {
			r.Plan = slipway.NewPlan(archive.Composed(base), archive.Composed(next))
		}
	}
	if err != nil && !errors.Is(err, slipway.ErrNotFound) {
		return err
	}
	return nil
}

// planQueued fills in the changes of a queued deploy.
func (e *reviews) planQueued(ctx context.Context, r *Review, before queueState, staged []byte) (err error) {
	if r.Deploy.Purpose() == slipway.ForReturn {
		r.Plan, err = e.planner.planReturn(ctx, before, r.Deploy)
		return err
	}
	r.Plan, err = e.planner.plan(ctx, before, r.Deploy, staged)
	if slipway.Explained(err) && away(err) == nil {
		r.Refusal = err
		return nil
	}
	return err
}

// history fills in the facts from earlier deploys.
func (e *reviews) history(ctx context.Context, r *Review) error {
	return e.store.View(ctx, func(tx *store.Tx) (err error) {
		if r.Report, err = tx.StagedReport(r.Deploy.ID); err != nil {
			return err
		}
		if r.BaseDeploy, err = baseDeploy(tx, r.Deployment.ID, r.Base); err != nil {
			return err
		}
		if r.SameAs, err = sameContents(tx, r.Deploy, r.Plan.Changes); err != nil {
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

// baseDeploy returns the deploy of version v, live or queued.
func baseDeploy(tx *store.Tx, of slipway.DeploymentID, v slipway.Version) (*slipway.Deploy, error) {
	if v == "" {
		return nil, nil
	}
	w, found, err := tx.VersionDeploy(of, v)
	if err != nil || found {
		return &w, err
	}
	queue, err := tx.Queue(of)
	if err != nil {
		return nil, err
	}
	for _, t := range queue {
		if t.Deploy != nil && t.Deploy.Version == v {
			return t.Deploy, nil
		}
	}
	return nil, nil
}

// sameContents returns the earlier deploys with the same contents as the changed
// files, by path.
func sameContents(tx *store.Tx, w slipway.Deploy, changes []slipway.Change) (map[string]slipway.Deploy, error) {
	same, checked := map[string]slipway.Deploy{}, 0
	for _, c := range changes {
		if c.New.SHA256 == "" || c.New.SHA256 == c.Old.SHA256 {
			continue
		}
		if checked++; checked > sameAsMax {
			break
		}
		earlier, found, err := tx.SameBefore(w.Deployment, c.Path, c.New.SHA256, w.Position)
		if err != nil {
			return nil, err
		}
		if found {
			same[c.Path] = earlier
		}
	}
	return same, nil
}

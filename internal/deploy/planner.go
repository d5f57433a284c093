package deploy

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"slipway/internal/archive"
	"slipway/internal/dagfile"
	"slipway/internal/slipway"
	"slipway/store"
)

// planner makes the plans of deploys and returns.
type planner struct {
	*base
	components *components
	contents   *contents
}

// readStaged reads a deploy with the staged files and the queue.
func readStaged(ctx context.Context, st *store.Store, of slipway.DeploymentID, number int, by slipway.Actor) (b queueState, w slipway.Deploy, staged []byte, err error) {
	err = st.View(ctx, func(tx *store.Tx) error {
		if b, err = readQueue(tx, of, by); err != nil {
			return err
		}
		if w, err = tx.Deploy(of, number); err != nil {
			return err
		}
		staged, err = tx.StagedFiles(w.ID)
		return err
	})
	return b, w, staged, err
}

// plan returns the changes by w to the files at the end of the queue, or an
// error if the outcome is no valid version.
func (p *planner) plan(ctx context.Context, b queueState, w slipway.Deploy, staged []byte) (slipway.Plan, error) {
	base, err := p.contents.projectedFiles(b)
	if err != nil {
		return slipway.Plan{}, err
	}
	if !b.projected.Brings(w) {
		plan, err := p.withDAGs(ctx, b, w, base, base)
		plan.NoDAGs, plan.NotAirflow, plan.ByHand = plan.NoDAGs && b.projected.RemovesDAGs(w), notAirflow(w), p.byHand(b.projected, w)
		return plan, err
	}
	uploaded, err := p.contents.uploadedFiles(w.ID, staged)
	if err != nil {
		return slipway.Plan{}, err
	}
	if b.projected.Bundles(w) {
		base = uploaded
	}
	base = archive.Composed(base)
	next := merged(w, base, uploaded)
	plan, err := p.withDAGs(ctx, b, w, base, next)
	plan.NotAirflow, plan.Folder = notAirflow(w), slipway.FilesIn(w.Folder, base, next)
	if err == nil {
		err = checkMerged(w, base, next, p.cfg.Limits)
	}
	return plan, err
}

// withDAGs returns the plan from base to next, with the DAG files by the rule of the
// Airflow before w and after.
func (p *planner) withDAGs(ctx context.Context, b queueState, w slipway.Deploy, base, next []slipway.File) (slipway.Plan, error) {
	base, next, err := p.contents.remarked(ctx, b.now, base, next)
	plan := slipway.NewPlan(base, next)
	plan.Deployment = b.now.Name
	if err == nil {
		err = p.addBidi(ctx, b.now, &plan)
	}
	was, is := b.airflows(w)
	var before, after []string
	if err == nil {
		after, err = p.contents.DAGFiles(ctx, b.now, next, is)
	}
	if err == nil {
		before, err = p.contents.DAGFiles(ctx, b.now, base, was)
	}
	why, unjudged := errors.AsType[dagfile.UnjudgedError](err)
	if err != nil && !unjudged {
		return plan, err
	}
	if unjudged {
		return plan.WithoutDAGs(string(why), dagfile.Any(next, is)), nil
	}
	if b.projected.RemovesDAGs(w) {
		return p.withImageDAGs(ctx, w, plan, before)
	}
	return plan.WithDAGs(before, after, dagfile.Why(next, is)), nil
}

// withImageDAGs returns plan with the mounted DAG files, before, that the image of w
// does not have.
func (p *planner) withImageDAGs(ctx context.Context, w slipway.Deploy, plan slipway.Plan, before []string) (slipway.Plan, error) {
	var carried store.ImageFiles
	known := false
	err := p.store.View(ctx, func(tx *store.Tx) (err error) {
		of := w
		if w.Purpose() == slipway.ForReturn {
			if of, err = tx.Deploy(w.Deployment, w.ReturnTo); err != nil {
				return err
			}
		}
		carried, known, err = tx.ImageFiles(of.ID)
		return err
	})
	in := make([]string, len(carried.Files))
	for n, f := range carried.Files {
		in[n] = f.Path
	}
	return plan.WithImageDAGs(before, in, known && carried.Unread == "" && carried.Count == len(in)), err
}

// addBidi adds to plan the texts that had bidirectional controls, and have more now.
func (p *planner) addBidi(ctx context.Context, d slipway.Deployment, plan *slipway.Plan) error {
	for _, c := range plan.Changes {
		if !c.MoreBidi() {
			continue
		}
		adds, err := p.contents.addsBidi(ctx, d, c)
		if err != nil {
			return err
		}
		if adds {
			plan.Bidi = append(plan.Bidi, c.Path)
		}
	}
	return nil
}

// Describe sets the description of a deploy before its confirmation.
func (p *planner) Describe(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, description string) error {
	text, err := slipway.CheckDescription(description)
	if err != nil {
		return err
	}
	err = p.store.Update(ctx, func(tx *store.Tx) error {
		_, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		w, err := tx.Deploy(of, number)
		if err != nil {
			return err
		}
		if w, err = w.Describe(role, by, text); err != nil {
			return err
		}
		_, err = tx.SaveDeploy(w)
		return err
	})
	if err == nil {
		p.watchers.notify(of)
	}
	return err
}

func (p *planner) returnTarget(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor) (b queueState, old slipway.Deploy, retained bool, err error) {
	err = p.store.View(ctx, func(tx *store.Tx) error {
		b, old, retained, err = readReturn(tx, of, number, by)
		return err
	})
	return b, old, retained, err
}

// readReturn reads the records for planning a return to a deploy.
func readReturn(tx *store.Tx, of slipway.DeploymentID, number int, by slipway.Actor) (b queueState, old slipway.Deploy, retained bool, err error) {
	if b, err = readQueue(tx, of, by); err != nil {
		return b, old, false, err
	}
	if old, err = tx.Deploy(of, number); err != nil {
		return b, old, false, err
	}
	if err := b.readAirflow(tx, old.After); err != nil {
		return b, old, false, err
	}
	retained, err = tx.Retained(of, old.After.Version)
	return b, old, retained, err
}

// queueState is a Deployment with its queue, read in one transaction. A plan is
// made against a queueState.
type queueState struct {
	now       slipway.Deployment
	role      slipway.Role
	projected slipway.Deployment
	queue     []slipway.Turn
	staged    map[slipway.DeployID][]byte // the staged files of the deploys in the queue
	airflow   map[string]int              // major version of Airflow by digest of an image; 0 for unknown
}

// readQueue reads the queue of a Deployment.
func readQueue(tx *store.Tx, of slipway.DeploymentID, by slipway.Actor) (b queueState, err error) {
	if b.now, b.role, err = tx.Deployment(of, by); err != nil {
		return b, err
	}
	if b.queue, err = tx.Queue(of); err != nil {
		return b, err
	}
	b.projected, b.staged, b.airflow = b.now.Projected(b.queue), map[slipway.DeployID][]byte{}, map[string]int{}
	if err := b.readAirflow(tx, b.now.State); err != nil {
		return b, err
	}
	for _, t := range b.queue {
		if t.Deploy != nil {
			if err := b.readAirflow(tx, t.Deploy.After); err != nil {
				return b, err
			}
		}
		if t.Deploy == nil || t.Deploy.WentLive() || t.Deploy.Purpose() == slipway.ForReturn {
			continue
		}
		if b.staged[t.Deploy.ID], err = tx.StagedFiles(t.Deploy.ID); err != nil {
			return b, err
		}
	}
	return b, nil
}

// readAirflow notes the version of Airflow in the image of a state.
func (b queueState) readAirflow(tx *store.Tx, s slipway.State) error {
	if _, known := b.airflow[s.Image]; known || s.Image == "" {
		return nil
	}
	i, err := stateImage(tx, b.now.ID, s)
	b.airflow[s.Image] = i.AirflowMajor()
	return err
}

// airflows returns the major versions of Airflow before w and after. Where one of
// them is unknown, both are taken as alike.
func (b queueState) airflows(w slipway.Deploy) (was, is int) {
	was, is = b.airflow[b.projected.Image], b.airflow[b.projected.With(w).Image]
	if w.Image != nil {
		is = w.Image.AirflowMajor()
	}
	return cmp.Or(was, is), cmp.Or(is, was)
}

// makersQueue is readQueue for the author of w, if the author may still make w.
func makersQueue(tx *store.Tx, w slipway.Deploy) (queueState, error) {
	if err := lostAccess(tx, w); err != nil {
		return queueState{}, err
	}
	return readQueue(tx, w.Deployment, w.By)
}

// same reports whether a plan made on b holds for now: no deploy was added to the
// queue, every deploy that left the queue went live as planned, and no setting
// with an effect on plans has changed.
func (b queueState) same(now queueState) bool {
	gone := len(b.queue) - len(now.queue)
	if gone < 0 || !slices.EqualFunc(b.queue[gone:], now.queue, func(s, t slipway.Turn) bool { return s.Position() == t.Position() }) {
		return false
	}
	for gone < len(b.queue) && now.queue[0].Deploy != nil && now.queue[0].Deploy.WentLive() {
		gone, now.queue = gone+1, now.queue[1:]
	}
	return b.now.GuardAPI == now.now.GuardAPI && b.now.Projected(b.queue[:gone]).State == now.now.State
}

// before returns b without w and without the deploys after w.
func (b queueState) before(w slipway.Deploy) queueState {
	i := slices.IndexFunc(b.queue, func(t slipway.Turn) bool { return t.Deploy != nil && t.Deploy.ID == w.ID })
	if i >= 0 {
		b.queue = b.queue[:i]
		b.projected = b.now.Projected(b.queue)
	}
	return b
}

// steps returns the deploys of b's queue that change the files, in order.
// Deploys before the last deploy that replaces all files are left out. Without
// a replacing deploy, onTop is true: the steps start from the files of the
// present version.
func (b queueState) steps() (steps []slipway.Deploy, onTop bool) {
	onTop = true
	tail := b.now
	for _, t := range b.queue {
		before := tail
		tail = tail.Projected([]slipway.Turn{t})
		if t.Deploy == nil || t.Deploy.WentLive() || before.Takes(*t.Deploy) != nil {
			continue // a deploy that will be refused at its turn changes nothing
		}
		w := *t.Deploy
		if !before.Brings(w) && !(w.Purpose() == slipway.ForReturn && w.After.Mounted) {
			continue
		}
		if w.Purpose() == slipway.ForReturn || !w.Merge.KeepsOthers() {
			steps, onTop = nil, false
		}
		steps = append(steps, w)
	}
	return steps, onTop
}

// planReturn returns the changes by the return w to the files at the end of the
// queue. For an image with DAGs inside, the version stays.
func (p *planner) planReturn(ctx context.Context, b queueState, w slipway.Deploy) (slipway.Plan, error) {
	base, err := p.contents.projectedFiles(b)
	if err != nil {
		return slipway.Plan{}, err
	}
	files := base
	if w.After.Mounted {
		if files, err = p.contents.filesOf(b.now.Namespace, w.After.Version); err != nil {
			return slipway.Plan{}, err
		}
	}
	plan, err := p.withDAGs(ctx, b, w, archive.Composed(base), archive.Composed(files))
	plan.NoDAGs = plan.NoDAGs && (w.After.Mounted || b.projected.RemovesDAGs(w))
	plan.ByHand = p.byHand(b.projected, w)
	return plan, err
}

// byHand reports whether w removes mounted DAGs of d while no agent runs an
// image with DAGs in place of the mounted ones: a person has to start the image
// by hand.
func (p *planner) byHand(d slipway.Deployment, w slipway.Deploy) bool {
	return d.RemovesDAGs(w) && !d.AppliesImages(p.components.Components(d.ID), p.store.Now())
}

// review returns the review of w without the files.
func (b queueState) review(w slipway.Deploy) Review {
	return Review{
		Deployment: b.now, Projected: b.projected, Role: b.role, Deploy: w, Base: b.projected.Version, NewBytes: w.Counts.NewBytes, was: b.projected.State,
	}
}

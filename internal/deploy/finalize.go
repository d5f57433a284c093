package deploy

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// GuardedError is the refusal of an API deploy that needs a person's confirmation.
type GuardedError struct {
	Deploy  slipway.Deploy // staged; for a return the deploy to return to
	Warning string         // the consequence for a person to agree to
}

func (g *GuardedError) Error() string { return "guarded: " + g.Warning }

// Unwrap lets errors.As and Explain find the refusal in words.
func (g *GuardedError) Unwrap() error {
	return slipway.Errorf(slipway.Conflict, "%s Deploys of the API are guarded for this Deployment: a person has to confirm this one.", g.Warning)
}

// Finish is how a deploy of the API is finalized.
type Finish struct {
	Version slipway.Version  // version from the answer to the upload
	Base    *slipway.Version // version that must be the projected one when the deploy is queued; nil for any
}

// finalizer finishes deploys of the API.
type finalizer struct {
	*base
	components  *components
	endings     *endings
	images      *images
	queue       *queue
	uploadFiles *uploadFiles
	comparisons *comparisons
}

// Finalize confirms a deploy of the API after staging. The ticks for a person
// are stored as a note, unless the Deployment guards API deploys. A repeated
// request changes nothing. A deploy that cannot be confirmed fails with the
// reason. Beside an error, Finalize returns the deploy as read before the
// confirmation.
func (i *finalizer) Finalize(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, f Finish) (slipway.Deploy, error) {
	if err := i.settleImage(ctx, of, id, by, f.Version); err != nil {
		return slipway.Deploy{}, err
	}
	w, err := i.SettledDeploy(ctx, of, id, by)
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
	if now, late := i.SettledDeploy(ctx, of, id, by); late == nil && (now.Status.Active() || now.Status == slipway.Deployed) {
		return now, nil // the same request was faster, or a person
	}
	return w, err
}

// refused returns err, the refusal of an API deploy. An err about the deploy
// also ends the deploy as failed.
func (i *finalizer) refused(ctx context.Context, w slipway.Deploy, err error) error {
	if !failsDeploy(err) {
		return err
	}
	return errors.Join(err, i.endings.Refuse(ctx, w, err))
}

// unattended approves the plan of an API deploy with all ticks, and returns the
// warnings as a note. A guarded Deployment refuses a plan with warnings.
func unattended(projected slipway.Deployment, w slipway.Deploy, p slipway.Plan) (note string, err error) {
	if note = p.Warning(); note == "" {
		return "", nil
	}
	if projected.GuardAPI {
		if w.ReturnTo != 0 { // a return has no number yet: the page is about the earlier deploy
			w.Number = w.ReturnTo
		}
		return "", &GuardedError{Deploy: w, Warning: note}
	}
	return note, p.Check(p.Ticks())
}

// failsDeploy reports whether the refusal err ends an API deploy as failed,
// because no retry can help. Three refusals leave the deploy staged: a guarded
// deploy waits for a person, another base can be sent, and the sender's rights
// may change.
func failsDeploy(err error) bool {
	if _, guarded := errors.AsType[*GuardedError](err); guarded || errors.Is(err, slipway.ErrBaseChanged) {
		return false
	}
	return errors.Is(err, slipway.ErrInvalid) || errors.Is(err, slipway.ErrConflict) || errors.Is(err, slipway.ErrTooLarge)
}

// finishable judges whether a deploy may be finalized, or was.
func finishable(w slipway.Deploy, version slipway.Version) error {
	switch {
	case !w.HasDAGs() && (version != "" || !w.Kind.HasImage()) && w.Kind != slipway.ImageOnly && !w.Status.Ended():
		return slipway.Errorf(slipway.Conflict, "The files of deploy #%d have not been uploaded yet. Upload them, then finalize it.", w.Number)
	case w.Status == slipway.Failed && w.StagedAt.IsZero() && w.Reason != "":
		return slipway.Errorf(slipway.Invalid, "%s", w.Reason) // the fault in the files
	case w.Status == slipway.Failed || w.Status == slipway.Cancelled:
		return errEnded(w)
	case w.Kind == slipway.ImageOnly || version == "" && !w.HasDAGs():
		return nil // no DAGs
	case version == "":
		return slipway.Errorf(slipway.Invalid, "Say which upload is meant: dagTarballVersion is empty. It is the x-ms-version-id that the upload was answered with.")
	case version != w.Version:
		return slipway.Errorf(slipway.Invalid, "The DAG bundle version %q is not that of deploy #%d, which is %s.", version, w.Number, w.Version)
	}
	return nil
}

// SettledDeploy waits until the files of a deploy are checked, and returns the
// deploy by id.
func (i *finalizer) SettledDeploy(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor) (slipway.Deploy, error) {
	changed, stop := i.components.WatchDeploy(of, id)
	defer stop()
	for {
		w, err := i.DeployOf(ctx, of, id, by)
		if err != nil || w.Waits() != slipway.WaitStaging {
			return w, err
		}
		select {
		case <-ctx.Done():
			return w, ctx.Err()
		case <-changed:
		}
	}
}

// comparisons bounds the archives that requests compare with earlier ones, beside those in
// staging: one of a token or person at a time, and some in all. Others wait a little.
type comparisons struct {
	slots chan struct{}
	mu    sync.Mutex
	turns map[string]*comparisonTurn // by token or person
}

type comparisonTurn struct {
	taken chan struct{}
	users int // with the turn, or waiting
}

const (
	maxComparisons = 2
	comparisonWait = time.Minute
)

func newComparisons() *comparisons {
	return &comparisons{slots: make(chan struct{}, maxComparisons), turns: map[string]*comparisonTurn{}}
}

// begin waits for a slot of who, until end.
func (c *comparisons) begin(ctx context.Context, who string) (end func(), err error) {
	t := c.turn(who)
	ctx, cancel := context.WithTimeoutCause(ctx, comparisonWait,
		slipway.Errorf(slipway.TooMany, "Other archives are being compared with earlier deploys. Send this one again in a minute, or with another Idempotency-Key."))
	defer cancel()
	select {
	case <-ctx.Done():
		c.leave(who)
		return nil, context.Cause(ctx)
	case t.taken <- struct{}{}:
	}
	select {
	case <-ctx.Done():
		<-t.taken
		c.leave(who)
		return nil, context.Cause(ctx)
	case c.slots <- struct{}{}:
	}
	return func() {
		<-c.slots
		<-t.taken
		c.leave(who)
	}, nil
}

func (c *comparisons) turn(who string) *comparisonTurn {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.turns[who]
	if t == nil {
		t = &comparisonTurn{taken: make(chan struct{}, 1)}
		c.turns[who] = t
	}
	t.users++
	return t
}

func (c *comparisons) leave(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turns[who].users--; c.turns[who].users == 0 {
		delete(c.turns, who)
	}
}

// SameFiles reports whether an archive has the files that were uploaded for w,
// packed in any way. An archive that cannot be read has other files.
func (i *finalizer) SameFiles(ctx context.Context, w slipway.Deploy, f *os.File) (bool, error) {
	var rep store.Report
	var person string
	err := i.store.View(ctx, func(tx *store.Tx) (err error) {
		if person, err = tx.AnswersFor(w.By); err != nil {
			return err
		}
		rep, err = tx.StagedReport(w.ID)
		return err
	})
	if err != nil || rep.Content == "" {
		return false, err
	}
	end, err := i.comparisons.begin(ctx, person)
	if err != nil {
		return false, err
	}
	defer end()
	content, err := i.uploadFiles.contentOf(ctx, f, w)
	if errors.Is(err, slipway.ErrInvalid) || errors.Is(err, slipway.ErrTooLarge) {
		return false, nil
	}
	return content == rep.Content, err
}

// DeployOf returns a deploy of a Deployment by id, or NotFound, also when by
// may not see the Deployment or the deploy belongs to another Deployment.
func (i *finalizer) DeployOf(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor) (w slipway.Deploy, err error) {
	missing := slipway.Errorf(slipway.NotFound, "There is no deploy %s of Deployment %s.", id, of)
	err = i.store.View(ctx, func(tx *store.Tx) error {
		if _, _, err := tx.Deployment(of, by); err != nil {
			return err
		}
		w, err = tx.LoadDeploy(id)
		if errors.Is(err, slipway.ErrNotFound) || err == nil && w.Deployment != of {
			return missing
		}
		return err
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	return w, nil
}

// RollBack is Return for the API: against any base, and with the ticks for a
// person stored as a note, unless the Deployment guards API deploys.
func (i *finalizer) RollBack(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, reason string) (slipway.Deploy, error) {
	old, err := i.DeployOf(ctx, of, id, by)
	if err != nil {
		return old, err
	}
	return i.queue.returnTo(ctx, of, old.Number, by, nil, reason, unattended)
}

// settleImage settles the image of an API deploy that waits for a push: the
// digest of the tag at the time of the call. Inspection of the image begins.
// version is the version of the deploy's DAGs, "" for none.
func (i *finalizer) settleImage(ctx context.Context, of slipway.DeploymentID, id slipway.DeployID, by slipway.Actor, version slipway.Version) error {
	w, err := i.DeployOf(ctx, of, id, by)
	if err != nil || !w.AwaitsImage() {
		return err
	}
	if err := finishable(w, version); err != nil {
		return err
	}
	var d slipway.Deployment
	err = i.store.View(ctx, func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Projected(of, by); err != nil {
			return err
		}
		return d.MayMake(w, role, by)
	})
	if err != nil {
		return i.refused(ctx, w, err)
	}
	digest, err := i.cfg.Images.Pin(ctx, Repository(d), w.Tag)
	if errors.Is(err, slipway.ErrNotFound) {
		return slipway.Errorf(slipway.Conflict, "No image has been pushed as %s:%s yet. Push it, then finalize deploy #%d.", i.images.PushTarget(d), w.Tag, w.Number)
	}
	if err != nil {
		return err
	}
	return i.recordDigest(ctx, d, w, digest)
}

// recordDigest records the digest of the pushed image of w, and drops uploads of DAGs
// that have not arrived.
func (i *finalizer) recordDigest(ctx context.Context, d slipway.Deployment, w slipway.Deploy, digest string) error {
	var dropped []string
	err := i.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeploy(w.ID)
		if err != nil || !now.AwaitsImage() {
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
		now.Source, now.WantsDAG = Repository(d)+":"+w.Tag+"@"+digest, now.WantsDAG && now.HasDAGs()
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

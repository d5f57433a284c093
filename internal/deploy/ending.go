package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"slipway/internal/slipway"
	"slipway/store"
)

// endings ends deploys that fail, expire, or are refused or cancelled.
type endings struct {
	*base
	uploadFiles *uploadFiles
	stagings    stagings
}

// fail ends w with a reason and removes the uploaded files, unless the status
// of w has changed since w was read.
func (e *endings) fail(ctx context.Context, w slipway.Deploy, reason string) error {
	return e.failIf(ctx, w, func(_ *store.Tx, now slipway.Deploy) (string, error) {
		if now.Status != w.Status {
			return "", nil
		}
		return reason, nil
	})
}

// failIf ends w for the reason that why returns for the present w; "" leaves w
// alone.
func (e *endings) failIf(ctx context.Context, w slipway.Deploy, why func(*store.Tx, slipway.Deploy) (string, error)) error {
	var uploads []string
	failed := false
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.LoadDeploy(w.ID)
		if err != nil || now.Status.Ended() {
			return err
		}
		if now.Reason, err = why(tx, now); err != nil || now.Reason == "" {
			return err
		}
		now.Status, failed = slipway.Failed, true
		uploads, err = saveEnded(tx, now)
		return err
	})
	if errors.Is(err, slipway.ErrNotFound) {
		return nil // the Deployment was deleted
	}
	if err != nil {
		return fmt.Errorf("fail deploy %s: %w", w.ID, err)
	}
	if failed {
		e.cleanUp(w, uploads)
	}
	return nil
}

// saveEnded saves w, which has ended, and drops the records of the staged
// files. The caller then passes the returned uploads to cleanUp.
func saveEnded(tx *store.Tx, w slipway.Deploy) (uploads []string, err error) {
	if _, err := tx.SaveDeploy(w); err != nil {
		return nil, err
	}
	if err := tx.DropStaged(w.ID); err != nil {
		return nil, err
	}
	return dropUploads(tx, w)
}

// dropUploads drops the records of the uploads of w, and returns the uploads.
func dropUploads(tx *store.Tx, w slipway.Deploy) (uploads []string, err error) {
	all, err := tx.UploadsFor(w.ID)
	if err != nil {
		return nil, err
	}
	for _, u := range all {
		uploads = append(uploads, u.ID)
		err = errors.Join(err, tx.DropUpload(u.ID))
	}
	return uploads, err
}

// cleanUp removes the remains of an ended deploy.
func (e *endings) cleanUp(w slipway.Deploy, uploads []string) {
	e.stagings.cancel(w.ID)
	e.uploadFiles.ledger.End(w.ID)
	for _, id := range uploads {
		e.uploadFiles.removeUpload(id)
	}
	e.wakers.wakeStage(w.Deployment) // packs of w may be unused now
	e.watchers.changed(w.Deployment, w.ID)
}

// stagings are the running stagings of deploys.
type stagings struct {
	mu sync.Mutex
	of map[slipway.DeployID]context.CancelFunc
}

// begin returns a context for staging, which cancel ends. The caller calls
// finish after staging.
func (s *stagings) begin(ctx context.Context, id slipway.DeployID) (staging context.Context, finish func()) {
	staging, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[id] = cancel
	return staging, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.of, id)
	}
}

// cancel ends the staging of a deploy, if the staging runs.
func (s *stagings) cancel(id slipway.DeployID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.of[id]; cancel != nil {
		cancel()
	}
}

// Refuse fails a deploy before confirmation, for the reason in the answer to
// the sender. The history then shows the reason, too. An internal error leaves
// the deploy as is.
func (e *endings) Refuse(ctx context.Context, w slipway.Deploy, why error) error {
	kind, text := slipway.Explain(why)
	if kind == slipway.Internal {
		return nil
	}
	return e.failIf(context.WithoutCancel(ctx), w, func(_ *store.Tx, now slipway.Deploy) (string, error) {
		if now.Status != slipway.Initialized && now.Status != slipway.Staged {
			return "", nil
		}
		return text, nil
	})
}

// sweep fails the deploys that were not finished in time.
func (e *endings) sweep(ctx context.Context) error {
	var late []slipway.Deploy
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		late, err = e.expired(tx)
		return err
	})
	for _, w := range late {
		err = errors.Join(err, e.failIf(ctx, w, e.expiry)) // the deploy may have been confirmed by now
	}
	return err
}

// expired returns the deploys to give up now.
func (e *endings) expired(tx *store.Tx) ([]slipway.Deploy, error) {
	all, err := tx.Unfinished()
	if err != nil {
		return nil, err
	}
	var late []slipway.Deploy
	for _, w := range all {
		switch reason, err := e.expiry(tx, w); {
		case err != nil:
			return nil, err
		case reason != "":
			late = append(late, w)
		}
	}
	return late, nil
}

// expiry returns the reason to give up w now; "" while w may still be finished.
func (e *endings) expiry(tx *store.Tx, w slipway.Deploy) (string, error) {
	uploads, err := tx.UploadsFor(w.ID)
	if err != nil || slices.ContainsFunc(uploads, func(u store.Upload) bool { return e.uploadFiles.arriving.busy(u.ID) }) {
		return "", err
	}
	last := w.UploadedAt
	if last.IsZero() {
		last = w.CreatedAt
	}
	for _, u := range uploads {
		if u.TouchedAt.After(last) {
			last = u.TouchedAt
		}
	}
	return w.Expired(last, tx.Now), nil
}

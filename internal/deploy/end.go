package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"slipway/internal/slipway"
	"slipway/store"
)

// fail ends w with a reason, unless it has gone on since w was read. What it
// had brought goes.
func (e *Engine) fail(ctx context.Context, w slipway.Deploy, reason string) error {
	return e.giveUp(ctx, w, func(_ *store.Tx, now slipway.Deploy) (string, error) {
		if now.Status != w.Status {
			return "", nil
		}
		return reason, nil
	})
}

// giveUp ends w for the reason that why has for what w is by then; "" is none.
func (e *Engine) giveUp(ctx context.Context, w slipway.Deploy, why func(*store.Tx, slipway.Deploy) (string, error)) error {
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
		uploads, err = end(tx, now)
		return err
	})
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NotFound {
		return nil // its Deployment was deleted
	}
	if err != nil {
		return fmt.Errorf("fail deploy %s: %w", w.ID, err)
	}
	if failed {
		e.ended(w, uploads)
	}
	return nil
}

// end saves w, which has ended, and forgets what it brought. Afterwards the
// caller calls ended with the uploads that are returned.
func end(tx *store.Tx, w slipway.Deploy) (uploads []string, err error) {
	if _, err := tx.SaveDeploy(w); err != nil {
		return nil, err
	}
	if err := tx.DropStaged(w.ID); err != nil {
		return nil, err
	}
	all, err := tx.UploadsFor(w.ID)
	for _, u := range all {
		uploads = append(uploads, u.ID)
		err = errors.Join(err, tx.DropUpload(u.ID))
	}
	return uploads, err
}

// ended clears up after a deploy that has ended.
func (e *Engine) ended(w slipway.Deploy, uploads []string) {
	e.stagings.cancel(w.ID)
	for _, id := range uploads {
		e.removeUpload(id)
	}
	e.wakers.wakeStage(w.Deployment) // its packs may be unused now
	e.watchers.changed(w.Deployment, w.ID)
}

// removeUpload removes the file of an upload that is over. What stays behind
// here goes at the next start.
func (e *Engine) removeUpload(id string) {
	e.arriving.end(id, false)
	err := os.Remove(e.uploadPath(id))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, e.dropBlocks(id)); err != nil {
		e.log.Error("remove upload", slog.String("upload", id), slog.Any("error", err))
	}
}

// stagings are the deploys that are being staged.
type stagings struct {
	mu sync.Mutex
	of map[slipway.DeployID]context.CancelFunc
}

// begin returns a context that cancel ends. The caller calls finish at the end.
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

// cancel ends the staging of a deploy, if there is one.
func (s *stagings) cancel(id slipway.DeployID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.of[id]; cancel != nil {
		cancel()
	}
}

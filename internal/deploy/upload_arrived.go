package deploy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// arrivals are the uploads whose bytes come in now.
type arrivals struct {
	mu  sync.Mutex
	all map[string]bool // by id: whether the connection is still there
}

// begin takes the upload id for one request, and reports whether the bytes
// before offset came by a connection that broke, or before a restart.
func (a *arrivals) begin(id string, offset int64) (resumed bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	busy, known := a.all[id]
	if busy {
		return false, slipway.Errorf(slipway.Conflict, "This upload is being received by another request. Try again in a moment.")
	}
	if a.all == nil {
		a.all = map[string]bool{}
	}
	a.all[id] = true
	return !known && offset > 0, nil
}

// end gives the upload id back. It is remembered only if its request ended well
// and more is to come.
func (a *arrivals) end(id string, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.all, id)
	if more {
		a.all[id] = false
	}
}

// arrivedLife is for how long a client that has not heard the answer to its last
// bytes is told that they came, instead of sending all of them again.
const arrivedLife = time.Hour

// Progress is how far an upload is.
type Progress struct {
	Deploy         slipway.Deploy
	Offset, Length int64 // bytes that are here, of how many
}

// Progress returns how far an upload is that by began, for a while also once it
// is complete.
func (e *Engine) Progress(ctx context.Context, id string, by slipway.Actor) (Progress, error) {
	u, w, offset, err := e.Upload(ctx, id, by)
	if kind, _ := slipway.Explain(err); err == nil || kind != slipway.NotFound {
		return Progress{w, offset, u.Length}, err
	}
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		if w, err = tx.ArrivedUpload(id, by, tx.Now.Add(-arrivedLife)); err != nil {
			return err
		}
		return seen(tx, w, by)
	})
	return Progress{w, w.Bytes, w.Bytes}, err
}

func (a *arrivals) busy(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[id]
}

// arrived makes a complete upload durable, notes it and has it staged.
func (e *Engine) arrived(ctx context.Context, u store.Upload, w slipway.Deploy) (slipway.Deploy, error) {
	size, err := e.offset(u)
	if err == nil {
		err = errors.Join(durable.SyncPath(e.uploadPath(u.ID)), durable.SyncPath(filepath.Join(e.cfg.Dir, datadir.Uploads)))
	}
	if err != nil {
		return w, outage(fmt.Errorf("keep upload: %w", err))
	}
	var saved slipway.Deploy
	err = e.store.Update(ctx, func(tx *store.Tx) error {
		now, err := stillOpen(tx, w)
		if err != nil {
			return err
		}
		if u.ArrivedAt.IsZero() {
			now.Bytes, now.Resumes = now.Bytes+size, w.Resumes
		}
		if !u.Image && now.UploadedAt.IsZero() {
			now.UploadedAt, now.WantsDAG = tx.Now, true
		}
		saved, err = tx.SaveDeploy(now)
		return errors.Join(err, tx.UploadArrived(u.ID))
	})
	if kind, _ := slipway.Explain(err); kind == slipway.NotFound || kind == slipway.Forbidden { // its sender may no longer deploy
		return w, errors.Join(err, e.Refuse(ctx, w, err))
	}
	if err != nil {
		return w, err
	}
	w = saved
	e.wakers.wakeStage(w.Deployment)
	e.watchers.changed(w.Deployment, w.ID)
	return w, nil
}

package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// workers runs everything in the background.
type workers struct {
	*base
	deletions   *deletions
	endings     *endings
	merger      *merger
	portals     *portals
	publisher   *publisher
	retention   *retention
	stager      *stager
	uploadFiles *uploadFiles
	mu          sync.Mutex
	ctx         context.Context // of Run; nil before Run
	mount       Runner
	running     map[slipway.DeploymentID]*worker
	wg          sync.WaitGroup // of removals of Deployments, retention and insights

	troubles   troubles
	lockLogged atomic.Int64 // Unix nanoseconds of the last log line about a lock
}

// StartWorker starts the worker of d, a Deployment added to the store without
// Create: together with the first account, in one transaction.
func (w *workers) StartWorker(d slipway.Deployment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.start(d)
}

// Create adds a Deployment from slipway.NewDeployment to its Workspace.
func (w *workers) Create(ctx context.Context, d slipway.Deployment, by slipway.Actor) (slipway.Deployment, error) {
	err := w.store.Update(ctx, func(tx *store.Tx) error {
		_, role, err := tx.Workspace(d.Workspace, by)
		if err != nil {
			return err
		}
		if err := role.May(slipway.ManageDeployments); err != nil {
			return err
		}
		d.Creator = by.Title()
		if d, err = tx.AddDeployment(d); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: d.ID, Action: "deployment.create", Target: d.Name, Detail: d.Namespace})
	})
	if err != nil {
		return slipway.Deployment{}, err
	}
	w.mu.Lock()
	w.start(d)
	w.mu.Unlock()
	w.watchers.notify(d.ID)
	return d, nil
}

// Edit changes the settings of a Deployment, in one transaction: two people may
// save different cards at the same time.
func (w *workers) Edit(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, change func(*slipway.Settings) error) (d slipway.Deployment, err error) {
	err = w.store.Update(ctx, func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Deployment(of, by); err != nil {
			return err
		}
		if err := role.May(slipway.ManageDeployments); err != nil {
			return err
		}
		s := d.Settings // a copy: change may leave a part of the work on an error
		if err := change(&s); err != nil {
			return err
		}
		if d, err = d.Edit(role, s); err != nil {
			return err
		}
		d.Updater = by.Title()
		if err := tx.SaveSettings(d); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "deployment.edit", Target: d.Name})
	})
	if err != nil {
		return slipway.Deployment{}, err
	}
	w.watchers.notify(of)
	return d, nil
}

// Delete removes a Deployment from all pages at once; its folders are deleted
// in the background. typed is the name as the person typed the name.
func (w *workers) Delete(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, typed string) error {
	var d slipway.Deployment
	err := w.store.Update(ctx, func(tx *store.Tx) (err error) {
		var role slipway.Role
		if d, role, err = tx.Deployment(of, by); err != nil {
			return err
		}
		if err := d.Delete(role, typed); err != nil {
			return err
		}
		if err := tx.MarkDeleted(of); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "deployment.delete", Target: d.Name, Detail: d.Namespace})
	})
	if err != nil {
		return err
	}
	w.stop(d)
	w.watchers.gone(of)
	return nil
}

// Ready returns nil while Run runs and deploys can be taken: the records can be
// read, files be written, and the reserve of the disk is free.
func (w *workers) Ready() error {
	w.mu.Lock()
	ctx := w.ctx
	w.mu.Unlock()
	if ctx == nil {
		return errors.New("the engine does not run yet")
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("the engine stops: %w", err)
	}
	ping, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := w.store.Ping(ping); err != nil {
		return err
	}
	if err := w.writable(); err != nil {
		return err
	}
	if err := w.uploadFiles.Fits(0); err != nil {
		return err
	}
	return w.bundles.Reachable(ping)
}

// troubles holds, by Deployment, the sentence about the fault for which the queue
// waits.
type troubles struct {
	mu sync.Mutex
	of map[slipway.DeploymentID]string
}

// note keeps the sentence of a fault that may pass, or drops the one before.
func (t *troubles) note(of slipway.DeploymentID, err error) (changed bool) {
	text := ""
	if kind, says := slipway.Explain(unavailable(err)); isTemporary(kind) {
		text = says
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[of] == text {
		return false
	}
	if t.of == nil {
		t.of = map[slipway.DeploymentID]string{}
	}
	if t.of[of] = text; text == "" {
		delete(t.of, of)
	}
	return true
}

// forget drops the sentences of a deleted Deployment.
func (t *troubles) forget(of slipway.DeploymentID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, of)
}

// Trouble returns the sentence about the fault for which the queue of a
// Deployment waits, "" for none: the bucket is away, the disk is full, or
// another program locks the records.
func (w *workers) Trouble(of slipway.DeploymentID) string {
	if err := w.store.Locked(); err != nil {
		_, text := slipway.Explain(err)
		return text
	}
	w.troubles.mu.Lock()
	defer w.troubles.mu.Unlock()
	return w.troubles.of[of]
}

// publishLoop is the loop that works a queue off.
const publishLoop = "publish"

// stop stops the worker of d, then removes d. Without a running engine, the
// next start removes d.
func (w *workers) stop(d slipway.Deployment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.running[d.ID]
	delete(w.running, d.ID)
	w.wakers.remove(d.ID)
	if w.ctx == nil || w.ctx.Err() != nil || r == nil {
		return
	}
	r.stop()
	ctx := w.ctx
	w.wg.Go(func() {
		r.wg.Wait()
		w.troubles.forget(d.ID)
		w.deletions.remove(ctx, d)
	})
}

// worker is everything in the background for one Deployment.
type worker struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// start starts the worker of d. The caller holds w.mu.
func (w *workers) start(d slipway.Deployment) {
	if w.ctx == nil || w.ctx.Err() != nil || w.running[d.ID] != nil {
		return
	}
	ctx, stop := context.WithCancel(w.ctx)
	r := &worker{stop: stop}
	w.running[d.ID] = r
	wake := w.wakers.add(d.ID)
	r.wg.Go(func() { w.loop(ctx, d, "stage", wake.stage, w.stager.stageAll) })
	r.wg.Go(func() { w.loop(ctx, d, publishLoop, wake.queue, w.publisher.publishAll) })
	r.wg.Go(func() { w.loop(ctx, d, "merge", wake.merge, w.merger.mergePacks) })
	if d.Local {
		r.wg.Go(func() { w.keepMounting(ctx, d, w.mount) })
	}
}

// loop calls work for d after each signal, one call at a time, until ctx ends.
func (w *workers) loop(ctx context.Context, d slipway.Deployment, what string, s signal, work func(context.Context, slipway.DeploymentID) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s:
		}
		err := work(ctx, d.ID)
		if what == publishLoop && ctx.Err() == nil && w.troubles.note(d.ID, err) {
			w.watchers.notify(d.ID)
		}
		if err != nil && ctx.Err() == nil {
			w.log.Error(what, slog.String("deployment", d.Namespace), slog.Any("error", err))
			time.AfterFunc(retryAfter, s.set)
		}
	}
}

// keepMounting runs mount for d, and restarts mount after an error.
func (w *workers) keepMounting(ctx context.Context, d slipway.Deployment, mount Runner) {
	for ctx.Err() == nil {
		err := mount(ctx, d, w.MountDir(d), w.portals.Portal(d))
		if ctx.Err() != nil {
			return
		}
		w.log.Error("mount", slog.String("deployment", d.Namespace), slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

// Runner mounts the desired state of one Deployment on this machine until ctx
// ends.
type Runner func(ctx context.Context, d slipway.Deployment, dir string, p *AgentPortal) error

const (
	sweepEvery = time.Hour
	retryAfter = 5 * time.Second // after an internal error
)

// Run works queues off, stages uploads and runs mount for each Deployment on
// this machine, and resumes interrupted work. Run returns after ctx has ended
// and all work that may not be interrupted is done.
func (w *workers) Run(ctx context.Context, mount Runner) error {
	ctx = store.Patient(ctx, w.recordsLocked) // deploys wait while another program locks the records
	switch err := w.startAll(ctx, mount); {
	case err != nil && ctx.Err() != nil:
		return nil // stopped before the start
	case err != nil:
		return err
	}
	defer w.finish()
	w.wg.Go(func() { w.retention.runRetention(ctx) })
	w.wg.Go(func() { w.countInsights(ctx) })
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := w.endings.sweep(ctx); err != nil && ctx.Err() == nil {
			w.log.Error("sweep", slog.Any("error", err))
		}
	}
}

// insightsEvery is the time between two looks for deploys that the sums for Insights
// lack.
const insightsEvery = 2 * time.Second

// countInsights keeps the sums for Insights up to date.
func (w *workers) countInsights(ctx context.Context) {
	for {
		more, err := w.store.CountInsights(ctx)
		wait := insightsEvery
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.log.Error("count deploys for insights", slog.Any("error", err))
			wait = retryAfter
		case more:
			wait = time.Millisecond // others write in between
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// lockLogEvery is the time between two log lines about a lock of the records.
const lockLogEvery = time.Minute

// recordsLocked logs that work waits for another program's lock.
func (w *workers) recordsLocked() {
	now, last := time.Now().UnixNano(), w.lockLogged.Load()
	if now-last >= int64(lockLogEvery) && w.lockLogged.CompareAndSwap(last, now) {
		w.log.Warn("the records are locked by another program; work waits until it lets go")
	}
}

// startAll starts a worker for each Deployment, and the removal of deleted
// ones.
func (w *workers) startAll(ctx context.Context, mount Runner) error {
	w.mu.Lock() // a Deployment deleted at the same time is in deleted, or has a worker to stop
	defer w.mu.Unlock()
	var all, deleted []slipway.Deployment
	err := w.store.View(ctx, func(tx *store.Tx) (err error) {
		if all, err = tx.AllDeployments(); err != nil {
			return err
		}
		deleted, err = tx.DeletedDeployments()
		return err
	})
	if err != nil {
		return err
	}
	w.ctx, w.mount = ctx, mount
	for _, d := range all {
		w.start(d)
	}
	for _, d := range deleted {
		w.wg.Go(func() { w.deletions.remove(ctx, d) })
	}
	return nil
}

// finish waits for all background work.
func (w *workers) finish() {
	w.mu.Lock()
	running := w.running
	w.running = map[slipway.DeploymentID]*worker{} // no worker starts any more: ctx has ended
	w.mu.Unlock()
	for _, r := range running {
		r.stop()
		r.wg.Wait()
	}
	w.wg.Wait()
}

package deploy

import (
	"sync"

	"slipway/internal/slipway"
)

// watchers receive a signal when something about a Deployment changes.
type watchers struct {
	mu  sync.Mutex
	all map[signal]watch
}

// watch describes the changes that a watcher waits for.
type watch struct {
	of      slipway.DeploymentID // "" for every Deployment
	deploy  slipway.DeployID     // only changes of one deploy; "" for all changes of the Deployment
	reports bool                 // reports of components count, too; the many agents watch without reports
}

// wants reports whether w waits for a change of the Deployment of. With a
// deploy, the change is of the deploy alone; with "", of the whole Deployment.
func (w watch) wants(of slipway.DeploymentID, deploy slipway.DeployID) bool {
	return (w.of == "" || w.of == of) && (w.deploy == "" || w.deploy == deploy)
}

func (w *watchers) add(what watch) (changed <-chan struct{}, stop func()) {
	s := make(signal, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[signal]watch{}
	}
	w.all[s] = what
	return s, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, s)
	}
}

// notify signals a change of a Deployment's records to all watchers of the
// Deployment.
func (w *watchers) notify(of slipway.DeploymentID) {
	w.notifyIf(func(to watch) bool { return to.wants(of, "") })
}

// changed signals a change of one deploy's records, also to watchers of the
// deploy alone.
func (w *watchers) changed(of slipway.DeploymentID, deploy slipway.DeployID) {
	w.notifyIf(func(to watch) bool { return to.wants(of, deploy) })
}

// gone signals the deletion of a Deployment to all watchers of the Deployment
// or of one of its deploys.
func (w *watchers) gone(of slipway.DeploymentID) {
	w.notifyIf(func(to watch) bool { return to.of == "" || to.of == of })
}

// reported signals a component's report to the watchers that wait for reports.
func (w *watchers) reported(of slipway.DeploymentID) {
	w.notifyIf(func(to watch) bool { return to.reports && to.wants(of, "") })
}

func (w *watchers) notifyIf(match func(watch) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, to := range w.all {
		if match(to) {
			s.set()
		}
	}
}

// recheck signals all watchers that act for a person or a program, because
// permissions may have been taken away.
func (w *watchers) recheck() {
	w.notifyIf(func(to watch) bool { return to.reports || to.deploy != "" })
}

// signal wakes a loop: set once or many times, the loop runs once more.
type signal chan struct{}

func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// wakers wake the loops of the workers. A Deployment without a worker has
// nothing to wake: a worker begins with one run of each loop.
type wakers struct {
	mu sync.Mutex
	of map[slipway.DeploymentID]waker
}

// waker has a signal for each loop of one worker.
type waker struct {
	stage signal // an upload to stage, or packs to delete
	queue signal // a deploy or switch in the queue
	merge signal // packs to merge
}

// add returns the signals of a new worker, each set once.
func (w *wakers) add(of slipway.DeploymentID) waker {
	k := waker{stage: make(signal, 1), queue: make(signal, 1), merge: make(signal, 1)}
	k.stage.set()
	k.queue.set()
	k.merge.set()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.of[of] = k
	return k
}

// remove forgets the signals of a worker when the worker stops.
func (w *wakers) remove(of slipway.DeploymentID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, of)
}

func (w *wakers) wakeStage(of slipway.DeploymentID) { w.get(of).stage.set() }

func (w *wakers) wakeQueue(of slipway.DeploymentID) { w.get(of).queue.set() }

func (w *wakers) wakeMerge(of slipway.DeploymentID) { w.get(of).merge.set() }

// get returns the signals of a worker. Without a worker all signals are nil,
// and set ignores a nil signal.
func (w *wakers) get(of slipway.DeploymentID) waker {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of[of]
}

package deploy

import (
	"sync"

	"slipway/internal/slipway"
)

// watchers are told that something about a Deployment has changed.
type watchers struct {
	mu  sync.Mutex
	all map[signal]watch
}

// watch is what somebody wants to be told of.
type watch struct {
	of      slipway.DeploymentID // "" for every Deployment
	deploy  slipway.DeployID     // this one alone; "" for all that concerns the Deployment
	reports bool                 // also what components report: agents, of which there are many, do without
}

// wants reports whether somebody is to be told of what concerns a Deployment: a
// deploy of it, or with "" all of it.
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

// notify tells everybody who watches a Deployment that its records have changed.
func (w *watchers) notify(of slipway.DeploymentID) {
	w.notifyIf(func(to watch) bool { return to.wants(of, "") })
}

// changed is notify for the records of one deploy: whoever watches that alone is
// told, too.
func (w *watchers) changed(of slipway.DeploymentID, deploy slipway.DeployID) {
	w.notifyIf(func(to watch) bool { return to.wants(of, deploy) })
}

// gone tells everybody who watches a Deployment, or a deploy of it, that it is no
// longer there.
func (w *watchers) gone(of slipway.DeploymentID) {
	w.notifyIf(func(to watch) bool { return to.of == "" || to.of == of })
}

// reported tells those who want to know that a component has reported.
func (w *watchers) reported(of slipway.DeploymentID) {
	w.notifyIf(func(to watch) bool { return to.reports && to.wants(of, "") })
}

func (w *watchers) notifyIf(whom func(watch) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, to := range w.all {
		if whom(to) {
			s.set()
		}
	}
}

// recheck tells everybody who watches for a person or a program: what they may
// see may be less by now.
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

// remove forgets a worker that stops.
func (w *wakers) remove(of slipway.DeploymentID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of, of)
}

func (w *wakers) wakeStage(of slipway.DeploymentID) { w.get(of).stage.set() }

func (w *wakers) wakeQueue(of slipway.DeploymentID) { w.get(of).queue.set() }

func (w *wakers) wakeMerge(of slipway.DeploymentID) { w.get(of).merge.set() }

// get returns a worker's signals, or nil channels, which set leaves alone.
func (w *wakers) get(of slipway.DeploymentID) waker {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of[of]
}

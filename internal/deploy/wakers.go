package deploy

import (
	"sync"

	"slipway/internal/slipway"
)

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

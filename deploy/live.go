package deploy

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"slipway"
)

// board is what the components of each Deployment reported last. It is in
// memory only: after a start they report again.
type board struct {
	mu sync.Mutex
	of map[slipway.DeploymentID]map[string]slipway.Component
}

// put notes a report.
func (b *board) put(of slipway.DeploymentID, r slipway.Report, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Leaving {
		delete(b.of[of], r.Component)
		return
	}
	if b.of[of] == nil {
		b.of[of] = map[string]slipway.Component{}
	}
	old, known := b.of[of][r.Component]
	c := slipway.Component{Report: r, Since: old.Since, LastSeen: now}
	if !known || old.DAGs != r.DAGs || old.Version != r.Version || old.Image != r.Image {
		c.Since = now
	}
	b.of[of][r.Component] = c
}

// list returns the components of a Deployment by name. Those that have been
// silent for too long are forgotten.
func (b *board) list(of slipway.DeploymentID, now time.Time) []slipway.Component {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.of[of], func(_ string, c slipway.Component) bool {
		return now.Sub(c.LastSeen) > slipway.ForgottenAfter
	})
	return slices.SortedFunc(maps.Values(b.of[of]), func(a, b slipway.Component) int {
		return cmp.Compare(a.Component, b.Component)
	})
}

// forgive forgets errors: they are about what was wanted before.
func (b *board) forgive(of slipway.DeploymentID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, c := range b.of[of] {
		c.Error = ""
		b.of[of][name] = c
	}
}

func (b *board) forget(of slipway.DeploymentID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, of)
}

// Components returns what the components of a Deployment reported last, by
// name.
func (e *Engine) Components(of slipway.DeploymentID) []slipway.Component {
	return e.live.list(of, e.store.Now())
}

// watchers are told that something about a Deployment has changed.
type watchers struct {
	mu  sync.Mutex
	all map[signal]slipway.DeploymentID // "" watches every Deployment
}

func (w *watchers) add(of slipway.DeploymentID) (changed <-chan struct{}, stop func()) {
	s := make(signal, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[signal]slipway.DeploymentID{}
	}
	w.all[s] = of
	return s, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, s)
	}
}

func (w *watchers) notify(of slipway.DeploymentID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for s, id := range w.all {
		if id == of || id == "" {
			s.set()
		}
	}
}

// Watch returns a channel that gets a token when something about a Deployment
// has changed, and one token only while nobody takes it.
func (e *Engine) Watch(of slipway.DeploymentID) (changed <-chan struct{}, stop func()) {
	return e.watchers.add(of)
}

// WatchAll is Watch for every Deployment.
func (e *Engine) WatchAll() (changed <-chan struct{}, stop func()) { return e.watchers.add("") }

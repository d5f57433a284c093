package deploy

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// board is what the components of each Deployment reported last. It is in
// memory only: after a start they report again.
type board struct {
	mu   sync.Mutex
	of   map[slipway.DeploymentID]map[seat]slipway.Component
	gone map[slipway.DeploymentID]map[string]bool // names of those that will not be back: scaled away, or forgotten
}

// seat is a component's place on the board: it may have an agent of each kind.
type seat struct {
	name   string
	mounts bool
}

func seatOf(r slipway.Report) seat { return seat{r.Component, r.Mounts()} }

// maxComponents is how many components a Deployment may have: more are those
// of an agent that makes up names.
const maxComponents = 2000

// put notes a report.
func (b *board) put(of slipway.DeploymentID, r slipway.Report, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.gone[of], r.Component)
	if r.Leaving {
		delete(b.of[of], seatOf(r))
		if r.ScaledAway() {
			b.note(of, r.Component)
		}
		return nil
	}
	if b.of[of] == nil {
		b.of[of] = map[seat]slipway.Component{}
	}
	old, known := b.of[of][seatOf(r)]
	if !known && len(b.of[of]) >= maxComponents {
		return slipway.Errorf(slipway.TooMany, "This Deployment has %d components already. Forget those that are gone.", maxComponents)
	}
	c := slipway.Component{Report: r, Since: old.Since, LastSeen: now}
	if !known || old.DAGs != r.DAGs || old.Version != r.Version || old.Image != r.Image {
		c.Since = now.Add(-time.Duration(r.Age) * time.Second)
	}
	b.of[of][seatOf(r)] = c
	return nil
}

// note has a component count as gone for good.
func (b *board) note(of slipway.DeploymentID, name string) {
	if b.gone == nil {
		b.gone = map[slipway.DeploymentID]map[string]bool{}
	}
	if len(b.gone[of]) >= maxComponents || b.gone[of] == nil {
		b.gone[of] = map[string]bool{}
	}
	b.gone[of][name] = true
}

// back reports whether a component that is not there may be back.
func (b *board) back(of slipway.DeploymentID, name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.gone[of][name]
}

// list returns the components of a Deployment by name. Those that have been
// silent for too long are forgotten.
func (b *board) list(of slipway.DeploymentID, now time.Time) []slipway.Component {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.of[of], func(_ seat, c slipway.Component) bool { return c.Gone(now) })
	return slices.SortedFunc(maps.Values(b.of[of]), func(a, b slipway.Component) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Kind, b.Kind))
	})
}

// drop forgets a component, and reports whether there was one of that name.
func (b *board) drop(of slipway.DeploymentID, name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.of[of])
	maps.DeleteFunc(b.of[of], func(s seat, _ slipway.Component) bool { return s.name == name })
	if len(b.of[of]) == before {
		return false
	}
	b.note(of, name)
	return true
}

// forgive forgets errors: they are about what was wanted before. Those of
// rollouts that say so stay, as their containers may be what fails.
func (b *board) forgive(of slipway.DeploymentID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, c := range b.of[of] {
		if c.Kind != slipway.Rollout || c.Revision == "" {
			c.Error = ""
			b.of[of][at] = c
		}
	}
}

func (b *board) forget(of slipway.DeploymentID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, of)
	delete(b.gone, of)
}

// Components returns what the components of a Deployment reported last, by
// name.
func (e *Engine) Components(of slipway.DeploymentID) []slipway.Component {
	return e.live.list(of, e.store.Now())
}

// Forget takes a component that is gone for good off a Deployment's board. One
// that still reports comes back.
func (e *Engine) Forget(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, component string) error {
	err := e.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		if err := role.May(slipway.ManageAgents); err != nil {
			return err
		}
		if !e.live.drop(of, component) {
			return slipway.Errorf(slipway.NotFound, "There is no component %s.", component)
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "component.forget", Target: component, Detail: d.Name})
	})
	if err == nil {
		e.watchers.reported(of)
	}
	return err
}

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
	w.tell(func(to watch) bool { return to.wants(of, "") })
}

// changed is notify for the records of one deploy: whoever watches that alone is
// told, too.
func (w *watchers) changed(of slipway.DeploymentID, deploy slipway.DeployID) {
	w.tell(func(to watch) bool { return to.wants(of, deploy) })
}

// gone tells everybody who watches a Deployment, or a deploy of it, that it is no
// longer there.
func (w *watchers) gone(of slipway.DeploymentID) {
	w.tell(func(to watch) bool { return to.of == "" || to.of == of })
}

// reported tells those who want to know that a component has reported.
func (w *watchers) reported(of slipway.DeploymentID) {
	w.tell(func(to watch) bool { return to.reports && to.wants(of, "") })
}

func (w *watchers) tell(whom func(watch) bool) {
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
	w.tell(func(to watch) bool { return to.reports || to.deploy != "" })
}

// Recheck has all who watch look again, so that those stop who may see no more:
// to be called when somebody's access has ended.
func (e *Engine) Recheck() { e.watchers.recheck() }

// Watch returns a channel that gets a token when something about a Deployment
// has changed, and one token only while nobody takes it.
func (e *Engine) Watch(of slipway.DeploymentID) (changed <-chan struct{}, stop func()) {
	return e.watchers.add(watch{of: of, reports: true})
}

// WatchDeploy is Watch for one deploy of a Deployment: many requests at once may
// each wait for theirs.
func (e *Engine) WatchDeploy(of slipway.DeploymentID, deploy slipway.DeployID) (changed <-chan struct{}, stop func()) {
	return e.watchers.add(watch{of: of, deploy: deploy})
}

// WatchAll is Watch for every Deployment.
func (e *Engine) WatchAll() (changed <-chan struct{}, stop func()) {
	return e.watchers.add(watch{reports: true})
}

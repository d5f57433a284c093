package deploy

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// connected is who was connected since a deploy began to wait. Autoscaled components
// do not count: they come and go.
type connected map[string]bool

// components holds the last report of each component, in memory: after a start, components report again.
type components struct {
	*base
	reports  reportBoard
	started  time.Time
	expected []slipway.DeploymentID // with agents before the start
}

// present returns the connected of those that are connected now.
func (o *components) connected(of slipway.DeploymentID, kind slipway.AgentKind) connected {
	r := connected{}
	o.missing(of, kind, r)
	return r
}

// missing notes in r who is connected. Where nobody is any more, but somebody was
// who may be back, it names them: nobody else could say how far the deploy is.
// It is "" else.
func (o *components) missing(of slipway.DeploymentID, kind slipway.AgentKind, r connected) string {
	all := slipway.OfKind(o.Components(of), kind)
	connected := slipway.Connected(all, o.store.Now())
	for _, c := range connected {
		if !c.Ephemeral {
			r[c.Component] = true
		}
	}
	if len(connected) > 0 {
		return ""
	}
	var away []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		switch {
		case !o.reports.mayComeBack(of, name):
		case slices.ContainsFunc(all, func(c slipway.Component) bool { return c.Component == name }):
			away = append(away, name+" has fallen silent")
		default:
			away = append(away, name+" has left")
		}
	}
	return strings.Join(away, "; ")
}

// reportBoard is what the components of each Deployment reported last. It is in
// memory only: after a start they report again.
type reportBoard struct {
	mu   sync.Mutex
	of   map[slipway.DeploymentID]map[componentKey]slipway.Component
	gone map[slipway.DeploymentID]map[string]bool // names of those that will not be back: scaled away, or forgotten
}

// componentKey is a component's place on the board: it may have an agent of each kind.
type componentKey struct {
	name   string
	mounts bool
}

func keyOf(r slipway.Report) componentKey { return componentKey{r.Component, r.Mounts()} }

// maxComponents is how many components a Deployment may have: more are those
// of an agent that makes up names.
const maxComponents = 2000

// put notes a report.
func (b *reportBoard) put(of slipway.DeploymentID, r slipway.Report, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.gone[of], r.Component)
	if r.Leaving {
		delete(b.of[of], keyOf(r))
		if r.ScaledAway() {
			b.markGone(of, r.Component)
		}
		return nil
	}
	if b.of[of] == nil {
		b.of[of] = map[componentKey]slipway.Component{}
	}
	old, known := b.of[of][keyOf(r)]
	if !known && len(b.of[of]) >= maxComponents {
		return slipway.Errorf(slipway.TooMany, "This Deployment has %d components already. Forget those that are gone.", maxComponents)
	}
	c := slipway.Component{Report: r, Since: old.Since, LastSeen: now}
	if !known || old.DAGs != r.DAGs || old.Version != r.Version || old.Image != r.Image {
		c.Since = now.Add(-time.Duration(r.Age) * time.Second)
	}
	b.of[of][keyOf(r)] = c
	return nil
}

// markGone has a component count as gone for good.
func (b *reportBoard) markGone(of slipway.DeploymentID, name string) {
	if b.gone == nil {
		b.gone = map[slipway.DeploymentID]map[string]bool{}
	}
	if len(b.gone[of]) >= maxComponents || b.gone[of] == nil {
		b.gone[of] = map[string]bool{}
	}
	b.gone[of][name] = true
}

// mayComeBack reports whether a component that is not there may be back.
func (b *reportBoard) mayComeBack(of slipway.DeploymentID, name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.gone[of][name]
}

// list returns the components of a Deployment by name. Those that have been
// silent for too long are forgotten.
func (b *reportBoard) list(of slipway.DeploymentID, now time.Time) []slipway.Component {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.of[of], func(_ componentKey, c slipway.Component) bool { return c.Gone(now) })
	return slices.SortedFunc(maps.Values(b.of[of]), func(a, b slipway.Component) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Kind, b.Kind))
	})
}

// remove forgets a component, and reports whether there was one of that name.
func (b *reportBoard) remove(of slipway.DeploymentID, name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.of[of])
	maps.DeleteFunc(b.of[of], func(s componentKey, _ slipway.Component) bool { return s.name == name })
	if len(b.of[of]) == before {
		return false
	}
	b.markGone(of, name)
	return true
}

// clearErrors forgets errors: they are about what was wanted before. Those of
// rollouts that say so stay, as their containers may be what fails.
func (b *reportBoard) clearErrors(of slipway.DeploymentID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, c := range b.of[of] {
		if c.Kind != slipway.Rollout || c.Revision == "" {
			c.Error = ""
			b.of[of][at] = c
		}
	}
}

func (b *reportBoard) forget(of slipway.DeploymentID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, of)
	delete(b.gone, of)
}

// Components returns what the components of a Deployment reported last, by
// name.
func (o *components) Components(of slipway.DeploymentID) []slipway.Component {
	return o.reports.list(of, o.store.Now())
}

// Forget takes a component that is gone for good off a Deployment's board. One
// that still reports comes back.
func (o *components) Forget(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, component string) error {
	err := o.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		if err := role.May(slipway.ManageAgents); err != nil {
			return err
		}
		if !o.reports.remove(of, component) {
			return slipway.Errorf(slipway.NotFound, "There is no component %s.", component)
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "component.forget", Target: component, Detail: d.Name})
	})
	if err == nil {
		o.watchers.reported(of)
	}
	return err
}

// Recheck has all who watch look again, so that those stop who may see no more:
// to be called when somebody's access has ended.
func (o *components) Recheck() { o.watchers.recheck() }

// Watch returns a channel that gets a token when something about a Deployment
// has changed, and one token only while nobody takes it.
func (o *components) Watch(of slipway.DeploymentID) (changed <-chan struct{}, stop func()) {
	return o.watchers.add(watch{of: of, reports: true})
}

// WatchDeploy is Watch for one deploy of a Deployment: many requests at once may
// each wait for theirs.
func (o *components) WatchDeploy(of slipway.DeploymentID, deploy slipway.DeployID) (changed <-chan struct{}, stop func()) {
	return o.watchers.add(watch{of: of, deploy: deploy})
}

// WatchAll is Watch for every Deployment.
func (o *components) WatchAll() (changed <-chan struct{}, stop func()) {
	return o.watchers.add(watch{reports: true})
}

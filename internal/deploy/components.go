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

// connectedSet is the set of names of all components that were connected at any
// time since a deploy began to wait. Autoscaled components are left out,
// because autoscaling starts and stops them at any time.
type connectedSet map[string]bool

// components holds the last report of each component, in memory: after a start, components report again.
type components struct {
	*base
	reports  lastReports
	started  time.Time
	expected []slipway.DeploymentID // with agents before the start
}

// connected returns the names of the components that are connected now.
func (o *components) connected(of slipway.DeploymentID, kind slipway.AgentKind) connectedSet {
	r := connectedSet{}
	o.missing(of, kind, r)
	return r
}

// missing adds the connected components to r. When no component is connected
// any more, missing names the earlier ones that may come back, because only
// they can report on the deploy. Otherwise missing returns "".
func (o *components) missing(of slipway.DeploymentID, kind slipway.AgentKind, r connectedSet) string {
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

// lastReports keeps the last report of each component in memory. After a start,
// components report again.
type lastReports struct {
	mu   sync.Mutex
	of   map[slipway.DeploymentID]map[componentKey]slipway.Component
	gone map[slipway.DeploymentID]map[string]bool // names of components that will not come back: scaled away, or removed by a person

	seen    map[slipway.DeploymentID]time.Time                  // last report of any component; from the agent tokens after a start
	refused map[slipway.DeploymentID]map[componentKey]time.Time // last report of components beyond the limits
}

// componentKey tells apart the agents of one component: at most one agent of
// each kind.
type componentKey struct {
	name   string
	mounts bool
}

func keyOf(r slipway.Report) componentKey { return componentKey{r.Component, r.Mounts()} }

// seenAt notes that a component was there. b is locked.
func (b *lastReports) seenAt(of slipway.DeploymentID, at time.Time) {
	if b.seen == nil {
		b.seen = map[slipway.DeploymentID]time.Time{}
	}
	b.seen[of] = at
}

// SeenAt returns the time of the last report of any component, also of those that
// have gone; zero for never. After a start, it is the last use of an agent token.
func (o *components) SeenAt(of slipway.DeploymentID) time.Time {
	o.reports.mu.Lock()
	defer o.reports.mu.Unlock()
	return o.reports.seen[of]
}

// resumeSeen takes over when the agents were last there before the start.
func (o *components) resumeSeen(seen map[slipway.DeploymentID]time.Time) {
	o.reports.mu.Lock()
	defer o.reports.mu.Unlock()
	for of, at := range seen {
		o.reports.seenAt(of, at)
	}
}

// put notes a report by an agent with a token.
func (b *lastReports) put(of slipway.DeploymentID, token slipway.TokenID, r slipway.Report, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seenAt(of, now)
	delete(b.gone[of], r.Component)
	delete(b.refused[of], keyOf(r))
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
	if !known {
		maps.DeleteFunc(b.of[of], func(_ componentKey, c slipway.Component) bool { return c.Gone(now) })
		if err := slipway.MayAppear(token, maps.Values(b.of[of]), now); err != nil {
			b.refuse(of, r, now)
			return err
		}
		if c, full := slipway.MakesRoom(token, maps.Values(b.of[of]), now); full {
			delete(b.of[of], keyOf(c.Report))
		}
	}
	c := slipway.Component{Report: r, Since: old.Since, LastSeen: now, Token: token}
	if !known || old.DAGs != r.DAGs || old.Version != r.Version || old.Image != r.Image {
		c.Since = now.Add(-time.Duration(r.Age) * time.Second)
	}
	b.of[of][keyOf(r)] = c
	return nil
}

// refuse notes a report beyond the limits.
func (b *lastReports) refuse(of slipway.DeploymentID, r slipway.Report, now time.Time) {
	if b.refused == nil {
		b.refused = map[slipway.DeploymentID]map[componentKey]time.Time{}
	}
	if b.refused[of] == nil {
		b.refused[of] = map[componentKey]time.Time{}
	}
	if len(b.refused[of]) < slipway.MaxDeploymentComponents {
		b.refused[of][keyOf(r)] = now
	}
}

// refusedOf returns the components with refused reports of late.
func (b *lastReports) refusedOf(of slipway.DeploymentID, now time.Time) slipway.Refused {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.refused[of], func(_ componentKey, at time.Time) bool { return now.Sub(at) >= slipway.SilentAfter })
	r := slipway.Refused{Count: len(b.refused[of])}
	for at := range b.refused[of] {
		if r.One == "" || at.name < r.One {
			r.One = at.name
		}
	}
	return r
}

// markGone has a component count as gone for good.
func (b *lastReports) markGone(of slipway.DeploymentID, name string) {
	if b.gone == nil {
		b.gone = map[slipway.DeploymentID]map[string]bool{}
	}
	if len(b.gone[of]) >= slipway.MaxDeploymentComponents || b.gone[of] == nil {
		b.gone[of] = map[string]bool{}
	}
	b.gone[of][name] = true
}

// mayComeBack reports whether a component that has disappeared may come back.
func (b *lastReports) mayComeBack(of slipway.DeploymentID, name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.gone[of][name]
}

// list returns the components of a Deployment by name. A component that was
// silent for too long is removed.
func (b *lastReports) list(of slipway.DeploymentID, now time.Time) []slipway.Component {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.of[of], func(_ componentKey, c slipway.Component) bool { return c.Gone(now) })
	return slices.SortedFunc(maps.Values(b.of[of]), func(a, b slipway.Component) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Kind, b.Kind))
	})
}

// remove removes a component, and reports whether a component of the name
// existed.
func (b *lastReports) remove(of slipway.DeploymentID, name string) bool {
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

// revoked has the components of a revoked token count as silent: nothing waits for
// them.
func (b *lastReports) revoked(of slipway.DeploymentID, token slipway.TokenID, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, c := range b.of[of] {
		if c.Token != token {
			continue
		}
		if !c.Silent(now) {
			c.LastSeen = now.Add(-slipway.SilentAfter)
			b.of[of][at] = c
		}
		b.markGone(of, c.Component)
	}
}

// clearErrors removes errors about the earlier desired state. An error of a
// rollout with a revision stays: the rollout's containers may be the cause.
func (b *lastReports) clearErrors(of slipway.DeploymentID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, c := range b.of[of] {
		if c.Kind != slipway.Rollout || c.Revision == "" {
			c.Error = ""
			b.of[of][at] = c
		}
	}
}

func (b *lastReports) forget(of slipway.DeploymentID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, of)
	delete(b.gone, of)
	delete(b.refused, of)
	delete(b.seen, of)
}

// Components returns the last reports of a Deployment's components, by name.
func (o *components) Components(of slipway.DeploymentID) []slipway.Component {
	return o.reports.list(of, o.store.Now())
}

// Refused tells of the components of a Deployment whose reports are refused, because
// too many are connected.
func (o *components) Refused(of slipway.DeploymentID) slipway.Refused {
	return o.reports.refusedOf(of, o.store.Now())
}

// Forget removes a component that is gone for good from a Deployment's list. A
// component that still reports comes back.
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

// TokenRevoked tells that agents of a Deployment can no longer report with a
// token. Their components fall silent at once.
func (o *components) TokenRevoked(of slipway.DeploymentID, token slipway.TokenID) {
	o.reports.revoked(of, token, o.store.Now())
	o.watchers.reported(of)
}

// Recheck makes all watchers check their permissions again. Call Recheck after
// a person's or a token's access has ended.
func (o *components) Recheck() { o.watchers.recheck() }

// Watch returns a channel that receives a token after a change of a Deployment.
// Further changes add no token until the first one is received.
func (o *components) Watch(of slipway.DeploymentID) (changed <-chan struct{}, stop func()) {
	return o.watchers.add(watch{of: of, reports: true})
}

// WatchDeploy is Watch for one deploy of a Deployment. Many requests may each
// wait for their own deploy.
func (o *components) WatchDeploy(of slipway.DeploymentID, deploy slipway.DeployID) (changed <-chan struct{}, stop func()) {
	return o.watchers.add(watch{of: of, deploy: deploy})
}

// WatchAll is Watch for every Deployment.
func (o *components) WatchAll() (changed <-chan struct{}, stop func()) {
	return o.watchers.add(watch{reports: true})
}

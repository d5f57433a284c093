package deploy

import (
	"maps"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// roll is who was connected since a deploy began to wait. Autoscaled components
// do not count: they come and go.
type roll map[string]bool

// present returns the roll of those that are connected now.
func (e *Engine) present(of slipway.DeploymentID, kind slipway.AgentKind) roll {
	r := roll{}
	e.lost(of, kind, r)
	return r
}

// lost notes in r who is connected. Where nobody is any more, but somebody was
// who may be back, it names them: nobody else could say how far the deploy is.
// It is "" else.
func (e *Engine) lost(of slipway.DeploymentID, kind slipway.AgentKind, r roll) string {
	all := slipway.OfKind(e.Components(of), kind)
	connected := slipway.Connected(all, e.store.Now())
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
		case !e.live.back(of, name):
		case slices.ContainsFunc(all, func(c slipway.Component) bool { return c.Component == name }):
			away = append(away, name+" has fallen silent")
		default:
			away = append(away, name+" has left")
		}
	}
	return strings.Join(away, "; ")
}

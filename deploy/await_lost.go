package deploy

import (
	"maps"
	"slices"
	"strings"
	"time"

	"slipway"
)

// roll is who was connected since a deploy began to wait. Autoscaled components
// do not count: they come and go.
type roll map[string]bool

// present returns the roll of those that are connected now.
func (e *Engine) present(of slipway.DeploymentID, kind slipway.AgentKind) roll {
	r := roll{}
	r.lost(slipway.OfKind(e.Components(of), kind), e.store.Now())
	return r
}

// lost notes who of all is connected. Where nobody is any more, but somebody
// was, it names them: they may be back, and nobody else could say how far the
// deploy is. It is "" else.
func (r roll) lost(all []slipway.Component, now time.Time) string {
	connected := slipway.Connected(all, now)
	for _, c := range connected {
		if !c.Ephemeral {
			r[c.Component] = true
		}
	}
	if len(connected) > 0 {
		return ""
	}
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if slices.ContainsFunc(all, func(c slipway.Component) bool { return c.Component == name }) {
			gone = append(gone, name+" has fallen silent")
		} else {
			gone = append(gone, name+" has left")
		}
	}
	return strings.Join(gone, "; ")
}

package docker

import (
	"strings"
	"time"
)

// Names of containers hold the state that must survive a crash of the agent:
// labels never change, and people see names.
const (
	nextMark  = ".slipway-next"        // beside NAME, not healthy yet
	heldMark  = ".slipway-held-until-" // NAME told to stop before its successor starts
	oldMark   = ".slipway-old-"        // replaced, not told to stop yet
	drainMark = ".slipway-until-"      // replaced and told to stop; killed then
)

// nameTime is how a time stands in a name.
const nameTime = "20060102T150405Z"

// role is a container's part in its component.
type role int

const (
	inCharge role = iota
	next          // in charge after becoming healthy
	held          // told to stop for next; in charge again if next fails
	old           // replaced
	draining      // replaced, and ending
)

// box is a container of a component.
type box struct {
	ID, Image string // Image is the image's id
	Name      string
	Base      string // name of the container in charge
	Role      role
	Until     time.Time // end of held or draining, then killed
	Running   bool      // also while paused or restarting
	State     string    // in the Engine's words
	Crashed   string    // a failure: "exited with code 3 and does not run"; "" for a healthy, stopped or uninspected container
	Agent     string    // process that made the container; "" for people
}

// newBox reads the role from a name.
func newBox(name string) box {
	b := box{Name: name, Base: name}
	for _, m := range []struct {
		mark string
		role role
	}{{heldMark, held}, {drainMark, draining}, {oldMark, old}, {nextMark, next}} {
		base, rest, found := strings.Cut(name, m.mark)
		if !found {
			continue
		}
		b.Base, b.Role = base, m.role
		stamp, _, _ := strings.Cut(rest, "-")
		b.Until, _ = time.Parse(nameTime, stamp) // zero for a name made by hand
		break
	}
	return b
}

// as returns the name of b in another role. until is part of the names of some
// roles.
func (b box) as(r role, until time.Time) string {
	short := b.ID[:min(12, len(b.ID))] // distinguishes several containers of one base
	switch r {
	case next:
		return b.Base + nextMark
	case held:
		return b.Base + heldMark + until.UTC().Format(nameTime)
	case old:
		return b.Base + oldMark + short
	case draining:
		return b.Base + drainMark + until.UTC().Format(nameTime) + "-" + short
	}
	return b.Base
}

// verb is an action on a container.
type verb string

const (
	promote verb = "promote" // give it the name of the one in charge
	revive  verb = "revive"  // start the container, and keep the role
	dismiss verb = "dismiss" // tell it to stop, and note until when
	remove  verb = "remove"  // kill the container if running
)

// chore is one thing to be done with a container.
type chore struct {
	verb verb
	box  box
}

// chores returns the due actions on the containers of a component, in order.
// self may be working on next containers of its own; next containers of other
// processes are leftovers.
func chores(all []box, self string, now time.Time) []chore {
	var list []chore
	for _, b := range all {
		if b.Role == next && !decided(all, b.Base) && b.Agent != self {
			list = append(list, chore{remove, b})
		}
	}
	for _, b := range all {
		if v := todo(all, b, self, now); v != "" {
			list = append(list, chore{v, b})
		}
	}
	return list
}

// decided reports whether the next container of base takes over: the old one
// has given up the name.
func decided(all []box, base string) bool {
	return !has(all, base, inCharge) && !has(all, base, held) && has(all, base, old)
}

// todo returns the action on b, apart from clearing leftovers.
func todo(all []box, b box, self string, now time.Time) verb {
	switch late := !now.Before(b.Until); {
	case b.Role == next && decided(all, b.Base):
		return promote
	case b.Role == held:
		return todoHeld(all, b, self, late)
	case b.Role == old && has(all, b.Base, inCharge):
		return dismiss
	case b.Role == old && !has(all, b.Base, next):
		return promote // its successor was removed by hand
	case b.Role == draining && (late || !b.Running):
		return remove
	}
	return ""
}

func todoHeld(all []box, b box, self string, late bool) verb {
	for _, o := range all {
		if o.Base == b.Base && o.Role == next && o.Agent == self {
			return "" // Apply is at work
		}
	}
	switch {
	case has(all, b.Base, inCharge):
		return dismiss
	case !b.Running:
		return revive
	case late:
		return promote // the container did not stop: nothing has changed
	}
	return ""
}

func has(all []box, base string, r role) bool {
	for _, b := range all {
		if b.Base == base && b.Role == r {
			return true
		}
	}
	return false
}

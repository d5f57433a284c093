package docker

import (
	"strings"
	"time"
)

// The names of containers hold what must survive a crash of the agent: labels
// never change, names do, and people see them.
const (
	nextMark  = ".slipway-next"        // beside NAME, not healthy yet
	heldMark  = ".slipway-held-until-" // NAME told to stop before its successor starts
	oldMark   = ".slipway-old-"        // replaced, not told to stop yet
	drainMark = ".slipway-until-"      // replaced and told to stop; killed then
)

// nameTime is how a time stands in a name.
const nameTime = "20060102T150405Z"

// role is what a container is to the component that it belongs to.
type role int

const (
	inCharge role = iota
	next          // to be in charge once it is healthy
	held          // told to stop so that next can start; in charge again if next fails
	old           // replaced
	draining      // replaced, and ending
)

// box is a container of a component.
type box struct {
	ID, Image string // Image is the id of its image
	Name      string
	Base      string // name of the container that is in charge
	Role      role
	Until     time.Time // held or draining: it is killed then
	Running   bool      // also if it is paused or restarted again and again
	State     string    // as the Engine names it
	Crashed   string    // how it fails by itself, "exited with code 3 and does not run"; "" if it runs well, was told to end, or nobody asked
	Agent     string    // the process that made it, "" for people's
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
		b.Until, _ = time.Parse(nameTime, stamp) // of a name that somebody made up: long ago
		break
	}
	return b
}

// as returns the name of b in another role. until counts where the role has it.
func (b box) as(r role, until time.Time) string {
	short := b.ID[:min(12, len(b.ID))] // so that a base can have several
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

// verb is what is to be done with a container.
type verb string

const (
	promote verb = "promote" // give it the name of the one in charge
	revive  verb = "revive"  // start it, and do that
	dismiss verb = "dismiss" // tell it to stop, and note until when
	remove  verb = "remove"  // kill it if it still runs
)

// chore is one thing to be done with a container.
type chore struct {
	verb verb
	box  box
}

// chores returns what is to be done now with the containers of a component,
// in order. self is the process that may be at work on the next ones; those of
// others are leftovers.
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

// decided reports whether the next container of base is to take over: the one
// before it has given the name away.
func decided(all []box, base string) bool {
	return !has(all, base, inCharge) && !has(all, base, held) && has(all, base, old)
}

// todo returns what is to be done with b, beside clearing leftovers.
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
		return promote // it did not stop: nothing has changed
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

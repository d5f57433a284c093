package slipway

import "time"

// Hold is why a DAG bundle version stays, however old it is. "" is no reason:
// it stays for its days and then expires.
type Hold string

// The reasons, the strongest first.
const (
	HoldCurrent Hold = "current" // it is the wanted one, or what the switch restores
	HoldMounted Hold = "mounted" // a component runs it
	HoldNeeded  Hold = "needed"  // a deploy that has not ended names it
	HoldLast    Hold = "last"    // it is one of the last
)

// Holds says which versions of a Deployment are held.
type Holds map[Version]Hold

// Retention is how long a version stays.
type Retention struct {
	Hold  Hold
	Until time.Time // its days; it stays beyond them while it is held
}

// Expired reports whether the version is to go.
func (r Retention) Expired(now time.Time) bool { return r.Hold == "" && !now.Before(r.Until) }

package slipway

import "time"

// Hold is the reason to retain a DAG bundle version of any age. A version with
// "" expires after its days.
type Hold string

// The reasons, the strongest first.
const (
	HoldCurrent Hold = "current" // it is the wanted one, or what the switch restores
	HoldMounted Hold = "mounted" // a component runs it
	HoldNeeded  Hold = "needed"  // a deploy that has not ended names it
	HoldLast    Hold = "last"    // it is one of the last
)

// Holds maps the retained versions of a Deployment to reasons.
type Holds map[Version]Hold

// Retention is how long a version stays.
type Retention struct {
	Hold  Hold
	Until time.Time // end of the version's days; a Hold retains the version longer
}

// Expired reports whether the version is to go.
func (r Retention) Expired(now time.Time) bool { return r.Hold == "" && !now.Before(r.Until) }

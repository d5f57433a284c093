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

// Holds returns what holds versions of d. last are its last KeepLast versions,
// by when they were brought and by when they were wanted; needed are those that
// deploys name which have not ended; all are the components as they report.
func (d Deployment) Holds(last, needed []Version, all []Component) Holds {
	h := Holds{}
	for _, v := range last {
		h[v] = HoldLast
	}
	for _, v := range needed {
		h[v] = HoldNeeded
	}
	for _, c := range all {
		h[c.Version] = HoldMounted
	}
	if d.Before != nil {
		h[d.Before.Version] = HoldCurrent
	}
	h[d.Version] = HoldCurrent
	delete(h, "")
	return h
}

// KeepLast is how many of d's last versions stay in any case.
func (d Deployment) KeepLast() int { return max(d.KeepVersions, DefaultKeepVersions) }

// KeepFor is how long a version of d stays after it was replaced.
func (d Deployment) KeepFor() time.Duration {
	days := d.KeepDays
	if days <= 0 {
		days = DefaultKeepDays
	}
	return time.Duration(days) * 24 * time.Hour
}

// Retention is how long a version stays.
type Retention struct {
	Hold  Hold
	Until time.Time // its days; it stays beyond them while it is held
}

// Retention judges a version of d that was replaced at a time. For one that is
// wanted that time does not matter.
func (d Deployment) Retention(v Version, replacedAt time.Time, h Holds) Retention {
	r := Retention{Hold: h[v]}
	if r.Hold != HoldCurrent {
		r.Until = replacedAt.Add(d.KeepFor())
	}
	return r
}

// Expired reports whether the version is to go.
func (r Retention) Expired(now time.Time) bool { return r.Hold == "" && !now.Before(r.Until) }

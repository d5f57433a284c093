// Package insights has the rules of the figures about deploys: what each deploy
// counts for, sums of deploys, and the periods that the pages of Insights show.
package insights

import (
	"time"

	"slipway/internal/slipway"
)

// Step is a part of the time that a deploy takes.
type Step int

// The steps, in order of time.
const (
	Upload  Step = iota // from the first byte to the last
	Check               // until the changes can be read
	Confirm             // until a person or the client confirms
	Wait                // for deploys in front
	Store               // until the bundle version is complete on the portal's side
	Mount               // until every connected component runs it
	steps
)

// Weight is what one ended deploy adds to the sums of its day and kind. The zero
// Weight adds nothing.
type Weight struct {
	Day  int // days since 1 January 1970, UTC, of the deploy's first byte
	Kind slipway.DeployKind
	By   string // id of the token, or of the person

	Live, Undone, Failed bool // one of them; all false for a deploy that counts for nothing

	Took     time.Duration // from the first byte until all components ran it; -1 unless deployed
	Steps    [steps]time.Duration
	Stored   int64         // new bytes in packs
	Restored time.Duration // from the first of a run of bad deploys until w ended that run; -1 for other deploys
}

// none is a duration that was not measured.
const none = time.Duration(-1)

// Before is a deploy that was live before another.
type Before struct {
	Number, UndoneBy int
	Status           slipway.Status
	LiveAt           time.Time
}

// Bad reports whether the deploy failed after it went live, or was undone by next,
// the deploy that went live after it.
func (b Before) Bad(next int) bool {
	return b.Status == slipway.Failed || b.UndoneBy > 0 && b.UndoneBy == next
}

// RunMax is the largest number of bad deploys in a row: time to restore counts
// from there in a longer row.
const RunMax = 100

// WeightOf returns what w counts for. before are up to RunMax deploys that were live
// before w, newest first: at least all of a run of bad ones. next is the number of
// the deploy that went live after w; 0 for none.
func WeightOf(w slipway.Deploy, before []Before, next int) Weight {
	c := Weight{Day: Day(w.CreatedAt), Kind: w.Kind, By: sender(w.By), Took: none, Restored: none}
	switch {
	case w.Status == slipway.Failed:
		c.Failed = true
	case w.Status != slipway.Deployed || !w.WentLive():
		return Weight{Took: none, Restored: none}
	case w.UndoneBy > 0:
		c.Undone = true
	default:
		c.Live = true
	}
	if w.WentLive() {
		c.Stored = w.Counts.NewBytes
	}
	if c.Failed {
		return c
	}
	c.Took = max(w.EndedAt.Sub(w.CreatedAt), 0)
	c.Steps = stepsOf(w)
	if since := began(before, w.Number); !since.IsZero() && !(Before{UndoneBy: w.UndoneBy}).Bad(next) {
		c.Restored = max(w.EndedAt.Sub(since), 0)
	}
	return c
}

// sender returns the id of a token, else of the person.
func sender(by slipway.Actor) string {
	if by.Token != "" {
		return string(by.Token)
	}
	return string(by.User)
}

// began returns when the first of the run of bad deploys just before deploy next
// went live, zero for no such run.
func began(before []Before, next int) (since time.Time) {
	for _, b := range before[:min(len(before), RunMax)] {
		if !b.Bad(next) {
			break
		}
		since, next = b.LiveAt, b.Number
	}
	return since
}

func stepsOf(w slipway.Deploy) (all [steps]time.Duration) {
	for step, s := range [steps]struct{ from, until time.Time }{
		Upload: {w.CreatedAt, w.UploadedAt}, Check: {w.UploadedAt, w.StagedAt}, Confirm: {w.StagedAt, w.QueuedAt},
		Wait: {w.QueuedAt, w.DeployingAt}, Store: {w.DeployingAt, w.StoredAt}, Mount: {later(w.DeployingAt, w.StoredAt), w.EndedAt},
	} {
		if !s.from.IsZero() && !s.until.IsZero() {
			all[step] = max(s.until.Sub(s.from), 0)
		}
	}
	return all
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Day returns the day of t in UTC, as days since 1 January 1970.
func Day(t time.Time) int { return int(max(t.Unix(), 0) / secondsOfDay) }

// DayAt returns the beginning of a day.
func DayAt(day int) time.Time { return time.Unix(int64(day)*secondsOfDay, 0).UTC() }

const secondsOfDay = 24 * 60 * 60

// Outcomes counts deploys by how they ended.
type Outcomes struct{ Live, Undone, Failed int64 }

// All returns the number of deploys.
func (o Outcomes) All() int64 { return o.Live + o.Undone + o.Failed }

// Bad returns the share of failed and undone deploys, from 0 to 1; 0 without any
// deploy.
func (o Outcomes) Bad() float64 {
	if o.All() == 0 {
		return 0
	}
	return float64(o.Undone+o.Failed) / float64(o.All())
}

func (o Outcomes) plus(p Outcomes) Outcomes {
	return Outcomes{o.Live + p.Live, o.Undone + p.Undone, o.Failed + p.Failed}
}

func (w Weight) outcomes() Outcomes {
	one := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	return Outcomes{one(w.Live), one(w.Undone), one(w.Failed)}
}

// Counts reports whether w adds anything.
func (w Weight) Counts() bool { return w.outcomes().All() > 0 }

// Sums adds up the weights of deploys. The zero Sums is of no deploy.
type Sums struct {
	Outcomes
	Stored   int64                // bytes
	Steps    [steps]time.Duration // of the deployed ones
	Took     Histogram            // of the deployed ones
	Restored Histogram
	By       map[string]Outcomes // by the id of the token or person
}

// Add adds the weight of a deploy to s.
func (s *Sums) Add(w Weight) { s.add(w, 1) }

// Drop takes a weight that was added before away from s.
func (s *Sums) Drop(w Weight) { s.add(w, -1) }

func (s *Sums) add(w Weight, sign int64) {
	o := w.outcomes()
	o = Outcomes{sign * o.Live, sign * o.Undone, sign * o.Failed}
	s.Outcomes = s.plus(o)
	s.Stored += sign * w.Stored
	for i, d := range w.Steps {
		s.Steps[i] += time.Duration(sign) * d
	}
	if w.Took >= 0 {
		s.Took.add(w.Took, sign)
	}
	if w.Restored >= 0 {
		s.Restored.add(w.Restored, sign)
	}
	s.addBy(w.By, o)
}

func (s *Sums) addBy(id string, o Outcomes) {
	if s.By == nil {
		s.By = map[string]Outcomes{}
	}
	if s.By[id] = s.By[id].plus(o); s.By[id] == (Outcomes{}) {
		delete(s.By, id)
	}
}

// Merge adds other sums to s.
func (s *Sums) Merge(other *Sums) {
	s.Outcomes = s.plus(other.Outcomes)
	s.Stored += other.Stored
	for i, d := range other.Steps {
		s.Steps[i] += d
	}
	s.Took.merge(&other.Took)
	s.Restored.merge(&other.Restored)
	for id, o := range other.By {
		s.addBy(id, o)
	}
}

// Mean returns the time that a deployed deploy spends in a step on average.
func (s *Sums) Mean(step Step) time.Duration {
	n := s.Live + s.Undone
	if n == 0 {
		return 0
	}
	return s.Steps[step] / time.Duration(n)
}

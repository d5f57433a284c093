package inbound

import (
	"cmp"
	"time"
)

// stage is how far the requests of a connection are.
type stage int32

const (
	opened  stage = iota // no header came whole yet
	working              // a request is in work, until its answer was sent
	resting              // between two requests
)

// standing is what counts about a connection when another one needs room.
type standing struct {
	stage   stage
	since   time.Time // when the stage began: a byte now and then prolongs nothing
	known   bool      // the request in work came with a good credential
	lacking bool      // the portal waits for bytes of the body
	untaken time.Time // since when the portal waits for the client to take bytes of the answer; zero if not
}

// rank is the order in which connections make room.
type rank int

const (
	unasked  rank = iota // without a request so far
	between              // between two requests
	stranger             // the client of a request without a good credential keeps the portal waiting
	deaf                 // a known client does not take the answer
	kept                 // never ended: a request in work, the upload of a known client
)

// deafAfter is how long a known client may take no bytes of an answer before the
// connection counts as deaf.
const deafAfter = 5 * time.Second

// rank returns the rank of a connection at now.
func (s standing) rank(now time.Time) rank {
	switch {
	case s.stage == opened:
		return unasked
	case s.stage == resting:
		return between
	case !s.known && (s.lacking || !s.untaken.IsZero()):
		return stranger
	case s.known && !s.untaken.IsZero() && now.Sub(s.untaken) > deafAfter:
		return deaf
	}
	return kept
}

// before orders two connections: the one to make room comes first.
func (s standing) before(other standing, now time.Time) int {
	return cmp.Or(cmp.Compare(s.rank(now), other.rank(now)), s.since.Compare(other.since))
}

// Package inbound is the way in for connections and request bodies: a bounded
// number of connections, fair by network; a least speed in both directions; and
// answers that reach clients who are still sending.
package inbound

import "time"

// The least speed of a client: each portion of a body or of an answer passes
// within a wait. That is a kilobyte a second, with pauses of up to a minute.
const (
	Wait    = time.Minute
	portion = 64 << 10 // bytes
)

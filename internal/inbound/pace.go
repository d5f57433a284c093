package inbound

import "time"

// pace is the least speed of one direction: each portion may take up to a wait.
// Only waiting for the client counts, and not the time in between.
type pace struct {
	wait  time.Duration
	left  time.Duration // to wait for the rest of the portion
	lacks int           // bytes of the portion to come
}

// newPace returns a pace at the beginning of a portion.
func newPace(wait time.Duration) pace { return pace{wait: wait, left: wait, lacks: portion} }

// count notes that n bytes passed after waiting for so long.
func (p *pace) count(n int, took time.Duration) {
	p.left, p.lacks = p.left-took, p.lacks-n
	if p.lacks <= 0 {
		p.left, p.lacks = p.wait, portion
	}
}

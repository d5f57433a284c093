package web

import (
	"sync"

	"slipway/internal/slipway"
)

// maxStreams is how many live pages one person may have open: each is rendered
// anew whenever something happens.
const maxStreams = 50

// slots counts the live pages of each person.
type slots struct {
	mu    sync.Mutex
	taken map[slipway.UserID]int
}

func newSlots() *slots { return &slots{taken: map[slipway.UserID]int{}} }

// acquire takes a slot for a user, and reports whether one was free.
func (s *slots) acquire(id slipway.UserID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[id] >= maxStreams {
		return false
	}
	s.taken[id]++
	return true
}

func (s *slots) release(id slipway.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[id]--; s.taken[id] <= 0 {
		delete(s.taken, id)
	}
}

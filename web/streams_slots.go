package web

import (
	"sync"

	"slipway/internal/slipway"
)

// maxStreams is the most live pages of one person: after a change, every open
// page is rendered anew.
const maxStreams = 50

// slots counts the live pages of each person.
type slots struct {
	mu    sync.Mutex
	taken map[slipway.UserID]int
	all   int
}

// newSlots returns slots without any live page.
func newSlots() *slots { return &slots{taken: map[slipway.UserID]int{}} }

// acquire takes a slot for a user, and reports whether one was free.
func (s *slots) acquire(id slipway.UserID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[id] >= maxStreams {
		return false
	}
	s.taken[id]++
	s.all++
	return true
}

// release returns a slot of a user.
func (s *slots) release(id slipway.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.taken[id]--; s.taken[id] <= 0 {
		delete(s.taken, id)
	}
}

// open returns the number of open live pages.
func (s *slots) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

package web

import (
	"sync"

	"slipway/internal/slipway"
)

// maxStreams is how many live pages one person may have open: each is rendered
// anew whenever something happens.
const maxStreams = 50

// seats counts the live pages of each person.
type seats struct {
	mu    sync.Mutex
	taken map[slipway.UserID]int
}

func newSeats() *seats { return &seats{taken: map[slipway.UserID]int{}} }

// take reports whether there is room for one more of a user's.
func (s *seats) take(id slipway.UserID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[id] >= maxStreams {
		return false
	}
	s.taken[id]++
	return true
}

func (s *seats) leave(id slipway.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[id]--; s.taken[id] <= 0 {
		delete(s.taken, id)
	}
}

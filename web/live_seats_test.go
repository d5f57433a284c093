package web

import "testing"

func TestSeats(t *testing.T) {
	s := newSeats()
	for n := range maxStreams {
		if !s.take("ada") {
			t.Fatalf("live page %d is refused, want %d", n+1, maxStreams)
		}
	}
	if s.take("ada") || !s.take("eve") {
		t.Error("want one page too many refused, and another person's not")
	}
	s.leave("ada")
	if !s.take("ada") {
		t.Error("a page that was closed leaves no room")
	}
	s.leave("eve")
	if _, there := s.taken["eve"]; there {
		t.Error("somebody without a live page is remembered")
	}
}

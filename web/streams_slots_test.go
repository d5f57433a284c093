package web

import "testing"

func TestSeats(t *testing.T) {
	s := newSlots()
	for n := range maxStreams {
		if !s.acquire("ada") {
			t.Fatalf("live page %d is refused, want %d", n+1, maxStreams)
		}
	}
	if s.acquire("ada") || !s.acquire("eve") {
		t.Error("want one page too many refused, and another person's not")
	}
	s.release("ada")
	if !s.acquire("ada") {
		t.Error("a page that was closed leaves no room")
	}
	s.release("eve")
	if _, there := s.taken["eve"]; there {
		t.Error("somebody without a live page is remembered")
	}
}

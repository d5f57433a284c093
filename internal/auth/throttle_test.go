package auth

import (
	"slices"
	"testing"
	"time"
)

func TestThrottleStaysSmall(t *testing.T) {
	th, now := NewThrottle(1, time.Minute), time.Now()
	for i := range 2*throttleKeys + 1 {
		if err := th.Take(time.Duration(i).String(), now); err != nil {
			t.Fatal(err)
		}
	}
	if len(th.used) > throttleKeys {
		t.Errorf("%d keys are kept, want at most %d", len(th.used), throttleKeys)
	}
}

// Whoever guesses is not forgotten for the sake of many who tried once.
func TestThrottleForgetsTheLeastUsed(t *testing.T) {
	th, now := NewThrottle(10, time.Minute), time.Now()
	for range 10 {
		_ = th.Take("guesser", now)
	}
	for i := range 3 * throttleKeys {
		_ = th.Take(time.Duration(i).String(), now)
	}
	if th.Take("guesser", now) == nil {
		t.Error("the tries of the guesser are forgotten")
	}
}

func TestAround(t *testing.T) {
	for ip, want := range map[string][]Range{
		"192.0.2.7":                 {{"192.0.2.0/24", 8}},
		"::ffff:192.0.2.7":          {{"192.0.2.0/24", 8}},
		"2001:db8:1:2a3:4:5:6:7":    {{"2001:db8:1:200::/56", 2}, {"2001:db8:1::/48", 4}, {"2001:db8::/32", 16}},
		"2001:db8:1:2a3:4:5:6:7%en": {{"2001:db8:1:200::/56", 2}, {"2001:db8:1::/48", 4}, {"2001:db8::/32", 16}},
		"no address":                nil,
	} {
		if got := Around(ip); !slices.Equal(got, want) {
			t.Errorf("around %s: %v, want %v", ip, got, want)
		}
	}
}

package auth

import (
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

package slipway

import (
	"testing"
	"time"
)

func TestStrayManifest(t *testing.T) {
	live := time.UnixMilli(1)
	for name, tt := range map[string]struct {
		w     Deploy
		known bool
		want  Unrecorded
	}{
		"of no deploy":                       {Deploy{}, false, Foreign},
		"of one whose files arrive":          {Deploy{Status: Initialized}, true, Foreign},
		"of one that waits for a person":     {Deploy{Status: Staged}, true, Foreign},
		"of one that waits for its turn":     {Deploy{Status: Queued}, true, Foreign},
		"of one that is about to write it":   {Deploy{Status: Deploying}, true, Awaited},
		"of one that went live, and is over": {Deploy{Status: Deploying, LiveAt: live}, true, Leftover},
		"of one that is live no more":        {Deploy{Status: Deployed, LiveAt: live}, true, Leftover},
		"of one that failed":                 {Deploy{Status: Failed}, true, Leftover},
		"of one that was cancelled":          {Deploy{Status: Cancelled}, true, Leftover},
	} {
		if got := UnrecordedManifest(tt.w, tt.known); got != tt.want {
			t.Errorf("the manifest %s is %d, want %d", name, got, tt.want)
		}
	}
}

func TestAsideIsOver(t *testing.T) {
	since := time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)
	a := OrphanedNamespace{Namespace: "bright-nova-0001", Since: since}
	for after, want := range map[time.Duration]bool{
		-time.Hour: false, 0: false, 7*24*time.Hour - time.Millisecond: false, 7 * 24 * time.Hour: true, 1000 * time.Hour: true,
	} {
		if got := a.Over(since.Add(after)); got != want {
			t.Errorf("over after %s: %t, want %t", after, got, want)
		}
	}
}

package views

import (
	"slices"
	"testing"
	"time"

	"slipway/internal/slipway"
)

func TestBars(t *testing.T) {
	for name, tt := range map[string]struct {
		sum  slipway.DaySum
		most int
		want []Bar
	}{
		"none":           {slipway.DaySum{}, 3, nil},
		"blocks":         {slipway.DaySum{Live: 2, Undone: 1, Failed: 1}, 4, []Bar{{"c-live", "50.0", "4.8"}, {"c-live", "44.0", "4.8"}, {"c-back", "38.0", "4.8"}, {"c-failed", "32.0", "4.8"}}},
		"nine":           {slipway.DaySum{Failed: 1}, 9, []Bar{{"c-failed", "50.0", "4.8"}}},
		"to scale":       {slipway.DaySum{Live: 15, Failed: 3}, 18, []Bar{{"c-live", "11.0", "45.0"}, {"c-failed", "2.0", "9.0"}}},
		"few of a crowd": {slipway.DaySum{Live: 1}, 1000, []Bar{{"c-live", "55.0", "1.0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Bars(tt.sum, tt.most); !slices.Equal(got, tt.want) {
				t.Errorf("bars %v, want %v", got, tt.want)
			}
		})
	}
}

func TestDayTitle(t *testing.T) {
	now := time.Date(2026, 11, 29, 0, 30, 0, 0, time.UTC)
	for title, at := range map[string]time.Time{
		"Today": time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC), "Yesterday": time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC),
		"Friday 27 November": time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), "Thursday 27 November 2025": time.Date(2025, 11, 27, 0, 0, 0, 0, time.UTC),
	} {
		if got := DayTitle(at, now); got != title {
			t.Errorf("%s is %q, want %q", at, got, title)
		}
	}
}

func TestDayCounts(t *testing.T) {
	for want, s := range map[string]slipway.DaySum{
		"no deploys": {}, "1 deploy": {Deploys: 1, Live: 1}, "1,200 deploys, 1 undone, 2 failed, 1 to confirm": {Deploys: 1200, Undone: 1, Failed: 2, Staged: 1},
	} {
		if got := DayCounts(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

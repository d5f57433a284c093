package slipway

import (
	"testing"
	"time"
)

func TestRetention(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	d := Deployment{State: State{Version: "current", Mounted: true}, Before: &State{Version: "before"}, Settings: Settings{KeepDays: 30, KeepVersions: 10}}
	mounted := []Component{{Report: Report{Component: "worker-1", DAGs: FromBundle, Version: "mounted"}}, {Report: Report{DAGs: FromImage}}}
	h := d.Holds([]Version{"current", "last", "needed", "mounted"}, []Version{"needed", "", "current"}, mounted)
	for name, tt := range map[string]struct {
		version  Version
		replaced time.Time
		want     Retention
		expired  bool
	}{
		"the wanted one":           {"current", time.Time{}, Retention{Hold: HoldCurrent}, false},
		"what the switch restores": {"before", ago(400), Retention{Hold: HoldCurrent}, false},
		"a component runs it":      {"mounted", ago(31), Retention{HoldMounted, ago(1)}, false},
		"a return waits for it":    {"needed", ago(31), Retention{HoldNeeded, ago(1)}, false},
		"one of the last":          {"last", ago(31), Retention{HoldLast, ago(1)}, false},
		"one of the last, young":   {"last", ago(1), Retention{HoldLast, now.AddDate(0, 0, 29)}, false},
		"within its days":          {"old", ago(30).Add(time.Millisecond), Retention{"", now.Add(time.Millisecond)}, false},
		"its days are over":        {"old", ago(30), Retention{"", now}, true},
		"no version":               {"", ago(31), Retention{"", ago(1)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.Retention(tt.version, tt.replaced, h)
			if got != tt.want || got.Expired(now) != tt.expired {
				t.Errorf("%+v, expired %v, want %+v, %v", got, got.Expired(now), tt.want, tt.expired)
			}
		})
	}
}

func TestRetentionNeverFallsBelowItsFloor(t *testing.T) {
	for name, tt := range map[string]struct {
		days, versions int
		wantFor        time.Duration
		wantLast       int
	}{
		"set":        {1, 25, 24 * time.Hour, 25},
		"not set":    {0, 0, 90 * 24 * time.Hour, 10},
		"set to few": {7, 3, 7 * 24 * time.Hour, 10},
	} {
		t.Run(name, func(t *testing.T) {
			d := Deployment{Settings: Settings{KeepDays: tt.days, KeepVersions: tt.versions}}
			if d.KeepFor() != tt.wantFor || d.KeepLast() != tt.wantLast {
				t.Errorf("%v and the last %d, want %v and %d", d.KeepFor(), d.KeepLast(), tt.wantFor, tt.wantLast)
			}
		})
	}
}

package views

import (
	"reflect"
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

// A spark has bars to scale for what went live and was undone, and crosses for failures.
func TestSpark(t *testing.T) {
	days := make([]slipway.DaySum, 3)
	days[0] = slipway.DaySum{Deploys: 3, Live: 2, Undone: 1}
	days[2] = slipway.DaySum{Deploys: 1, Failed: 1}
	live := func(y, height string) SparkBar { return SparkBar{Bar{"c-live", y, height}, "0.5"} }
	back := func(y, height string) SparkBar { return SparkBar{Bar{"c-back", y, height}, "0.5"} }
	got := NewSpark(days)
	want := Spark{Label: "In 3 days: 4 deploys, 1 undone, 1 failed", Width: "12.0", Bars: []SparkBar{live("11.8", "7.2"), back("8.2", "3.6")}, Crosses: "M8.3 21.8l3.4 3.4m0 -3.4l-3.4 3.4"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	days[0].Live = 8 // nine deploys are no higher than the drawing
	if got, want := NewSpark(days).Bars, []SparkBar{live("3.0", "16.0"), back("1.0", "2.0")}; !reflect.DeepEqual(got, want) {
		t.Errorf("of nine %+v, want %+v", got, want)
	}
	if got := NewSpark(make([]slipway.DaySum, 30)); len(got.Bars) != 0 || got.Crosses != "" || got.Width != "120.0" {
		t.Errorf("of nothing %+v", got)
	}
}

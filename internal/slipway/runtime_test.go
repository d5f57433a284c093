package slipway

import (
	"slices"
	"testing"
)

func TestReleases(t *testing.T) {
	all := Releases("3.2-1", "12.7.1", "3.0-4")
	if all[0] != "3.2-1" || all[1].Airflow() != "3.1" || all[len(all)-1] != "9.0.0" {
		t.Errorf("from %s, %s to %s", all[0], all[1], all[len(all)-1])
	}
	seen := map[Release]bool{}
	for _, r := range all {
		if seen[r] || !r.Valid() || r.Airflow() == "" {
			t.Errorf("%s: seen %v, Airflow %q", r, seen[r], r.Airflow())
		}
		seen[r] = true
	}
	for _, r := range []Release{"3.0-1", "3.0-4", "3.1-1", "13.0.0", "12.7.1", "11.15.1"} {
		if !seen[r] {
			t.Errorf("%s is missing", r)
		}
	}
}

func TestCompareReleases(t *testing.T) {
	for _, order := range [][]Release{
		{"9.9.0", "9.10.0", "12.6.0-base", "12.7.0", "12.7.1", "13.0.0", "3.0-2", "3.0-10", "3.1-1"},
		{"3.1", "3.1-1"},
	} {
		mixed := slices.Clone(order)
		slices.Reverse(mixed)
		slices.SortFunc(mixed, Release.Compare)
		if !slices.Equal(mixed, order) {
			t.Errorf("%v, want %v", mixed, order)
		}
	}
}

func TestParseReleases(t *testing.T) {
	all, err := ParseReleases("# ours\n3.2-1\n\n 12.99.0-base # private\r\n")
	if err != nil || !slices.Equal(all, []Release{"3.2-1", "12.99.0-base"}) {
		t.Errorf("%v, %v", all, err)
	}
	for _, bad := range []string{"latest", "3.0-4\nx y", "3"} {
		if all, err := ParseReleases(bad); err == nil {
			t.Errorf("%q: %v, want an error", bad, all)
		}
	}
}

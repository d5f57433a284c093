package views

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAxisEnds(t *testing.T) {
	for _, tt := range []struct {
		most  float64
		whole bool
		want  float64
	}{
		{0, true, 2}, {0, false, 1}, {1, true, 2}, {3, true, 4}, {9, true, 10}, {11, true, 20}, {20, true, 20}, {24, true, 40},
		{100, true, 100}, {101, true, 200}, {0.3, false, 0.4}, {0.05, false, 0.06}, {73, false, 80}, {999_999, true, 1_000_000},
	} {
		if got := top(tt.most, tt.whole); got < tt.want*0.999 || got > tt.want*1.001 {
			t.Errorf("top(%v, %v) = %v, want %v", tt.most, tt.whole, got, tt.want)
		}
	}
}

func TestRough(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 140 * time.Millisecond: "0.14 s", 1400 * time.Millisecond: "1.4 s", 12 * time.Second: "12 s", 99 * time.Second: "99 s", 9 * time.Minute: "9 min",
		100 * time.Minute: "2 h", 36 * time.Hour: "36 h", 24 * 4 * time.Hour: "4 days",
	} {
		if got := Rough(d); got != want {
			t.Errorf("Rough(%v) = %q, want %q", d, got, want)
		}
	}
}

// insightParts are n parts, each with a deploy more than the one before.
func insightParts(n int) (all []InsightPart) {
	for i := range n {
		all = append(all, InsightPart{Name: fmt.Sprint(i), InsightTotals: InsightTotals{Live: i, Took: time.Duration(i) * time.Minute, Took90: time.Duration(2*i) * time.Minute}, Files: -1})
	}
	return all
}

// The names below an axis stand where their parts are.
func TestNamesOfAnAxis(t *testing.T) {
	for n, want := range map[int]string{1: "0", 2: "0 1", 5: "0 1 2 3 4", 13: "0 3 6 9 12", 30: "0 7 15 22 29"} {
		if got := strings.Join(InsightsPage{Parts: insightParts(n)}.labels(), " "); got != want {
			t.Errorf("of %d parts %q, want %q", n, got, want)
		}
	}
}

// Each chart has a row of its table for each part, cells for each heading, and a
// finding for who cannot see it; nothing is drawn outside of the plot.
func TestCharts(t *testing.T) {
	p := InsightsPage{Unit: "week", Span: "1 to 2", Files: true, Parts: insightParts(13)}
	p.Parts[3].Failed, p.Parts[3].Undone, p.Parts[3].Restores, p.Parts[3].Restored, p.Parts[3].Slowest = 2, 1, 1, time.Hour, 2*time.Hour
	p.Parts[4].Steps, p.Parts[4].Stored, p.Parts[4].Files = InsightSteps{Check: time.Second, Mount: 3 * time.Second}, 5_000_000, 7
	charts := p.Charts()
	if len(charts) != 6 {
		t.Fatalf("%d charts", len(charts))
	}
	for _, c := range charts {
		if len(c.Rows) != 13 || slices.ContainsFunc(c.Rows, func(row []string) bool { return len(row) != len(c.Head) }) {
			t.Errorf("%s: table %v of %v", c.ID, c.Rows, c.Head)
		}
		for _, plot := range c.Plots {
			if plot.Label == "" || len(plot.Y) != 3 {
				t.Errorf("%s: label %q, axis %v", c.ID, plot.Label, plot.Y)
			}
			for _, r := range plot.Rects {
				var y, h float64
				if _, err := fmt.Sscan(r.Y, &y); err != nil || y < 0 {
					t.Errorf("%s: a bar begins at %s", c.ID, r.Y)
				}
				if _, err := fmt.Sscan(r.H, &h); err != nil || y+h > 100.5 {
					t.Errorf("%s: a bar at %s is %s high", c.ID, r.Y, r.H)
				}
			}
		}
	}
	// A week without a deploy breaks the line, and its time is not known.
	took := charts[1]
	if line := took.Plots[0].Paths[1].D; strings.Count(line, "M") != 1 || strings.Count(line, "L") != 11 {
		t.Errorf("line %s, want one of 12 points", line)
	}
	if took.Rows[0][1] != Unknown || took.Rows[9][1] != "9 min" || took.Rows[9][2] != "18 min" {
		t.Errorf("rows %v, %v", took.Rows[0], took.Rows[9])
	}
	p.Parts[6].Live = 0
	if line := p.tookChart().Plots[0].Paths[1].D; strings.Count(line, "M") != 2 {
		t.Errorf("line %s, want two parts", line)
	}
}

func TestFigures(t *testing.T) {
	now := InsightTotals{Live: 8, Undone: 1, Failed: 1, Weekly: 16, Took: 9 * time.Minute, Took90: 38 * time.Minute, Restores: 2, Restored: 4 * time.Minute}
	then := InsightTotals{Live: 7, Failed: 3, Weekly: 13, Restores: 1, Restored: 3 * time.Minute}
	for name, tt := range map[string]struct {
		now, then InsightTotals
		want      string
	}{
		"better and worse": {now, then, "16 ▲ 3 more than the 90 days before | 9 min median · 9 of 10 within 38 min | 20.0 % ▼ from 30.0 % ok | 4 min ▲ from 3 min bad"},
		"nothing before":   {now, InsightTotals{}, "16 none in the 90 days before | 9 min median · 9 of 10 within 38 min | 20.0 % | 4 min median of 2 times"},
		"as before":        {now, now, "16 as in the 90 days before | 9 min median · 9 of 10 within 38 min | 20.0 % as before | 4 min as before"},
		"nothing now":      {InsightTotals{}, then, "0 ▼ 13 fewer than the 90 days before | — | — | — Nothing was to be restored."},
	} {
		var got []string
		for _, f := range (InsightsPage{Days: 90, Now: tt.now, Then: tt.then}).Figures() {
			got = append(got, strings.Join(strings.Fields(f.Value+" "+f.Small+" "+f.Class), " "))
		}
		if text := strings.Join(got, " | "); text != tt.want {
			t.Errorf("%s: %s, want %s", name, text, tt.want)
		}
	}
}

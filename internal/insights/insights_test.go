package insights_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"slipway/internal/insights"
	"slipway/internal/slipway"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// deployed is a deploy of three minutes.
func deployed(number, undoneBy int) slipway.Deploy {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	return slipway.Deploy{
		Number: number, Kind: slipway.DAGOnly, Status: slipway.Deployed, UndoneBy: undoneBy, By: slipway.Actor{User: "eve"},
		Counts: slipway.Counts{NewBytes: 70}, CreatedAt: at(0), UploadedAt: at(10), StagedAt: at(30), QueuedAt: at(90),
		DeployingAt: at(100), StoredAt: at(120), LiveAt: at(121), EndedAt: at(180),
	}
}

func with(w slipway.Deploy, change func(*slipway.Deploy)) slipway.Deploy {
	change(&w)
	return w
}

func TestWeightOf(t *testing.T) {
	ago := func(minutes int) time.Time { return noon.Add(-time.Duration(minutes) * time.Minute) }
	failed := insights.Before{Number: 6, Status: slipway.Failed, LiveAt: ago(7)}
	undone := insights.Before{Number: 5, UndoneBy: 6, Status: slipway.Deployed, LiveAt: ago(27)}
	late := insights.Before{Number: 6, UndoneBy: 9, Status: slipway.Deployed, LiveAt: ago(7)}
	good := insights.Before{Number: 4, Status: slipway.Deployed, LiveAt: ago(99)}
	whole, unmeasured := 3*time.Minute, time.Duration(-1)
	for name, tt := range map[string]struct {
		w              slipway.Deploy
		before         []insights.Before
		next           int
		outcome        insights.Outcomes
		took, restored time.Duration
		stored         int64
	}{
		"live":                       {deployed(7, 0), []insights.Before{good}, 0, insights.Outcomes{Live: 1}, whole, unmeasured, 70},
		"the first":                  {deployed(7, 0), nil, 0, insights.Outcomes{Live: 1}, whole, unmeasured, 70},
		"undone at once":             {deployed(7, 8), []insights.Before{good}, 8, insights.Outcomes{Undone: 1}, whole, unmeasured, 70},
		"restores a failed one":      {deployed(7, 0), []insights.Before{failed, good}, 0, insights.Outcomes{Live: 1}, whole, 10 * time.Minute, 70},
		"restores a run":             {deployed(7, 0), []insights.Before{failed, undone, good}, 0, insights.Outcomes{Live: 1}, whole, 30 * time.Minute, 70},
		"is the return":              {deployed(9, 0), []insights.Before{late, good}, 0, insights.Outcomes{Live: 1}, whole, 10 * time.Minute, 70},
		"not of a later return":      {deployed(7, 0), []insights.Before{late, good}, 8, insights.Outcomes{Live: 1}, whole, unmeasured, 70},
		"bad itself":                 {deployed(7, 8), []insights.Before{failed, good}, 8, insights.Outcomes{Undone: 1}, whole, unmeasured, 70},
		"undone much later":          {deployed(7, 9), []insights.Before{failed, good}, 8, insights.Outcomes{Undone: 1}, whole, 10 * time.Minute, 70},
		"failed and live":            {with(deployed(7, 0), func(w *slipway.Deploy) { w.Status = slipway.Failed }), []insights.Before{failed}, 0, insights.Outcomes{Failed: 1}, unmeasured, unmeasured, 70},
		"failed before it went live": {with(deployed(7, 0), func(w *slipway.Deploy) { w.Status, w.LiveAt = slipway.Failed, time.Time{} }), nil, 0, insights.Outcomes{Failed: 1}, unmeasured, unmeasured, 0},
		"discarded":                  {with(deployed(7, 0), func(w *slipway.Deploy) { w.Status, w.LiveAt = slipway.Cancelled, time.Time{} }), nil, 0, insights.Outcomes{}, unmeasured, unmeasured, 0},
		"still running":              {with(deployed(7, 0), func(w *slipway.Deploy) { w.Status = slipway.Deploying }), []insights.Before{failed}, 0, insights.Outcomes{}, unmeasured, unmeasured, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := insights.WeightOf(tt.w, tt.before, tt.next)
			var s insights.Sums
			s.Add(w)
			if s.Outcomes != tt.outcome || w.Counts() != (tt.outcome.All() > 0) {
				t.Errorf("counts as %+v, want %+v", s.Outcomes, tt.outcome)
			}
			if w.Took != tt.took || w.Restored != tt.restored || w.Stored != tt.stored {
				t.Errorf("took %v, restored %v, stored %d, want %v, %v, %d", w.Took, w.Restored, w.Stored, tt.took, tt.restored, tt.stored)
			}
		})
	}
}

func TestStepsOfADeploy(t *testing.T) {
	var s insights.Sums
	s.Add(insights.WeightOf(deployed(1, 0), nil, 0))
	want := map[insights.Step]int{insights.Upload: 10, insights.Check: 20, insights.Confirm: 60, insights.Wait: 10, insights.Store: 20, insights.Mount: 60}
	for step, seconds := range want {
		if got := s.Mean(step); got != time.Duration(seconds)*time.Second {
			t.Errorf("step %d took %v, want %d s", step, got, seconds)
		}
	}
	s.Add(insights.WeightOf(with(deployed(2, 0), func(w *slipway.Deploy) { w.UploadedAt, w.StagedAt, w.StoredAt = time.Time{}, time.Time{}, time.Time{} }), nil, 0))
	if upload, mount := s.Mean(insights.Upload), s.Mean(insights.Mount); upload != 5*time.Second || mount != 70*time.Second {
		t.Errorf("with a return: upload %v, mount %v, want 5 s and 70 s", upload, mount)
	}
}

// A run longer than RunMax counts from the deploy where the walk ends.
func TestLongRun(t *testing.T) {
	var before []insights.Before
	for i := range insights.RunMax + 5 {
		before = append(before, insights.Before{Number: 1000 - i, Status: slipway.Failed, LiveAt: noon.Add(-time.Duration(i+1) * time.Minute)})
	}
	if got, want := insights.WeightOf(deployed(1001, 0), before, 0).Restored, insights.RunMax*time.Minute+3*time.Minute; got != want {
		t.Errorf("restored after %v, want %v", got, want)
	}
}

func TestQuantiles(t *testing.T) {
	var s insights.Sums
	random := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for range 5000 {
		d := time.Duration(random.ExpFloat64() * float64(3*time.Minute)).Truncate(time.Millisecond)
		all = append(all, d)
		s.Add(insights.Weight{Live: true, Took: d, Restored: -1})
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.9, 1} {
		exact := all[max(int(q*float64(len(all)))-1, 0)]
		if got := s.Took.Quantile(q); float64(got) < 0.93*float64(exact) || float64(got) > 1.07*float64(exact) {
			t.Errorf("quantile %v is %v, want about %v", q, got, exact)
		}
	}
	var none insights.Histogram
	if none.Quantile(0.5) != 0 || none.Count() != 0 {
		t.Error("an empty histogram has a quantile")
	}
}

// Any weights that are added, encoded, decoded and dropped again leave no trace.
func TestSumsComeAndGo(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	duration := func() time.Duration {
		return time.Duration(random.Int64N(1<<40)-1) / time.Millisecond * time.Millisecond
	}
	var s insights.Sums
	var kept [][]byte
	for i := range 500 {
		w := insights.Weight{Day: i, Kind: slipway.ImageOnly, By: string(rune('a' + i%7)), Took: -1, Restored: -1, Stored: random.Int64N(1 << 30)}
		switch i % 3 {
		case 0:
			w.Live, w.Took = true, duration()
		case 1:
			w.Undone, w.Took, w.Restored = true, duration(), duration()
		case 2:
			w.Failed = true
		}
		for step := range w.Steps {
			w.Steps[step] = duration()
		}
		s.Add(w)
		kept = append(kept, w.Encode())
		decoded, err := insights.DecodeWeight(w.Encode())
		if err != nil || decoded != w {
			t.Fatalf("weight %+v came back as %+v: %v", w, decoded, err)
		}
	}
	var twice insights.Sums
	for range 2 {
		if err := twice.MergeEncoded(s.Encode()); err != nil {
			t.Fatal(err)
		}
	}
	var merged insights.Sums
	merged.Merge(&s)
	merged.Merge(&s)
	if !bytes.Equal(merged.Encode(), twice.Encode()) {
		t.Error("merging sums and merging encoded sums differ")
	}
	for _, b := range kept {
		w, err := insights.DecodeWeight(b)
		if err != nil {
			t.Fatal(err)
		}
		s.Drop(w)
	}
	if got, want := s.Encode(), (&insights.Sums{}).Encode(); !bytes.Equal(got, want) {
		t.Errorf("after all are dropped: % x, want % x", got, want)
	}
}

func TestDamagedSumsAreRefused(t *testing.T) {
	var s insights.Sums
	w := insights.WeightOf(deployed(1, 0), nil, 0)
	s.Add(w)
	for what, whole := range map[string][]byte{"sums": s.Encode(), "weight": w.Encode()} {
		for n := range len(whole) {
			for damage, b := range map[string][]byte{"cut": slices.Clone(whole[:n]), "long": append(slices.Clone(whole), 0)} {
				var err error
				if what == "sums" {
					err = (&insights.Sums{}).MergeEncoded(b)
				} else {
					_, err = insights.DecodeWeight(b)
				}
				if err == nil {
					t.Errorf("%s, %s at %d: no error", what, damage, n)
				}
			}
		}
	}
}

func TestPeriods(t *testing.T) {
	now := time.Date(2026, 11, 29, 23, 59, 0, 0, time.UTC) // a Sunday
	for _, tt := range []struct {
		days, want, parts   int
		first, second, last string
	}{
		{30, 30, 30, "2026-10-31", "2026-11-01", "2026-11-29"},
		{90, 90, 13, "2026-09-01", "2026-09-07", "2026-11-23"},
		{365, 365, 13, "2025-11-30", "2025-12-01", "2026-11-01"},
		{7, 90, 13, "2026-09-01", "2026-09-07", "2026-11-23"},
	} {
		p := insights.PeriodOf(tt.days, now)
		parts := p.Parts()
		at := func(i int) string { return insights.DayAt(parts[i]).Format(time.DateOnly) }
		if p.Days != tt.want || p.Last-p.First+1 != tt.want || len(parts) != tt.parts || at(0) != tt.first || at(1) != tt.second || at(len(parts)-1) != tt.last {
			t.Errorf("%d days: %+v with %d parts, %s, %s … %s, want %+v", tt.days, p, len(parts), at(0), at(1), at(len(parts)-1), tt)
		}
		if before := p.Before(); before.Last != p.First-1 || before.Last-before.First != p.Last-p.First {
			t.Errorf("%d days: before it lies %+v", tt.days, before)
		}
	}
}

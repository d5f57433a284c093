package views

import (
	"strconv"

	"slipway/internal/slipway"
)

// HistoryPage is a page of the deploy history.
type HistoryPage struct {
	Frame        DeploymentFrame
	Filters      HistoryFilters
	Strip        *Strip // nil before the first deploy
	Days         []DaySection
	Live         *LiveThen // the answer to a question for the live deploy at a time
	Newer, Older string    // addresses of the neighbouring pages; "" for none
	DeployURL    string    // to make the first deploy; "" without the permission
	CompareURL   string    // of a form; "" with fewer than two versions
}

// HistoryFilters are the filters of a history, as asked for.
type HistoryFilters struct {
	Action              string
	Text, Commit        string
	Kinds, Statuses, By []Option
	From, Until         string // days
	LiveAt              string // a time
	Count               int    // number of filters in use
	Others              int    // of them, but for one day
	Day                 string // "Friday 27 November"; "" unless the filters choose one day
	Date                string // of Day, "2026-11-27"
	EveryDayURL         string // with the other filters
	More                bool   // whether a folded filter is in use
	Error               string // why the filters could not be read
}

// Strip is the sum of the last days.
type Strip struct {
	Counts      string // "91 deploys, 9 failed"
	Days        []StripDay
	InsightsURL string
}

// StripDay is a day of a strip.
type StripDay struct {
	URL    string // of the deploys on the day
	Label  string // "Friday 27 November: 6 deploys, 1 failed"
	Date   string // "2026-11-27"
	Day    string // of the month
	Off    bool   // Saturday or Sunday
	Chosen bool
	Bars   []Bar
}

// Bar is a rectangle in a drawing of 20 by 56 units.
type Bar struct{ Class, Y, Height string }

// Measures of a strip, in units of the drawing.
const (
	stripHigh  = 56.0
	stripBlock = 6.0 // of one deploy, with a gap
	stripGap   = 1.2
	stripMax   = 9 // blocks; a strip with more deploys on a day is drawn to scale
)

// Bars draws a day of a strip whose largest day has most deploys: a block for each
// deploy, or bars to scale. What went live is at the bottom, failed deploys on top.
func Bars(s slipway.DaySum, most int) (all []Bar) {
	high, blocks := stripBlock, true
	if most > stripMax {
		high, blocks = stripBlock*stripMax/float64(most), false
	}
	y := stripHigh
	for _, part := range []struct {
		class string
		n     int
	}{{"c-live", s.Live}, {"c-back", s.Undone}, {"c-failed", s.Failed}} {
		switch {
		case part.n == 0:
		case blocks:
			for range part.n {
				y -= high
				all = append(all, Bar{part.class, units(y), units(high - stripGap)})
			}
		default:
			tall := max(high*float64(part.n), 1)
			y -= tall
			all = append(all, Bar{part.class, units(y), units(tall)})
		}
	}
	return all
}

// units is a length in a drawing.
func units(n float64) string { return strconv.FormatFloat(n, 'f', 1, 64) }

// LiveThen is the live deploy at a time.
type LiveThen struct {
	At         string // "2026-11-22 14:05:00 UTC"
	Number     int    // of the deploy; 0 for none
	URL        string
	By         string
	Since      Moment
	Until      Moment // zero for the deploy that is live now
	NextNumber int
	NextURL    string
	Row        HistoryRow // with the version and the image
}

// Spark is a small drawing of the last days, 4 units each, in 26 units of height.
type Spark struct {
	Label   string // "In 30 days: 31 deploys, 3 failed"
	Width   string
	Bars    []SparkBar
	Crosses string // a path with a cross below each day on which a deploy failed
}

// SparkBar is a rectangle in a Spark, 3 units wide.
type SparkBar struct {
	Bar
	X string
}

// Measures of a spark, in units of the drawing.
const (
	sparkBase  = 19.0
	sparkHigh  = 18.0
	sparkBlock = 3.6 // of one deploy, at most
)

// NewSpark draws days: what went live, and above it what was undone later.
func NewSpark(days []slipway.DaySum) Spark {
	var total slipway.DaySum
	most := 1
	for _, s := range days {
		total = total.Plus(s)
		most = max(most, s.Live+s.Undone)
	}
	k := Spark{Label: "In " + Count(len(days), "day") + ": " + DayCounts(total), Width: units(4 * float64(len(days)))}
	high := min(sparkBlock, sparkHigh/float64(most))
	for i, s := range days {
		x, y := 4*float64(i)+.5, sparkBase
		for _, part := range []struct {
			class string
			n     int
		}{{"c-live", s.Live}, {"c-back", s.Undone}} {
			if part.n > 0 {
				tall := high * float64(part.n)
				y -= tall
				k.Bars = append(k.Bars, SparkBar{Bar{part.class, units(y), units(tall)}, units(x)})
			}
		}
		if s.Failed > 0 {
			k.Crosses += "M" + units(x-.2) + " 21.8l3.4 3.4m0 -3.4l-3.4 3.4"
		}
	}
	return k
}

package views

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// InsightsPage is a page of Insights: of a Deployment, of a Workspace or of the
// installation.
type InsightsPage struct {
	Page       Frame           // of a Workspace or the installation
	Deployment DeploymentFrame // of a Deployment
	About      string          // "Data Platform, 9 Deployments"; "" on a Deployment's page
	Days       int
	Span       string // "1 September to 29 November 2026"
	Periods    []InsightPeriod
	CSVURL     string
	Uncounted  int // deploys that the figures lack
	Unit       string
	Now, Then  InsightTotals // of the period, and of the one before
	Parts      []InsightPart
	Files      bool // Parts have the number of files: on a Deployment's page
	Each       []InsightRow
	EachTitle  string // "Deployment", "Workspace"; "" without Each
	Kinds, By  []InsightShare
	Others     int    // people and tokens left out of By
	HistoryURL string // of a Deployment; "" elsewhere
}

// InsightPeriod is a choice of a period.
type InsightPeriod struct {
	Text, URL string
	Chosen    bool
}

// InsightTotals are the figures of a period.
type InsightTotals struct {
	Live, Undone, Failed int
	Weekly               float64 // deploys a week
	Took, Took90         time.Duration
	Restores             int
	Restored             time.Duration // median
}

// Deploys returns the number of ended deploys.
func (t InsightTotals) Deploys() int { return t.Live + t.Undone + t.Failed }

// Bad returns the share of failed and undone deploys in percent.
func (t InsightTotals) Bad() float64 {
	if t.Deploys() == 0 {
		return 0
	}
	return 100 * float64(t.Undone+t.Failed) / float64(t.Deploys())
}

// InsightPart is a day, a week or a month of a period.
type InsightPart struct {
	Name string // "7 Sep"
	InsightTotals
	Slowest time.Duration // to restore
	Steps   InsightSteps  // on average
	Stored  int64         // bytes
	Files   int           // in the live version at the end; -1 for not known
}

// InsightSteps are the times of the steps of a deploy.
type InsightSteps struct{ Upload, Check, Confirm, Wait, Store, Mount time.Duration }

// shown are the steps in the chart: waiting for a person would hide all others.
func (s InsightSteps) shown() []time.Duration {
	return []time.Duration{s.Upload, s.Check, s.Wait, s.Store, s.Mount}
}

// InsightRow is a line of the table of Deployments or Workspaces.
type InsightRow struct {
	Name, URL string
	InsightTotals
}

// InsightShare is a line of the tables of kinds and of people.
type InsightShare struct {
	Name string
	InsightTotals
}

// Chart is a picture with a table of the same figures.
type Chart struct {
	ID, Title, Says string
	Plots           []Plot
	Legend          []LegendItem
	Head            []string
	Rows            [][]string
}

// Plot is a drawing of 400 by 100 units with an axis.
type Plot struct {
	Label string   // the finding, for who cannot see the drawing
	Y     []string // from the top
	X     []string
	Low   bool
	Rects []PlotRect
	Paths []PlotPath
}

// PlotRect is a bar or a part of a bar.
type PlotRect struct{ Class, X, Y, W, H string }

// PlotPath is a line, an area or a dot.
type PlotPath struct{ Class, D string }

// LegendItem explains a mark. Line is for marks that are lines, Dot for dots.
type LegendItem struct {
	Class, Text string
	Line, Dot   bool
}

// Unknown stands for a figure that nothing tells.
const Unknown = "—"

const plotWide, plotHigh = 400.0, 100.0

// coordinate is a length in a plot.
func coordinate(n float64) string { return strconv.FormatFloat(n, 'f', 2, 64) }

// column returns where the i-th of n bars begins, its middle and its width.
func column(i, n int) (left, middle, width float64) {
	slot := plotWide / float64(n)
	width = slot * 0.72
	left = float64(i)*slot + (slot-width)/2
	return left, left + width/2, width
}

// heights are numbers with even halves, for the top of an axis.
var heights = []float64{1, 2, 4, 6, 8, 10}

// top returns the end of an axis for numbers up to most. Whole numbers have a whole
// half.
func top(most float64, whole bool) float64 {
	if most <= 0 {
		most = 1
	}
	if whole {
		most = max(most, 2)
	}
	scale := math.Pow(10, math.Floor(math.Log10(most)))
	for _, h := range heights {
		if h*scale >= most-1e-9 && (!whole || math.Mod(h*scale, 2) == 0) {
			return h * scale
		}
	}
	return 20 * scale
}

// axis returns the labels of an axis with a unit, from the top.
func axis(end float64, unit string) []string {
	number := func(n float64) string {
		if n >= 1000 && n == math.Trunc(n) {
			return Number(int(n))
		}
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return []string{strings.TrimSpace(number(end) + " " + unit), number(end / 2), "0"}
}

// timeUnit returns the unit of an axis for times up to most.
func timeUnit(most time.Duration) (unit time.Duration, name string) {
	switch {
	case most < 100*time.Second:
		return time.Second, "s"
	case most < 100*time.Minute:
		return time.Minute, "min"
	case most < 72*time.Hour:
		return time.Hour, "h"
	}
	return day, "days"
}

// Rough returns d in one unit: "0.04 s", "1.4 s", "9 min", "2 h".
func Rough(d time.Duration) string {
	switch {
	case 0 < d && d < time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < 100*time.Second:
		return strconv.Itoa(int(d.Round(time.Second).Seconds())) + " s"
	case d < 100*time.Minute:
		return strconv.Itoa(int(d.Round(time.Minute).Minutes())) + " min"
	case d < 72*time.Hour:
		return strconv.Itoa(int(d.Round(time.Hour).Hours())) + " h"
	}
	return Count(int(d.Round(day)/day), "day")
}

// Percent returns a share for reading: "9.8 %".
func Percent(n float64) string { return strconv.FormatFloat(n, 'f', 1, 64) + " %" }

// weekly returns a number of deploys a week.
func weekly(n float64) string {
	if n >= 10 || n == math.Trunc(n) {
		return Number(int(math.Round(n)))
	}
	return strconv.FormatFloat(n, 'f', 1, 64)
}

// labels returns up to five of the parts' names at equal distances, for the axis.
func (p InsightsPage) labels() (names []string) {
	last, count := len(p.Parts)-1, min(len(p.Parts), 5)
	for i := range count {
		names = append(names, p.Parts[(i*last+(count-1)/2)/max(count-1, 1)].Name)
	}
	return names
}

// heading is the title of a table's first column.
func (p InsightsPage) heading() string {
	switch p.Unit {
	case "week":
		return "Week from"
	case "month":
		return "Month from"
	}
	return "Day"
}

// Charts are the pictures of the page.
func (p InsightsPage) Charts() []Chart {
	return []Chart{p.deploysChart(), p.tookChart(), p.badChart(), p.restoreChart(), p.stepsChart(), p.contentChart()}
}

// chart returns a Chart with the rows of all parts.
func (p InsightsPage) chart(id, title, says string, head []string, cells func(InsightPart) []string) Chart {
	c := Chart{ID: id, Title: title, Says: says, Head: append([]string{p.heading()}, head...)}
	for _, part := range p.Parts {
		c.Rows = append(c.Rows, append([]string{part.Name}, cells(part)...))
	}
	return c
}

// stack returns the rects of bars of several layers, the first at the bottom.
func stack(bars [][]float64, classes []string, end float64) (all []PlotRect) {
	for i, layers := range bars {
		left, _, width := column(i, len(bars))
		y := plotHigh
		for j, n := range layers {
			if n <= 0 {
				continue
			}
			high := n / end * plotHigh
			y -= high
			all = append(all, PlotRect{classes[j], coordinate(left), coordinate(y), coordinate(width), coordinate(max(high-0.7, 0.5))})
		}
	}
	return all
}

func (p InsightsPage) deploysChart() Chart {
	c := p.chart("per-part", "Deploys each "+p.Unit, p.deploysSay(), []string{"Live", "Undone", "Failed"}, func(part InsightPart) []string {
		return []string{Number(part.Live), Number(part.Undone), Number(part.Failed)}
	})
	most := 0
	bars := make([][]float64, len(p.Parts))
	for i, part := range p.Parts {
		most = max(most, part.Deploys())
		bars[i] = []float64{float64(part.Live), float64(part.Undone), float64(part.Failed)}
	}
	end := top(float64(most), true)
	c.Plots = []Plot{{
		Label: c.Title + ", " + p.Span + ": " + c.Says + " Table below.", Y: axis(end, ""), X: p.labels(),
		Rects: stack(bars, []string{"c-live", "c-back", "c-failed"}, end),
	}}
	c.Legend = []LegendItem{{Class: "c-live", Text: "went live"}, {Class: "c-back", Text: "was undone later"}, {Class: "c-failed", Text: "failed"}}
	return c
}

func (p InsightsPage) deploysSay() string {
	if p.Now.Deploys() == 0 {
		return "No deploy ended in this time."
	}
	return weekly(p.Now.Weekly) + " a week; " + Number(p.Now.Undone+p.Now.Failed) + " of " + Number(p.Now.Deploys()) + " failed or were undone."
}

// segments returns the path through points; parts without a point break the line.
func segments(x, y []float64, known []bool) string {
	var b strings.Builder
	for i := range x {
		if !known[i] {
			continue
		}
		if i > 0 && known[i-1] {
			b.WriteString("L")
		} else {
			b.WriteString("M")
		}
		b.WriteString(coordinate(x[i]) + " " + coordinate(y[i]))
	}
	return b.String()
}

// pathWithDots returns the dots of points, and the line through them.
func pathWithDots(x, y []float64, known []bool) []PlotPath {
	all := []PlotPath{{"line", segments(x, y, known)}}
	for i := range x {
		if known[i] {
			all = append(all, PlotPath{"dot", "M" + coordinate(x[i]) + " " + coordinate(y[i]) + "h0"})
		}
	}
	return all
}

func (p InsightsPage) tookChart() Chart {
	says := "No deploy went live in this time."
	if p.Now.Live+p.Now.Undone > 0 {
		says = "Half of all deploys are live after " + Rough(p.Now.Took) + ", nine of ten after " + Rough(p.Now.Took90) + "."
	}
	c := p.chart("took", "From upload to live", says, []string{"Median", "9 of 10 within"}, func(part InsightPart) []string {
		if part.Live+part.Undone == 0 {
			return []string{Unknown, Unknown}
		}
		return []string{Rough(part.Took), Rough(part.Took90)}
	})
	var most time.Duration
	for _, part := range p.Parts {
		most = max(most, part.Took90)
	}
	unit, name := timeUnit(most)
	end := top(float64(most)/float64(unit), false)
	n := len(p.Parts)
	x, median, slow, known := make([]float64, n), make([]float64, n), make([]float64, n), make([]bool, n)
	for i, part := range p.Parts {
		_, x[i], _ = column(i, n)
		median[i], slow[i] = plotHigh-float64(part.Took)/float64(unit)/end*plotHigh, plotHigh-float64(part.Took90)/float64(unit)/end*plotHigh
		known[i] = part.Live+part.Undone > 0
	}
	paths := []PlotPath{{"line second", segments(x, slow, known)}}
	c.Plots = []Plot{{Label: c.Title + ", " + p.Span + ": " + says + " Table below.", Y: axis(end, name), X: p.labels(), Paths: append(paths, pathWithDots(x, median, known)...)}}
	c.Legend = []LegendItem{{Class: "line", Text: "median", Line: true}, {Class: "line second", Text: "9 of 10 within", Line: true}}
	return c
}

func (p InsightsPage) badChart() Chart {
	says, worst, at := "No deploy ended in this time.", 0.0, ""
	bars := make([][]float64, len(p.Parts))
	for i, part := range p.Parts {
		bars[i] = []float64{part.Bad()}
		if part.Bad() > worst {
			worst, at = part.Bad(), part.Name
		}
	}
	if p.Now.Deploys() > 0 {
		says = Percent(p.Now.Bad()) + " of all deploys."
	}
	switch {
	case at != "" && p.Unit == "day":
		says += " Most on " + at + "."
	case at != "":
		says += " Most in the " + p.Unit + " from " + at + "."
	}
	c := p.chart("bad", "Failed or undone", says, []string{"Share"}, func(part InsightPart) []string {
		if part.Deploys() == 0 {
			return []string{Unknown}
		}
		return []string{Percent(part.Bad())}
	})
	end := min(top(worst, true), 100)
	c.Plots = []Plot{{Label: c.Title + ", " + p.Span + ": " + says + " Table below.", Y: axis(end, "%"), X: p.labels(), Rects: stack(bars, []string{"c-live"}, end)}}
	c.Legend = []LegendItem{{Class: "c-live", Text: "failed or undone, of all deploys of the " + p.Unit}}
	return c
}

// longRepair is the time to restore from which a dot is marked.
const longRepair = 30 * time.Minute

func (p InsightsPage) restoreChart() Chart {
	says := "Nothing was to be restored in this time."
	if p.Now.Restores > 0 {
		says = "Median " + Rough(p.Now.Restored) + ", from a bad deploy going live until a good one ran. " + Count(p.Now.Restores, "time") + "."
	}
	c := p.chart("restore", "Time to restore", says, []string{"Times", "Median", "Longest"}, func(part InsightPart) []string {
		if part.Restores == 0 {
			return []string{"0", Unknown, Unknown}
		}
		return []string{Number(part.Restores), Rough(part.Restored), Rough(part.Slowest)}
	})
	var most time.Duration
	for _, part := range p.Parts {
		most = max(most, part.Slowest)
	}
	unit, name := timeUnit(most)
	end := top(float64(most)/float64(unit), false)
	var paths []PlotPath
	for i, part := range p.Parts {
		if part.Restores == 0 {
			continue
		}
		_, middle, _ := column(i, len(p.Parts))
		x := coordinate(middle)
		median, longest := coordinate(plotHigh-float64(part.Restored)/float64(unit)/end*plotHigh), coordinate(plotHigh-float64(part.Slowest)/float64(unit)/end*plotHigh)
		class := "dot back"
		if part.Restored > longRepair {
			class = "dot failed"
		}
		paths = append(paths, PlotPath{"stem", "M" + x + " 100V" + longest}, PlotPath{class, "M" + x + " " + median + "h0"})
	}
	c.Plots = []Plot{{Label: c.Title + ", " + p.Span + ": " + says + " Table below.", Y: axis(end, name), X: p.labels(), Paths: paths}}
	c.Legend = []LegendItem{
		{Class: "dot back", Text: "median within 30 min", Dot: true}, {Class: "dot failed", Text: "median above", Dot: true},
		{Class: "stem", Text: "up to the longest", Line: true},
	}
	return c
}

func (p InsightsPage) stepsChart() Chart {
	const mounted = "mount or roll out"
	c := p.chart("steps", "What a deploy waits for", "On average, without the time until somebody confirms.",
		[]string{"Upload", "Check", "Queue", "Store", "Mount or roll out", "Confirm"}, func(part InsightPart) (cells []string) {
			for _, d := range append(part.Steps.shown(), part.Steps.Confirm) {
				if part.Live+part.Undone == 0 {
					cells = append(cells, Unknown)
				} else {
					cells = append(cells, Rough(d))
				}
			}
			return cells
		})
	var most time.Duration
	for _, part := range p.Parts {
		var sum time.Duration
		for _, d := range part.Steps.shown() {
			sum += d
		}
		most = max(most, sum)
	}
	unit, name := timeUnit(most)
	end := top(float64(most)/float64(unit), false)
	bars := make([][]float64, len(p.Parts))
	for i, part := range p.Parts {
		for _, d := range part.Steps.shown() {
			bars[i] = append(bars[i], float64(d)/float64(unit))
		}
	}
	c.Plots = []Plot{{
		Label: c.Title + ", " + p.Span + ". " + c.Says + " Table below.", Y: axis(end, name), X: p.labels(),
		Rects: stack(bars, []string{"c-1", "c-2", "c-3", "c-4", "c-5"}, end),
	}}
	c.Legend = []LegendItem{{Class: "c-1", Text: "upload"}, {Class: "c-2", Text: "check"}, {Class: "c-3", Text: "queue"}, {Class: "c-4", Text: "store"}, {Class: "c-5", Text: mounted}}
	return c
}

// byteUnit returns the unit of an axis for sizes up to most.
func byteUnit(most float64) (unit float64, name string) {
	unit, name = 1, "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if most/unit < 1000 {
			break
		}
		unit, name = unit*1000, next
	}
	return unit, name
}

func (p InsightsPage) contentChart() Chart {
	title, head := "Stored bytes", []string{"Stored"}
	if p.Files {
		title, head = "Stored bytes and files", []string{"Stored", "Files"}
	}
	var sum int64
	most, files := 0.0, 0
	for _, part := range p.Parts {
		sum += part.Stored
		most, files = max(most, float64(part.Stored)), max(files, part.Files)
	}
	c := p.chart("content", title, "Deploys stored "+Bytes(sum)+", compressed, each content once.", head, func(part InsightPart) []string {
		cells := []string{Bytes(part.Stored)}
		if p.Files && part.Files < 0 {
			cells = append(cells, Unknown)
		} else if p.Files {
			cells = append(cells, Number(part.Files))
		}
		return cells
	})
	unit, name := byteUnit(most)
	end := top(most/unit, false)
	bars := make([][]float64, len(p.Parts))
	for i, part := range p.Parts {
		bars[i] = []float64{float64(part.Stored) / unit}
	}
	stored := Plot{Label: "Stored bytes each " + p.Unit + ", " + p.Span + ". Table below.", Y: axis(end, name), Rects: stack(bars, []string{"c-3"}, end), Low: p.Files}
	c.Legend = []LegendItem{{Class: "c-3", Text: "stored"}}
	if !p.Files {
		stored.X = p.labels()
		c.Plots = []Plot{stored}
		return c
	}
	n := len(p.Parts)
	x, y, known := make([]float64, n), make([]float64, n), make([]bool, n)
	most = top(float64(files), true)
	for i, part := range p.Parts {
		_, x[i], _ = column(i, n)
		y[i], known[i] = plotHigh-float64(part.Files)/most*plotHigh, part.Files >= 0
	}
	c.Legend = append(c.Legend, LegendItem{Class: "line", Text: "files in the live version", Line: true})
	c.Plots = []Plot{stored, {Label: "Files in the live version, " + p.Span + ". Table below.", Y: axis(most, "files"), X: p.labels(), Paths: pathWithDots(x, y, known), Low: true}}
	return c
}

// Figure is a number of a page with what it was before.
type Figure struct {
	Title, Value, Small string
	Class               string // of Small: "ok", "bad" or ""
}

// Figures are the four numbers at the top.
func (p InsightsPage) Figures() []Figure {
	before := "the " + strconv.Itoa(p.Days) + " days before"
	all := []Figure{
		{Title: "Deploys each week", Value: weekly(p.Now.Weekly), Small: moreOrFewer(p.Now.Weekly, p.Then.Weekly, before)},
		{Title: "From upload to live", Value: Unknown},
		{Title: "Failed or undone", Value: Unknown},
		{Title: "Time to restore", Value: Unknown, Small: "Nothing was to be restored."},
	}
	if p.Now.Live+p.Now.Undone > 0 {
		all[1].Value, all[1].Small = Rough(p.Now.Took), "median · 9 of 10 within "+Rough(p.Now.Took90)
	}
	if p.Now.Deploys() > 0 {
		all[2].Value = Percent(p.Now.Bad())
		if p.Then.Deploys() > 0 {
			all[2].Small, all[2].Class = change(p.Now.Bad(), p.Then.Bad(), Percent(p.Now.Bad()), Percent(p.Then.Bad()))
		}
	}
	if p.Now.Restores > 0 {
		all[3].Value, all[3].Small = Rough(p.Now.Restored), "median of "+Count(p.Now.Restores, "time")
		if p.Then.Restores > 0 {
			all[3].Small, all[3].Class = change(float64(p.Now.Restored), float64(p.Then.Restored), Rough(p.Now.Restored), Rough(p.Then.Restored))
		}
	}
	return all
}

// moreOrFewer compares numbers of deploys with those before.
func moreOrFewer(now, then float64, before string) string {
	switch {
	case then == 0:
		return "none in " + before
	case weekly(now) == weekly(then):
		return "as in " + before
	case now > then:
		return "▲ " + weekly(now-then) + " more than " + before
	}
	return "▼ " + weekly(then-now) + " fewer than " + before
}

// change says from where a figure came; less is better. Figures that read the same
// have not changed.
func change(now, then float64, text, before string) (small, class string) {
	switch {
	case text == before:
		return "as before", ""
	case now > then:
		return "▲ from " + before, "bad"
	}
	return "▼ from " + before, "ok"
}

// counting says that figures are not complete yet.
func (p InsightsPage) counting() string {
	if p.Uncounted == 1 {
		return "1 deploy is still to be counted. The figures grow until then; load the page again to see them."
	}
	return Number(p.Uncounted) + " deploys are still to be counted. The figures grow until then; load the page again to see them."
}

// totalsCells are the figures of a line of a table.
func (t InsightTotals) totalsCells() (weeklyText, took, bad, restored string) {
	weeklyText, took, bad, restored = weekly(t.Weekly), Unknown, Unknown, Unknown
	if t.Live+t.Undone > 0 {
		took = Rough(t.Took)
	}
	if t.Deploys() > 0 {
		bad = Percent(t.Bad())
	}
	if t.Restores > 0 {
		restored = Rough(t.Restored)
	}
	return weeklyText, took, bad, restored
}

// DaySpan returns days for reading: "1 September to 29 November 2026".
func DaySpan(first, last time.Time) string {
	layout := "2 January"
	if first.Year() != last.Year() {
		layout += " 2006"
	}
	return first.Format(layout) + " to " + last.Format("2 January 2006")
}

// ShortDay returns a day for an axis: "7 Sep".
func ShortDay(t time.Time) string { return t.Format("2 Jan") }

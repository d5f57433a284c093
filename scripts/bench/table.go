package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// sample is the same thing measured several times.
type sample []float64

func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	half := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[half-1] + sorted[half]) / 2
	}
	return sorted[half]
}

// ratios returns the ratio of each pair.
func (s sample) ratios(base sample) sample {
	r := make(sample, len(s))
	for i := range s {
		r[i] = s[i] / base[i]
	}
	return r
}

// text is the median, and the range where there is one.
func (s sample) text(format string) string {
	if len(s) == 1 {
		return fmt.Sprintf(format, s[0])
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.median(), slices.Min(s), slices.Max(s))
}

// row is a line of the table.
type row struct {
	what, measured, baseline, ratio string
	bar                             string // "" where there is none
	over                            bool
}

func (r row) verdict() string {
	switch {
	case r.bar == "":
		return ""
	case r.over:
		return "OVER"
	}
	return "ok"
}

// compare adds a row of two sides that were measured in turn. The bar is for
// the ratio of their medians, as it is printed.
func (b *bench) compare(what, format string, s, base sample, bar float64) {
	ratio := math.Round(s.median()/base.median()*100) / 100
	pairs := s.ratios(base)
	b.rows = append(b.rows, row{
		what: what, measured: s.text(format), baseline: base.text(format),
		ratio: fmt.Sprintf("%.2f (%.2f–%.2f)", ratio, slices.Min(pairs), slices.Max(pairs)),
		bar:   fmt.Sprintf("%.1f", bar), over: ratio > bar,
	})
}

// bound adds a row of what has a bar of its own.
func (b *bench) bound(what, format string, s sample, bar float64) {
	b.rows = append(b.rows, row{
		what: what, measured: s.text(format), baseline: "–", ratio: fmt.Sprintf("%.2f", s.median()/bar),
		bar: fmt.Sprintf(format, bar), over: s.median() > bar,
	})
}

// note adds a row without a bar, which explains the one above.
func (b *bench) note(what, measured string) {
	b.rows = append(b.rows, row{what: "  " + what, measured: measured})
}

// print writes where and how this was measured, and the table.
func (b *bench) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %s, %d × %s, %s, load %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		runtime.Version(), runtime.NumCPU(), processor(), system(), load())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tmeasured: median (min–max)\tbaseline\tratio (by pairs)\tat most\t")
	for _, r := range b.rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.measured, r.baseline, r.ratio, r.bar, r.verdict())
	}
	_ = t.Flush() // nobody is left to tell when the terminal went away
}

func processor() string { return field("/proc/cpuinfo", "model name") }

// system returns the kernel's name and release.
func system() string {
	out, err := exec.Command("uname", "-sr").Output()
	if err != nil {
		return runtime.GOOS
	}
	return strings.TrimSpace(string(out))
}

// load returns the load averages, which say whether the machine had other work.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// field returns the value of the first line "name: value" in a file, "" if
// there is none.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

package diff

import (
	"bytes"
	"strings"

	"slipway/internal/slipway"
)

// lineCount returns the number of lines of a text; the last one may lack its newline.
func lineCount(text []byte) int {
	n := bytes.Count(text, []byte("\n"))
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return n
}

// widened returns hunks with more unchanged lines of the text after: those in shown, as
// far as room lasts. Hunks that meet become one.
func widened(hunks []slipway.Hunk, after string, shown []slipway.LineRange, room int) []slipway.Hunk {
	if len(hunks) == 0 || len(shown) == 0 {
		return hunks
	}
	w := widener{lines: strings.SplitAfter(after, "\n"), shown: shown, room: room}
	if last := len(w.lines) - 1; w.lines[last] == "" {
		w.lines = w.lines[:last]
	}
	next, shift := 1, 0
	for _, h := range hunks {
		w.gap(next, h.FirstNew()-1, shift)
		w.add(h.Lines, h.FirstOld(), h.FirstNew())
		next = h.FirstNew() + h.NewLines
		shift = next - h.FirstOld() - h.OldLines
	}
	w.gap(next, len(w.lines), shift)
	for i, h := range w.all { // as in hunk
		if h.OldLines == 0 {
			w.all[i].OldStart--
		}
		if h.NewLines == 0 {
			w.all[i].NewStart--
		}
	}
	return w.all
}

// widener collects hunks with lines between.
type widener struct {
	lines []string // of the text after, with their ends
	shown []slipway.LineRange
	room  int // lines that may be added
	all   []slipway.Hunk
}

// gap adds the shown lines of a gap. shift is the number of a new line less the number
// of the same old line.
func (w *widener) gap(from, to, shift int) {
	for n := from; n <= to && w.room > 0; n++ {
		if w.wants(n) {
			text, terminated := strings.CutSuffix(w.lines[n-1], "\n")
			w.add([]slipway.DiffLine{{Op: ' ', Old: n - shift, New: n, Text: text, NoNewline: !terminated}}, n-shift, n)
			w.room--
		}
	}
}

func (w *widener) wants(n int) bool {
	for _, r := range w.shown {
		if r.From <= n && n <= r.To {
			return true
		}
	}
	return false
}

// add appends lines that begin at old and next: to the last hunk, if the lines follow it.
func (w *widener) add(lines []slipway.DiffLine, old, next int) {
	last := len(w.all) - 1
	if last < 0 || w.all[last].OldStart+w.all[last].OldLines != old || w.all[last].NewStart+w.all[last].NewLines != next {
		w.all = append(w.all, slipway.Hunk{OldStart: old, NewStart: next})
		last++
	}
	h := &w.all[last]
	for _, l := range lines {
		if l.Op != '+' {
			h.OldLines++
		}
		if l.Op != '-' {
			h.NewLines++
		}
		h.Lines = append(h.Lines, l)
	}
}

package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"slipway/internal/deploy/deploytest"
	"slipway/internal/diff"
	"slipway/internal/slipway"
)

func TestDiffOfAFile(t *testing.T) {
	a := deploytest.Running(t)
	big := strings.Repeat("0123456789abcde\n", 1<<16+1)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": "1\n2\n3\n4\n5\n6\n", "bin": "a\x00b", "big": "x", "l": "-> a.py"})
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": "1\n2\n3\n4\nfive\n6", "bin": "a\x00c", "big": big, "l": "-> bin", "n.txt": "new\n"})
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]slipway.FileDiff{
		"a.py": {Added: 2, Removed: 2, OldSize: 12, NewSize: 14, Lines: 6, Hunks: []slipway.Hunk{{OldStart: 2, OldLines: 5, NewStart: 2, NewLines: 5, Lines: []slipway.DiffLine{
			{Op: ' ', Old: 2, New: 2, Text: "2"}, {Op: ' ', Old: 3, New: 3, Text: "3"}, {Op: ' ', Old: 4, New: 4, Text: "4"},
			{Op: '-', Old: 5, Text: "5"}, {Op: '-', Old: 6, Text: "6"}, {Op: '+', New: 5, Text: "five"}, {Op: '+', New: 6, Text: "6", NoNewline: true},
		}}}},
		"bin": {Binary: true, OldSize: 3, NewSize: 3},
		"big": {TooLarge: true, OldSize: 1, NewSize: int64(len(big))},
		"l": {Added: 1, Removed: 1, Lines: 1, Hunks: []slipway.Hunk{{OldStart: 1, OldLines: 1, NewStart: 1, NewLines: 1, Lines: []slipway.DiffLine{
			{Op: '-', Old: 1, Text: "a.py", NoNewline: true}, {Op: '+', New: 1, Text: "bin", NoNewline: true},
		}}}},
		"n.txt": {Added: 1, NewSize: 4, Lines: 1, Hunks: []slipway.Hunk{{NewStart: 1, NewLines: 1, Lines: []slipway.DiffLine{{Op: '+', New: 1, Text: "new"}}}}},
	}
	got := map[string]slipway.FileDiff{}
	for _, c := range r.Plan.Changes {
		if got[c.Path], err = a.Engine.Diff(t.Context(), a.Sales, c, slipway.Look{}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(slipway.FileDiff{}, "Path", "OldSHA256", "NewSHA256")); diff != "" {
		t.Errorf("diffs (-want +got):\n%s", diff)
	}
}

// Line ends and encodings are told in words; a carriage return stands in a line only
// where line ends are not all alike.
func TestContentsInOtherForms(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after string
		words, lines  string
		binary        bool
	}{
		"Windows stays":    {before: "a\r\nb\r\n", after: "a\r\nc\r\n", lines: " a|-b|+c"},
		"to Windows":       {before: "a\n", after: "a\r\n", words: "Line endings: changed from LF to CRLF", lines: "-a|+a\r"},
		"mixed":            {before: "a\r\nb\n", after: "a\r\nc\n", words: "Line endings: mixed", lines: " a\r|-b|+c"},
		"BOM":              {before: "a\n", after: "\ufeffa\n", words: "Encoding: changed from UTF-8 to UTF-8 with BOM", lines: "-a|+\ufeffa"},
		"Latin-1 to UTF-8": {before: "\xe9\n", after: "é\n", words: "Encoding: changed from unknown (shown as Latin-1) to UTF-8", lines: "-é|+é"},
		"added":            {after: "a\r\n", words: "Line endings: CRLF", lines: "+a"},
		"removed":          {before: "a\r\n", lines: "-a"},
		"data":             {before: "a\n", after: "\x00", binary: true},
		"UTF-16":           {before: "a\n", after: "\xff\xfea\x00", words: "Encoding: changed from UTF-8 to UTF-16", binary: true},
	} {
		var d slipway.FileDiff
		if err := diff.Contents(&d, []byte(tt.before), []byte(tt.after), nil); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, h := range d.Hunks {
			for _, l := range h.Lines {
				lines = append(lines, string(rune(l.Op))+l.Text)
			}
		}
		if got := strings.Join(lines, "|"); got != tt.lines || strings.Join(d.Words, "; ") != tt.words || d.Binary != tt.binary {
			t.Errorf("%s: %q with %q, binary %v; want %q with %q, %v", name, got, d.Words, d.Binary, tt.lines, tt.words, tt.binary)
		}
	}
}

// Lines between hunks open by their numbers in the new content; hunks that meet are one.
func TestOpenedLines(t *testing.T) {
	before, after := "", ""
	for n := range 40 {
		line := fmt.Sprintf("%d\n", n+1)
		if before += line; n == 9 {
			line = "ten\neleven\n"
		} else if n == 29 {
			line = ""
		}
		after += line
	}
	for name, tt := range map[string]struct {
		shown []slipway.LineRange
		want  string
		gaps  []slipway.LineRange
	}{
		"none":      {nil, "-7,7 +7,8|-27,7 +28,6", []slipway.LineRange{{From: 1, To: 6}, {From: 15, To: 27}, {From: 34, To: 40}}},
		"above":     {[]slipway.LineRange{{From: 1, To: 6}}, "-1,13 +1,14|-27,7 +28,6", []slipway.LineRange{{From: 15, To: 27}, {From: 34, To: 40}}},
		"between":   {[]slipway.LineRange{{From: 15, To: 27}}, "-7,27 +7,27", []slipway.LineRange{{From: 1, To: 6}, {From: 34, To: 40}}},
		"alone":     {[]slipway.LineRange{{From: 20, To: 21}}, "-7,7 +7,8|-19,2 +20,2|-27,7 +28,6", []slipway.LineRange{{From: 1, To: 6}, {From: 15, To: 19}, {From: 22, To: 27}, {From: 34, To: 40}}},
		"below":     {[]slipway.LineRange{{From: 34, To: 99}}, "-7,7 +7,8|-27,14 +28,13", []slipway.LineRange{{From: 1, To: 6}, {From: 15, To: 27}}},
		"all":       {[]slipway.LineRange{slipway.AllLines}, "-1,40 +1,40", nil},
		"all again": {[]slipway.LineRange{slipway.AllLines, {From: 3, To: 4}}, "-1,40 +1,40", nil},
	} {
		d := slipway.FileDiff{Path: "a"}
		if err := diff.Contents(&d, []byte(before), []byte(after), tt.shown); err != nil {
			t.Fatal(err)
		}
		var hunks []string
		var gaps []slipway.LineRange
		for _, h := range d.Hunks {
			hunks = append(hunks, fmt.Sprintf("-%d,%d +%d,%d", h.OldStart, h.OldLines, h.NewStart, h.NewLines))
		}
		for _, g := range d.Gaps() {
			gaps = append(gaps, g.LineRange)
		}
		if got := strings.Join(hunks, "|"); got != tt.want || !slices.Equal(gaps, tt.gaps) || d.Added != 2 || d.Removed != 2 {
			t.Errorf("%s: %s with gaps %v, +%d −%d; want %s with %v", name, got, gaps, d.Added, d.Removed, tt.want, tt.gaps)
		}
	}
}

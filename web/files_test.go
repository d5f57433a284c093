package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/static"
	"slipway/views"
)

// A list of 20,000 changed files compares a few of them, and shows a part of the list.
func TestListOfManyFiles(t *testing.T) {
	var changes []slipway.Change
	for i := range 20_000 {
		path := fmt.Sprintf("d%02d/f%05d.py", i/1000, i)
		changes = append(changes, slipway.Change{Op: slipway.Changed, Path: path, Old: slipway.File{Path: path, SHA256: "a", Size: 10}, New: slipway.File{Path: path, SHA256: "b", Size: 11}})
	}
	compared := 0
	source := fileSource{
		diff: func(_ context.Context, c slipway.Change, _ slipway.Look) (slipway.FileDiff, error) {
			compared++
			return slipway.FileDiff{Path: c.Path, Added: 1, Lines: 100, Hunks: []slipway.Hunk{{NewStart: 1, NewLines: 100, Lines: make([]slipway.DiffLine, 100)}}}, nil
		},
		row:    func(slipway.Change) views.FileChange { return views.FileChange{} },
		folder: func(string) string { return "" },
	}
	for name, tt := range map[string]struct {
		ask                     fileAsk
		first, rng, open, after string
		compared                int
	}{
		"at first":   {fileAsk{path: "/p"}, "d00/f00000.py", "Files 1 to 200 of 20,000", "d00/f00000.py", "/p?at=200", countedFiles + 1},
		"all open":   {fileAsk{path: "/p", open: true}, "d00/f00000.py", "Files 1 to 200 of 20,000", "30", "/p?at=200&open=all", countedFiles + maxShown/100},
		"further on": {fileAsk{path: "/p", at: 400}, "d00/f00400.py", "Files 401 to 600 of 20,000", "d00/f00400.py", "/p?at=600", countedFiles + 1},
		"a file":     {fileAsk{path: "/p", file: "d19/f19999.py"}, "d19/f19800.py", "Files 19,801 to 20,000 of 20,000", "d19/f19999.py", "", countedFiles + 1},
		"beyond":     {fileAsk{path: "/p", at: 99_999}, "", "", "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			compared = 0
			l, err := listFiles(t.Context(), tt.ask, changes, nil, source)
			if err != nil {
				t.Fatal(err)
			}
			first, open := "", []string{}
			for i, f := range l.Rows {
				if i == 0 {
					first = f.Path
				}
				if f.Open {
					open = append(open, f.Path)
				}
			}
			opened := strings.Join(open, " ")
			if len(open) > 1 {
				opened = fmt.Sprint(len(open))
			}
			if first != tt.first || l.Range != tt.rng && tt.rng != "" || opened != tt.open || l.After != tt.after || compared != tt.compared || len(l.Rows) > maxRows {
				t.Errorf("%d rows from %s, %q, open %s, after %q, %d compared; want %+v", len(l.Rows), first, l.Range, opened, l.After, compared, tt)
			}
			var b strings.Builder
			if err := views.FilesCard(l).Render(views.WithAssets(t.Context(), static.URL), &b); err != nil || b.Len() > 1<<20 {
				t.Errorf("the list is %d bytes, %v", b.Len(), err)
			}
		})
	}
}

func TestGapLinks(t *testing.T) {
	d := slipway.FileDiff{Lines: 100, Hunks: []slipway.Hunk{{OldStart: 30, OldLines: 5, NewStart: 30, NewLines: 5}, {OldStart: 40, OldLines: 5, NewStart: 40, NewLines: 5}}}
	address := func(r slipway.LineRange) string { return slipway.RangesText([]slipway.LineRange{r}) }
	want := []views.GapLinks{{Before: 0, Lines: 29, Above: "10-29", All: "1-29"}, {Before: 1, Lines: 5, All: "35-39"}, {Before: 2, Lines: 56, Below: "45-64", All: "45-100"}}
	if got := gapLinks(d, false, address); !slices.Equal(got, want) {
		t.Errorf("gaps %+v, want %+v", got, want)
	}
	if got := gapLinks(d, true, address); !slices.Equal(got, want[:2]) {
		t.Errorf("gaps of a short difference %+v, want %+v", got, want[:2])
	}
}

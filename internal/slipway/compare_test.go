package slipway_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/slipway"
)

func sized(path, sum string, size int64) slipway.File {
	return slipway.File{Path: path, SHA256: sum, Size: size}
}

func TestCompareFindsRenames(t *testing.T) {
	for name, tt := range map[string]struct {
		old, new []slipway.File
		want     []string // op, path and the path before
		sum      slipway.ChangeSum
	}{
		"nothing":          {nil, nil, nil, slipway.ChangeSum{}},
		"moved":            {[]slipway.File{sized("a", "1", 5)}, []slipway.File{sized("b", "1", 5)}, []string{"renamed b from a"}, slipway.ChangeSum{Renamed: 1}},
		"moved backwards":  {[]slipway.File{sized("b", "1", 5)}, []slipway.File{sized("a", "1", 5)}, []string{"renamed a from b"}, slipway.ChangeSum{Renamed: 1}},
		"empty":            {[]slipway.File{sized("a", "1", 0)}, []slipway.File{sized("b", "1", 0)}, []string{"removed a from a", "added b from "}, slipway.ChangeSum{Added: 1, Removed: 1}},
		"links":            {[]slipway.File{{Path: "a", Link: "x"}}, []slipway.File{{Path: "b", Link: "x"}}, []string{"removed a from a", "added b from "}, slipway.ChangeSum{Added: 1, Removed: 1}},
		"one of two":       {[]slipway.File{sized("a", "1", 5)}, []slipway.File{sized("b", "1", 5), sized("c", "1", 5)}, []string{"renamed b from a", "added c from "}, slipway.ChangeSum{Added: 1, Renamed: 1}},
		"two to one":       {[]slipway.File{sized("a", "1", 5), sized("b", "1", 5)}, []slipway.File{sized("c", "1", 5)}, []string{"removed b from b", "renamed c from a"}, slipway.ChangeSum{Removed: 1, Renamed: 1}},
		"copied":           {[]slipway.File{sized("a", "1", 5)}, []slipway.File{sized("a", "1", 5), sized("b", "1", 5)}, []string{"added b from "}, slipway.ChangeSum{Added: 1}},
		"changed in place": {[]slipway.File{sized("a", "1", 5)}, []slipway.File{sized("a", "2", 5)}, []string{"changed a from a"}, slipway.ChangeSum{Changed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := slipway.Compare(slipway.Changes(tt.old, tt.new))
			var list []string
			for _, c := range got.Changes {
				list = append(list, string(c.Op)+" "+c.Path+" from "+c.Old.Path)
			}
			if diff := cmp.Diff(tt.want, list); diff != "" || got.Sum != tt.sum {
				t.Errorf("sum %+v, want %+v (-want +got):\n%s", got.Sum, tt.sum, diff)
			}
		})
	}
}

// versions are steps of a history in which a file comes, changes, goes and is
// back as it was.
var versions = [][]slipway.File{
	{},
	{sized("a", "1", 5), sized("b", "1", 5)},
	{sized("a", "2", 6), sized("c", "3", 5)},
	{sized("c", "3", 5)},
	{sized("a", "1", 5), sized("c", "4", 5)},
}

func TestSumOfChangesIsWhatLiesBetween(t *testing.T) {
	for from := range versions {
		for to := from; to < len(versions); to++ {
			var steps [][]slipway.Change
			for i := from; i < to; i++ {
				steps = append(steps, slipway.Changes(versions[i], versions[i+1]))
			}
			want := slipway.Changes(versions[from], versions[to])
			if diff := cmp.Diff(want, slipway.SumChanges(steps)); diff != "" {
				t.Errorf("from %d to %d (-want +got):\n%s", from, to, diff)
			}
			back := slipway.Changes(versions[to], versions[from])
			if diff := cmp.Diff(back, slipway.Back(want)); diff != "" && len(want) > 0 {
				t.Errorf("from %d back to %d (-want +got):\n%s", to, from, diff)
			}
		}
	}
}

// modes are 30 files, executable or not, and one with other content.
func modes(executable bool, text string) (files []slipway.File) {
	for i := range 30 {
		files = append(files, slipway.File{Path: fmt.Sprintf("f%02d.sh", i), SHA256: "1", Size: 1, Exec: executable})
	}
	return append(files, slipway.File{Path: "z.py", SHA256: text, Size: 1})
}

func TestChangesOfModes(t *testing.T) {
	file, run := slipway.File{Path: "a", SHA256: "1", Size: 1}, slipway.File{Path: "a", SHA256: "1", Size: 1, Exec: true}
	other, link := slipway.File{Path: "a", SHA256: "2", Size: 1, Exec: true}, slipway.File{Path: "a", Link: "b"}
	moved := slipway.File{Path: "b", SHA256: "1", Size: 1, Exec: true}
	for name, tt := range map[string]struct {
		old, new []slipway.File
		modes    string
		only     bool
	}{
		"executable":       {[]slipway.File{file}, []slipway.File{run}, "100644 100755", true},
		"no longer":        {[]slipway.File{run}, []slipway.File{file}, "100755 100644", true},
		"with its content": {[]slipway.File{file}, []slipway.File{other}, "100644 100755", false},
		"content alone":    {[]slipway.File{run}, []slipway.File{other}, " ", false},
		"to a link":        {[]slipway.File{run}, []slipway.File{link}, "100755 120000", false},
		"from a link":      {[]slipway.File{link}, []slipway.File{file}, "120000 100644", false},
		"moved":            {[]slipway.File{file}, []slipway.File{moved}, "100644 100755", false},
		"added":            {nil, []slipway.File{run}, " ", false},
		"removed":          {[]slipway.File{run}, nil, " ", false},
	} {
		all := slipway.Compare(slipway.Changes(tt.old, tt.new))
		if len(all.Changes) != 1 {
			t.Fatalf("%s: %+v", name, all.Changes)
		}
		was, is := all.Changes[0].ModeChange()
		plan := slipway.NewPlan(tt.old, tt.new)
		if got := was + " " + is; got != tt.modes || all.Changes[0].ModeOnly() != tt.only || (all.Sum.Modes == 1) != tt.only || (plan.Counts.Modes == 1) != tt.only {
			t.Errorf("%s: modes %q, only %v, sums %+v and %+v", name, got, all.Changes[0].ModeOnly(), all.Sum, plan.Counts)
		}
	}
}

func TestManyChangesOfModesFold(t *testing.T) {
	for name, tt := range map[string]struct {
		old, new       []slipway.File
		asked          string
		listed, folded int
	}{
		"all and content": {modes(false, "1"), modes(true, "2"), "", 1, 30},
		"all":             {modes(true, "1"), modes(false, "1"), "", 0, 30},
		"one is asked":    {modes(true, "1"), modes(false, "1"), modes(true, "1")[7].Path, 1, 29},
		"three":           {modes(false, "1")[:3], modes(true, "1")[:3], "", 3, 0},
		"four":            {modes(false, "1")[:4], modes(true, "1")[:4], "", 0, 4},
		"content alone":   {modes(true, "1"), modes(true, "2"), "", 1, 0},
	} {
		listed, folded := slipway.FoldModes(slipway.Changes(tt.old, tt.new), tt.asked)
		if len(listed) != tt.listed || len(folded) != tt.folded {
			t.Errorf("%s: %d listed and %d folded, want %d and %d", name, len(listed), len(folded), tt.listed, tt.folded)
		}
	}
}

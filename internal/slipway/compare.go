package slipway

import "maps"

// Renamed is the change of a file removed at one path and added at another with
// the same content.
const Renamed Op = "renamed"

// Comparison holds the differences between two versions.
type Comparison struct {
	Changes []Change // by path; Old.Path of a renamed file differs
	Sum     ChangeSum
}

// ChangeSum counts changed files.
type ChangeSum struct {
	Added, Changed, Removed, Renamed int
	Modes                            int // of Changed: files that differ by their mode alone
}

// Add counts a change.
func (s *ChangeSum) Add(c Change) {
	if c.ModeOnly() {
		s.Modes++
	}
	switch c.Op {
	case Added:
		s.Added++
	case Changed:
		s.Changed++
	case Removed:
		s.Removed++
	case Renamed:
		s.Renamed++
	}
}

// Total returns the number of counted files.
func (s ChangeSum) Total() int { return s.Added + s.Changed + s.Removed + s.Renamed }

// Compare returns the comparison of changes, sorted by path, with renames.
func Compare(changes []Change) Comparison {
	c := Comparison{Changes: renames(changes)}
	for _, change := range c.Changes {
		c.Sum.Add(change)
	}
	return c
}

// foldModes is the number of changes of a mode alone from which lists have one line
// for all.
const foldModes = 4

// FoldModes splits changes for a list: many changes of a mode alone are folded, in
// their order, and would hide the others. Up to three stay listed, and the file that
// somebody asked for.
func FoldModes(changes []Change, asked string) (listed, folded []Change) {
	folds := func(c Change) bool { return c.ModeOnly() && c.Path != asked }
	for _, c := range changes {
		if folds(c) {
			folded = append(folded, c)
		}
	}
	if len(folded) < foldModes {
		return changes, nil
	}
	listed = make([]Change, 0, len(changes)-len(folded))
	for _, c := range changes {
		if !folds(c) {
			listed = append(listed, c)
		}
	}
	return listed, folded
}

// renames joins each added file with a removed file of the same content. Empty
// files are all equal and never count as renamed.
func renames(changes []Change) []Change {
	removed := map[string][]int{} // indexes of removed files by content, by path
	for i, c := range changes {
		if c.Op == Removed && c.Old.SHA256 != "" && c.Old.Size > 0 {
			removed[c.Old.SHA256] = append(removed[c.Old.SHA256], i)
		}
	}
	from := map[int]int{} // added to removed
	gone := map[int]bool{}
	for i, c := range changes {
		if was := removed[c.New.SHA256]; c.Op == Added && len(was) > 0 {
			from[i], removed[c.New.SHA256] = was[0], was[1:]
			gone[was[0]] = true
		}
	}
	list := make([]Change, 0, len(changes)-len(gone))
	for i, c := range changes {
		if was, ok := from[i]; ok {
			c.Op, c.Old = Renamed, changes[was].Old
		}
		if !gone[i] {
			list = append(list, c)
		}
	}
	return list
}

// SumChanges returns the total of consecutive steps.
func SumChanges(steps [][]Change) []Change {
	all := map[string]Change{}
	for _, step := range steps {
		for _, c := range step {
			if before, ok := all[c.Path]; ok {
				c.Old = before.Old
			}
			all[c.Path] = c
		}
	}
	var old, new []File
	for c := range maps.Values(all) {
		if c.Old.Path != "" {
			old = append(old, c.Old)
		}
		if c.New.Path != "" {
			new = append(new, c.New)
		}
	}
	SortFiles(old)
	SortFiles(new)
	return Changes(old, new)
}

// Back returns the reverse of changes.
func Back(changes []Change) []Change {
	list := make([]Change, len(changes))
	for i, c := range changes {
		c.Old, c.New = c.New, c.Old
		switch c.Op {
		case Added:
			c.Op = Removed
		case Removed:
			c.Op = Added
		}
		list[i] = c
	}
	return list
}

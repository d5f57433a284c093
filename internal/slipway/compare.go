package slipway

import "maps"

// Renamed is what a comparison makes of a file that is gone from one path and
// stands, with the same content, at another.
const Renamed Op = "renamed"

// Comparison is what lies between two versions.
type Comparison struct {
	Changes []Change // by path; the Old.Path of a renamed file is another
	Sum     ChangeSum
}

// ChangeSum counts changed files.
type ChangeSum struct{ Added, Changed, Removed, Renamed int }

// Add counts a change.
func (s *ChangeSum) Add(op Op) {
	switch op {
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

// Total returns how many files s counts.
func (s ChangeSum) Total() int { return s.Added + s.Changed + s.Removed + s.Renamed }

// Compare returns changes, which must be by path, with renames found.
func Compare(changes []Change) Comparison {
	c := Comparison{Changes: renames(changes)}
	for _, change := range c.Changes {
		c.Sum.Add(change.Op)
	}
	return c
}

// renames joins each added file with a removed one of the same content. Empty
// files are all alike, which says nothing.
func renames(changes []Change) []Change {
	removed := map[string][]int{} // places of removed files by content, in the order of their paths
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

// SumChanges returns what steps, one after the other, change all in all.
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

// Back returns what undoes changes.
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

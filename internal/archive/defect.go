package archive

import (
	"cmp"
	"errors"
	"path"
	"strings"

	"slipway/internal/slipway"
)

// defect is the reason why the entry name cannot be deployed. Entries that are not
// deployed may have any.
type defect struct {
	name   string
	reason error
	entry  bool // among the entries, too, where the name is counted
}

// entryError is the refusal of an entry for what it is, and how to go on: "a device. Leave it out". The sentence is made when asked
// for: an archive may have hundreds of thousands beside the dags folder.
type entryError struct{ raw, what string }

func (r *entryError) Error() string { return r.Unwrap().Error() }

func (r *entryError) Unwrap() error {
	return slipway.Errorf(slipway.Invalid, "The entry %s is %s.", Quote(r.raw), r.what)
}

// putOff records the fault of an entry until the dags folder is known.
func (s *scan) putOff(name string, reason error) error {
	top, _, deeper := strings.Cut(name, "/")
	k := file
	if deeper {
		k = folder
	}
	s.defects = append(s.defects, defect{name: name, reason: reason})
	return s.tree.noteOne(node{name: top, kind: k}, len(name))
}

// tooLarge returns the reason of the first entry over a limit of size, or nil.
func (s *scan) tooLarge() error {
	for _, d := range s.defects {
		if errors.Is(d.reason, slipway.ErrTooLarge) {
			return d.reason
		}
	}
	return nil
}

// backslash is an entry whose name has backslashes.
type backslash struct{ written, name string }

// place returns the name of h with slashes, composed (in Unicode's form NFC, as
// Python has the names of modules) and clean. The reason is why an entry of this
// name cannot be deployed. Names that lead out of the archive are refused.
func (s *scan) place(h header) (name string, reason, err error) {
	name, reason, err = s.lim.place(strings.ReplaceAll(h.name, `\`, "/"))
	if err != nil {
		return "", nil, err
	}
	composed := Compose(name)
	if composed != name {
		s.written[composed] = name
	}
	return composed, reason, nil
}

// hasSlash reports whether name has a slash between two names.
func hasSlash(name string) bool {
	return strings.Contains(strings.TrimRight(strings.TrimPrefix(name, "./"), "/"), "/")
}

// settleBackslashes decides about backslashes in names. Where no name has a slash,
// the archive comes from Windows, and backslashes stand between folders. Else
// nobody can tell.
func (s *scan) settleBackslashes() {
	if len(s.backslashes) == 0 {
		return
	}
	if !s.slashes {
		for i, e := range s.entries {
			s.entries[i].Link = strings.ReplaceAll(e.Link, `\`, "/")
		}
		return
	}
	for _, b := range s.backslashes {
		s.defects = append(s.defects, defect{name: b.name, entry: true, reason: slipway.Errorf(slipway.Invalid,
			`The name %s holds a backslash, while others have slashes between folders. Rename the file, or pack the archive again with slashes.`, Quote(b.written))})
	}
}

// oneForm refuses two entries whose names differ only in their Unicode form.
func (s *scan) oneForm(sel Selection) error {
	for i, e := range sel.Entries {
		other, ok := s.written[e.Name]
		if ok && i > 0 && sel.Entries[i-1].Path == e.Path {
			return slipway.Errorf(slipway.Invalid, "The names %s and %s differ only in Unicode form. Rename or remove one of them.", Quote(e.Name), Quote(other))
		}
	}
	return nil
}

// picker divides the entries of an archive by the dags folder.
type picker struct {
	*scan
	sel     Selection
	rules   patterns
	outside map[string]bool
	folders []string // below the dags folder
}

// pick returns the path of the entry name below the dags folder; ok is false if the
// entry is not deployed. counts is false for a name that is counted elsewhere.
func (p *picker) pick(name string, counts bool) (path string, ok bool, err error) {
	path, ok = below(p.sel.Root, name)
	if !ok {
		p.outside[outside(p.sel.Root, name)] = true
		return "", false, nil
	}
	ignored, err := p.rules.match(name)
	if ignored != "" && counts {
		p.omitted.add(ignored, ignoreName)
	}
	return path, ignored == "" && err == nil, err
}

func (p *picker) pickAll() error {
	for _, f := range p.defects {
		if _, ok, err := p.pick(f.name, !f.entry); ok || err != nil {
			return cmp.Or(err, f.reason)
		}
	}
	for _, e := range p.entries {
		path, ok, err := p.pick(e.Name, true)
		if err != nil {
			return err
		}
		if e.NoMode = e.NoMode && !p.modes && e.Link == ""; ok {
			p.sel.Entries = append(p.sel.Entries, Selected{Path: path, Entry: e})
		}
	}
	for _, name := range p.scan.folders {
		rel, ok := below(p.sel.Root, name)
		if !ok || rel == "" {
			continue
		}
		child := path.Join(name, "x")
		if ignored, err := p.rules.match(child); err != nil {
			return err
		} else if ignored == "" || ignored == child {
			p.folders = append(p.folders, rel)
		}
	}
	return nil
}

package archive

import (
	"strings"

	"slipway/internal/slipway"
)

const (
	// MaxHops is how many symlinks Linux follows on the way to one file.
	MaxHops = 40

	// stepsPerFile is the number of steps of all symlinks together, for each file in
	// the limit.
	stepsPerFile = 16
)

// place is the end of a path in a version, with an entry or without.
type place struct {
	up             *place // nil for the root
	size           int    // bytes of the path
	*resolvedEntry        // nil where nothing is
}

// resolvedEntry is the root, a folder, a file or a symlink.
type resolvedEntry struct {
	path string
	kids []*place // of a folder
	link string   // a symlink's target
	end  *place   // the end of a resolved symlink
	hops int      // symlinks on the way, including the first
}

func (s *place) isLink() bool   { return s.resolvedEntry != nil && s.link != "" }
func (s *place) isFolder() bool { return s.resolvedEntry != nil && len(s.kids) > 0 }

// resolver knows the places of a version, by exact name. Each symlink is
// resolved once: time grows with the elements of the targets.
type resolver struct {
	root       *place
	known      map[step]*place
	maxEntries int // limit of places
	maxPath    int // bytes of a path
	steps      int // steps
}

// step is a name in a folder.
type step struct {
	in   *place
	name string
}

func newResolver(most, longest int) *resolver {
	return &resolver{root: &place{resolvedEntry: &resolvedEntry{}}, known: map[step]*place{}, maxEntries: most, maxPath: longest, steps: stepsPerFile * most}
}

// add adds path and the folders above, and returns nil beyond the limit.
func (s *resolver) add(path, link string) *place {
	at, end := s.root, -1
	for el := range strings.SplitSeq(path, "/") {
		end += 1 + len(el)
		key := step{at, el}
		next := s.known[key]
		if next == nil {
			if len(s.known) == s.maxEntries {
				return nil
			}
			next = &place{up: at, size: end, resolvedEntry: &resolvedEntry{path: path[:end]}}
			s.known[key], at.kids = next, append(at.kids, next)
		}
		at = next
	}
	at.link = link
	return at
}

// addAll adds files and returns the symlinks among them; false if paths and
// folders exceed the limit.
func (s *resolver) addAll(files []slipway.File) (links []*place, ok bool) {
	for _, f := range files {
		at := s.add(f.Path, f.Link)
		if at == nil {
			return nil, false
		}
		if f.Link != "" {
			links = append(links, at)
		}
	}
	return links, true
}

// fault is why a symlink cannot be.
type fault int

const (
	linkSound     fault = iota
	linkEscapes         // the version
	linkLoops           // in a circle, or over more than maxHops symlinks
	linkTooLong         // longer than a path may be
	linkTooCostly       // more steps than all symlinks may have
	linkAbsolute        // target
)

// follow resolves l, the depth-th symlink of a way. A fault comes with the
// faulty symlink.
func (s *resolver) follow(l *place, depth int) (*place, fault) {
	switch {
	case l.end != nil:
		return nil, linkSound
	case depth > MaxHops:
		return l, linkLoops
	case strings.HasPrefix(l.link, "/"):
		return l, linkAbsolute
	}
	at, hops := l.up, 1
	for el := range strings.SplitSeq(l.link, "/") {
		if s.steps--; s.steps < 0 {
			return l, linkTooCostly
		}
		next, why := s.step(at, el)
		if why != linkSound {
			return l, why
		}
		if at = next; !at.isLink() {
			continue
		}
		if bad, why := s.follow(at, depth+1); why != linkSound {
			return bad, why
		}
		if hops += at.hops; hops > MaxHops {
			return l, linkLoops
		}
		at = at.end
	}
	l.end, l.hops = at, hops
	return nil, linkSound
}

// step goes from at to the element el. A missing element counts as a folder.
func (s *resolver) step(at *place, el string) (*place, fault) {
	switch {
	case el == "" || el == ".":
		return at, linkSound
	case el == ".." && at.up == nil:
		return nil, linkEscapes
	case el == "..":
		return at.up, linkSound
	}
	next := s.known[step{at, el}]
	if next == nil {
		next = &place{up: at, size: at.size + 1 + len(el)}
		if at.up == nil {
			next.size--
		}
	}
	if next.size > s.maxPath {
		return nil, linkTooLong
	}
	return next, linkSound
}

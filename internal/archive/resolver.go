package archive

import (
	"strings"

	"slipway/internal/slipway"
)

const (
	// MaxHops is how many symlinks Linux follows on the way to one file.
	MaxHops = 40

	// stepsPerFile is how many steps the symlinks of a version may have
	// together, for each file that it may have.
	stepsPerFile = 16
)

// place is where a path of a version leads, be there something or not.
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
	end  *place   // where a symlink leads, once it is known
	hops int      // how many symlinks lead there, this one included
}

func (s *place) isLink() bool   { return s.resolvedEntry != nil && s.link != "" }
func (s *place) isFolder() bool { return s.resolvedEntry != nil && len(s.kids) > 0 }

// resolver are the places of a version, by their exact names. Where symlinks lead
// is found out once for each: time grows with the elements of their targets.
type resolver struct {
	root       *place
	known      map[step]*place
	maxEntries int // places that there may be
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

// add adds path and the folders above it. It returns nil if these are too many.
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

// addAll adds files and returns the symlinks among them, and false if the paths
// and folders are too many.
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

// follow finds out where l, the depth-th symlink of a way, leads. If that
// cannot be, it returns the symlink that is at fault.
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

// step goes from at to its element el. What does not exist is taken for a
// folder.
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

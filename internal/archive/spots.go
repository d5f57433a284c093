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

// spot is where a path of a version leads, be there something or not.
type spot struct {
	up     *spot // nil for the root
	size   int   // bytes of the path
	*thing       // nil where nothing is
}

// thing is the root, a folder, a file or a symlink.
type thing struct {
	path string
	kids []*spot // of a folder
	link string  // a symlink's target
	end  *spot   // where a symlink leads, once it is known
	hops int     // how many symlinks lead there, this one included
}

func (s *spot) isLink() bool   { return s.thing != nil && s.link != "" }
func (s *spot) isFolder() bool { return s.thing != nil && len(s.kids) > 0 }

// spots are the places of a version, by their exact names. Where symlinks lead
// is found out once for each: time grows with the elements of their targets.
type spots struct {
	root    *spot
	known   map[step]*spot
	most    int // places that there may be
	longest int // bytes of a path
	left    int // steps
}

// step is a name in a folder.
type step struct {
	in   *spot
	name string
}

func newSpots(most, longest int) *spots {
	return &spots{root: &spot{thing: &thing{}}, known: map[step]*spot{}, most: most, longest: longest, left: stepsPerFile * most}
}

// add adds path and the folders above it. It returns nil if these are too many.
func (s *spots) add(path, link string) *spot {
	at, end := s.root, -1
	for el := range strings.SplitSeq(path, "/") {
		end += 1 + len(el)
		key := step{at, el}
		next := s.known[key]
		if next == nil {
			if len(s.known) == s.most {
				return nil
			}
			next = &spot{up: at, size: end, thing: &thing{path: path[:end]}}
			s.known[key], at.kids = next, append(at.kids, next)
		}
		at = next
	}
	at.link = link
	return at
}

// addAll adds files and returns the symlinks among them, and false if the paths
// and folders are too many.
func (s *spots) addAll(files []slipway.File) (links []*spot, ok bool) {
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
	sound    fault = iota
	leaves         // the version
	tooFar         // in a circle, or over more than maxHops symlinks
	tooLong        // longer than a path may be
	tooSlow        // more steps than all symlinks may have
	absolute       // target
)

// follow finds out where l, the depth-th symlink of a way, leads. If that
// cannot be, it returns the symlink that is at fault.
func (s *spots) follow(l *spot, depth int) (*spot, fault) {
	switch {
	case l.end != nil:
		return nil, sound
	case depth > MaxHops:
		return l, tooFar
	case strings.HasPrefix(l.link, "/"):
		return l, absolute
	}
	at, hops := l.up, 1
	for el := range strings.SplitSeq(l.link, "/") {
		if s.left--; s.left < 0 {
			return l, tooSlow
		}
		next, why := s.step(at, el)
		if why != sound {
			return l, why
		}
		if at = next; !at.isLink() {
			continue
		}
		if bad, why := s.follow(at, depth+1); why != sound {
			return bad, why
		}
		if hops += at.hops; hops > MaxHops {
			return l, tooFar
		}
		at = at.end
	}
	l.end, l.hops = at, hops
	return nil, sound
}

// step goes from at to its element el. What does not exist is taken for a
// folder.
func (s *spots) step(at *spot, el string) (*spot, fault) {
	switch {
	case el == "" || el == ".":
		return at, sound
	case el == ".." && at.up == nil:
		return nil, leaves
	case el == "..":
		return at.up, sound
	}
	next := s.known[step{at, el}]
	if next == nil {
		next = &spot{up: at, size: at.size + 1 + len(el)}
		if at.up == nil {
			next.size--
		}
	}
	if next.size > s.longest {
		return nil, tooLong
	}
	return next, sound
}

package image

import (
	"archive/tar"
	"path"
)

// view is the state of some paths, and of the folders above, in the layers of
// an image.
type view struct {
	paths map[string]*node
}

// node is the state of a path.
type node struct {
	*tar.Header      // nil: missing, or a folder without an entry
	exists      bool // by an entry or, for a folder, by an entry below
	decided     bool // layers below change nothing any more
}

func (n *node) isFolder() bool {
	return n.exists && (n.Header == nil || n.Typeflag == tar.TypeDir)
}

func (n *node) isLink() bool { return n.exists && n.Header != nil && n.Typeflag == tar.TypeSymlink }

func newView(paths ...string) *view {
	v := &view{paths: map[string]*node{}}
	for _, p := range paths {
		for _, c := range chain(p) {
			v.paths[c] = &node{}
		}
	}
	return v
}

func (v *view) done() bool {
	for _, n := range v.paths {
		if !n.decided {
			return false
		}
	}
	return true
}

// layerView is the part of one layer that concerns a view.
type layerView struct {
	here    map[string]*tar.Header
	implied map[string]bool // folders with an entry below
	hides   map[string]bool
	clears  map[string]bool
}

func (l layerView) add(v *view, e entry) {
	if e.hide != "" {
		if v.paths[e.hide] != nil && !e.all {
			l.hides[e.hide] = true
		}
		if v.paths[e.hide] != nil && e.all {
			l.clears[e.hide], l.implied[e.hide] = true, true
		}
		return
	}
	if v.paths[e.path] != nil {
		l.here[e.path] = e.Header
	}
	for p := range v.paths {
		if p != e.path && within(e.path, p) {
			l.implied[p] = true
		}
	}
}

// apply merges layer l into v, below the layers read before.
func (v *view) apply(l layerView) {
	for p, n := range v.paths {
		if h := l.here[p]; !n.decided && h != nil {
			n.Header, n.exists, n.decided = h, true, true
		}
		if !n.decided && l.implied[p] {
			n.exists = true // a lower layer may have the folder's entry
		}
	}
	for p := range v.paths {
		n := l.here[p]
		switch {
		case n != nil && n.Typeflag != tar.TypeDir || l.clears[p]:
			v.settle(p, false)
		case l.hides[p]:
			v.settle(p, true)
		}
	}
}

// settle marks open paths below p as decided; with self also p.
func (v *view) settle(p string, self bool) {
	for q, n := range v.paths {
		if within(q, p) && (self || q != p) {
			n.decided = true
		}
	}
}

// maxLinks is how many symlinks a way may go through.
const maxLinks = 16

// follow resolves the first symlink in p. Without a symlink, follow returns p
// and whether p is a folder.
func (v *view) follow(p string) (string, bool) {
	for _, c := range chain(p) {
		n := v.paths[c]
		switch {
		case n.isLink():
			target := n.Linkname
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(c), target)
			}
			return path.Join(path.Clean("/"+target), p[len(c):]), false
		case !n.isFolder():
			return p, false
		}
	}
	return p, true
}

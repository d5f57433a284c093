package bundle

import (
	"maps"
	"slices"
	"strings"

	"slipway"
)

// maxHops is how many symlinks Linux follows on the way to one file.
const maxHops = 40

// links finds out where the symlinks of a tree lead.
type links struct {
	tree *tree
	ends map[string]string // by a link's name
}

// checkLinks refuses a symlink that leads out of the root, at any step of the
// way, and symlinks through which a walk over all folders would never end.
func (t *tree) checkLinks() error {
	l := links{tree: t, ends: map[string]string{}}
	for _, key := range slices.Sorted(maps.Keys(t.nodes)) {
		n := t.nodes[key]
		if n.kind != link {
			continue
		}
		if _, err := l.end(n, 1); err != nil {
			return err
		}
	}
	if len(l.ends) == 0 {
		return nil
	}
	return l.checkCircles()
}

// end returns the path at which n, the hops-th link of a way, ends.
func (l *links) end(n node, hops int) (string, error) {
	if end, ok := l.ends[n.name]; ok {
		return end, nil
	}
	if hops > maxHops {
		return "", slipway.Errorf(slipway.Invalid, "The symlink %s leads in a circle, or over more than %d other symlinks.", l.tree.quote(n.name), maxHops)
	}
	if err := l.checkTarget(n); err != nil {
		return "", err
	}
	at, err := parent(n.name), error(nil)
	for el := range strings.SplitSeq(n.target, "/") {
		if at, err = l.step(n, at, el, hops); err != nil {
			return "", err
		}
	}
	l.ends[n.name] = at
	return at, nil
}

func (l *links) checkTarget(n node) error {
	if err := checkText("target", n.target); err != nil {
		return slipway.Errorf(slipway.Invalid, "The symlink %s has a target that is not UTF-8 or holds a control character.", l.tree.quote(n.name))
	}
	switch {
	case strings.HasPrefix(n.target, "/"):
		return slipway.Errorf(slipway.Invalid, "The symlink %s has the absolute target %s. Make it relative, to a file that is deployed with it.", l.tree.quote(n.name), quote(n.target))
	case len(n.target) > l.tree.lim.Path:
		return slipway.Errorf(slipway.TooLarge, "The target of the symlink %s has more than %d bytes.", l.tree.quote(n.name), l.tree.lim.Path)
	}
	return nil
}

// step goes from the folder at to its element el, through el if that is a link.
// What does not exist is taken for a folder.
func (l *links) step(n node, at, el string, hops int) (string, error) {
	switch {
	case el == "" || el == ".":
		return at, nil
	case el == ".." && at == "":
		return "", slipway.Errorf(slipway.Invalid, "The symlink %s to %s leaves the root of what is deployed.", l.tree.quote(n.name), quote(n.target))
	case el == "..":
		return parent(at), nil
	}
	at = join(at, el)
	if len(at) > l.tree.lim.Path {
		return "", slipway.Errorf(slipway.TooLarge, "The symlink %s leads to a path of more than %d bytes.", l.tree.quote(n.name), l.tree.lim.Path)
	}
	next := l.tree.nodes[fold(at)]
	if next.kind != link || next.name != at {
		return at, nil
	}
	return l.end(next, hops+1)
}

// way leads from a folder to another one: to one in it, or along a link.
type way struct {
	to   string // folded
	link string // "" for a folder in it
}

// checkCircles refuses links through which a folder holds itself: Airflow
// follows links to folders when it looks for DAG files, and would give up.
func (l *links) checkCircles() error {
	c := circles{tree: l.tree, ways: map[string][]way{}, state: map[string]bool{}}
	for _, key := range slices.Sorted(maps.Keys(l.tree.nodes)) {
		switch n := l.tree.nodes[key]; n.kind {
		case folder:
			c.ways[parent(key)] = append(c.ways[parent(key)], way{to: key})
		case link:
			end := fold(l.ends[n.name])
			if end == "" || l.tree.nodes[end].kind == folder {
				c.ways[parent(key)] = append(c.ways[parent(key)], way{to: end, link: n.name})
			}
		}
	}
	return c.walk("", "")
}

type circles struct {
	tree  *tree
	ways  map[string][]way
	state map[string]bool // false while a folder is being walked, true after it
}

// walk visits all folders from at on. Via is the link followed last.
func (c *circles) walk(at, via string) error {
	c.state[at] = false
	for _, w := range c.ways[at] {
		last := via
		if w.link != "" {
			last = w.link
		}
		switch done, seen := c.state[w.to]; {
		case seen && !done:
			return slipway.Errorf(slipway.Invalid, "The symlink %s leads in a circle, back to a folder that holds it.", c.tree.quote(last))
		case seen:
			continue
		}
		if err := c.walk(w.to, last); err != nil {
			return err
		}
	}
	c.state[at] = true
	return nil
}

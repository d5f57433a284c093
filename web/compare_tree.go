package web

import (
	"strings"

	"slipway/internal/slipway"
	"slipway/views"
)

// listedFiles is how many changed files a tree names; of the others it says
// how many there are, folder by folder.
const listedFiles = 300

// tree returns changes, which are by path, as folders with what changed in
// each, and how many files it does not name.
func (a comparing) tree(changes []slipway.Change) (all []views.TreeNode, more int) {
	room := listedFiles
	return a.nodes(changes, a.under, &room)
}

// nodes lists what changed in a folder, as the names come, while there is room.
func (a comparing) nodes(changes []slipway.Change, folder string, room *int) (all []views.TreeNode, more int) {
	for len(changes) > 0 && *room > 0 {
		name, _, deeper := strings.Cut(changes[0].Path[len(folder):], "/")
		if !deeper {
			all = append(all, a.leaf(changes[0], name))
			*room--
			changes = changes[1:]
			continue
		}
		inside := comparing{under: folder + name + "/"}.within(changes)
		all = append(all, a.folder(inside, folder+name+"/", name, room))
		changes = changes[len(inside):]
	}
	return all, len(changes)
}

func (a comparing) leaf(c slipway.Change, name string) views.TreeNode {
	n := views.TreeNode{Name: name, Op: c.Op, URL: a.alone(c.Path).address()}
	if c.Op == slipway.Renamed {
		n.Was = c.Old.Path
	}
	return n
}

func (a comparing) folder(inside []slipway.Change, path, name string, room *int) views.TreeNode {
	n := views.TreeNode{Name: name, URL: a.in(path).address()}
	for _, c := range inside {
		n.Sum.Add(c.Op)
	}
	n.Nodes, n.More = a.nodes(inside, path, room)
	return n
}

// folders returns the folders above the one that is shown, and its name.
func (a comparing) folders() (above []views.Link, last string) {
	names := strings.Split(strings.TrimSuffix(a.under, "/"), "/")
	above = []views.Link{{Text: "dags", URL: a.in("").address()}}
	for i, name := range names[:len(names)-1] {
		above = append(above, views.Link{Text: name, URL: a.in(strings.Join(names[:i+1], "/") + "/").address()})
	}
	return above, names[len(names)-1] + "/"
}

package bundle

import (
	"cmp"
	"os"
	"path"
	"slices"

	"slipway"
)

// folders walks the folders of a version on disk. It keeps open the one that
// it was in last, since files come grouped by folder, and follows no symlink
// out of the version.
type folders struct {
	root *os.Root // of dags
	path string
	dir  *os.File // the folder at path; nil at first
	fd   int      // its descriptor
}

// openFolders opens the version whose folder is dir.
func openFolders(dir string) (*folders, error) {
	root, err := os.OpenRoot(dir + "/" + dagsName)
	if err != nil {
		return nil, err
	}
	return &folders{root: root}, nil
}

// enter makes the folder of the file at path the one at hand.
func (a *folders) enter(file string) error {
	next := path.Dir(file)
	if a.dir != nil && a.path == next {
		return nil
	}
	a.leave()
	dir, err := a.root.Open(next)
	if err != nil {
		return err
	}
	a.path, a.dir, a.fd = next, dir, int(dir.Fd())
	return nil
}

func (a *folders) leave() {
	if a.dir != nil {
		a.dir.Close() // it was only read
		a.dir = nil
	}
}

func (a *folders) close() {
	a.leave()
	a.root.Close()
}

func base(file string) string { return path.Base(file) }

// byFolder returns the indexes of files in an order that visits each folder
// once.
func byFolder(files []slipway.File) []int {
	order, dirs := make([]int, len(files)), make([]string, len(files))
	for i, f := range files {
		order[i], dirs[i] = i, path.Dir(f.Path)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(dirs[a], dirs[b]) })
	return order
}

// foldersOf returns the folders that files lie in, parents first.
func foldersOf(files []slipway.File) []string {
	seen := map[string]bool{}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "." && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
		}
	}
	list := make([]string, 0, len(seen))
	for dir := range seen {
		list = append(list, dir)
	}
	slices.Sort(list)
	return list
}

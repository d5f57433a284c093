package archive

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// maxRoots is how many folders are offered as the root.
const maxRoots = 20

// Search says how the root of an archive is found: the folder with the files that go
// below dags.
type Search struct {
	Root   string // the root, if known: a folder of the archive, or slipway.WholeArchive; "" to find one
	Inside string // the archive inside to read instead, if known
	Add    bool   // files are added to others: names count as they are, below dags or a folder in it
	Folder string // the folder in dags for the files, "team_a/sql"; "" for dags itself

	// Known reports whether the folder, an element, lies in dags already: then an archive
	// with this folder holds dags, and the folder is no wrapper. nil for no knowledge.
	Known func(folder string) bool
}

// support are folders of projects whose Python files are no DAGs, though some look
// alike. Folders with a dot in front are as well.
var support = []string{"test", "tests", "docs", "plugins", "include"}

// projectFiles stand beside a dags folder, and hardly ever inside.
var projectFiles = []string{
	"dockerfile", "requirements.txt", "packages.txt", "pyproject.toml", "setup.py", "setup.cfg", "airflow_settings.yaml", "airflow.cfg",
	"docker-compose.yml", "docker-compose.yaml", "docker-compose.override.yml", "makefile", ".gitlab-ci.yml", "chart.yaml", "poetry.lock", "uv.lock",
}

// rootFinder finds the root among the entries of an archive.
type rootFinder struct {
	*scan
	Search
	dagFiles []string        // what Airflow would load, but for files of support
	named    map[string]bool // the outermost folders called dags, in any case
	wrapper  string          // the one folder around everything; "" for none
	counts   map[string]int  // of dagFiles by folder above; filled by count
}

// findRoot returns the root of the archive.
func (s *scan) findRoot() (slipway.Root, error) {
	f := rootFinder{scan: s, Search: s.search, named: map[string]bool{}, wrapper: s.tree.wrapper()}
	if f.Root != "" {
		return f.given()
	}
	r, err := f.found()
	if err == nil && f.Folder != "" && !r.Asks {
		r, err = f.intoFolder(r)
	}
	return r, err
}

// found returns the root by its name, or else by the files.
func (f *rootFinder) found() (slipway.Root, error) {
	for _, dir := range []string{"", f.wrapper} {
		if r, found, err := f.plain(join(dir, dagsFolder)); found || err != nil {
			return r, err
		}
	}
	if err := f.look(); err != nil {
		return slipway.Root{}, err
	}
	if r, found := f.byName(); found {
		return r, nil
	}
	return f.byContent(), nil
}

// intoFolder goes on from the root r to the folder that the files go to, where the
// archive has this folder in r, as "dags/team_a" for team_a: else the files would
// go to team_a/team_a. Other files in r need a choice.
func (f *rootFinder) intoFolder(r slipway.Root) (slipway.Root, error) {
	if r.Path == f.Folder || strings.HasSuffix(r.Path, "/"+f.Folder) {
		return r, nil
	}
	dir, beside := f.packedFolder(r.Path)
	if dir == "" {
		return r, nil
	}
	if f.dagFiles == nil {
		if err := f.look(); err != nil {
			return r, err
		}
	}
	switch {
	case beside && (f.Add || f.count(dir) == 0):
		return r, nil
	case beside:
		all := []slipway.RootChoice{{Path: r.Path, DAGs: f.count(r.Path)}, {Path: dir, DAGs: f.count(dir)}}
		return slipway.Root{Path: dir, Asks: true, Others: all}, nil
	}
	next := slipway.Root{Path: dir, Why: "It is the folder that the files go to."}
	if r.Others != nil {
		next = f.offered(next)
	}
	return next, nil
}

// packedFolder returns the folder of the archive, in root, with the path of the
// files' folder; "" for none. beside reports whether root holds other files.
func (f *rootFinder) packedFolder(root string) (dir string, beside bool) {
	for above := root; ; above = parent(above) {
		dir = join(above, f.Folder)
		inside := 0
		beside = false
		for _, e := range f.entries {
			if _, ok := below(root, e.Name); !ok {
				continue
			}
			if _, ok := below(dir, e.Name); ok {
				inside++
			} else {
				beside = true
			}
		}
		if _, ok := below(root, dir); ok && inside > 0 {
			return dir, beside
		}
		if above == "" {
			return "", false
		}
	}
}

// plainRoot returns the root if the names tell without the contents: dags at the top or
// in the one folder around everything; else "".
func (s *scan) plainRoot() string {
	if s.search.Root != "" {
		return ""
	}
	if s.dags {
		return dagsFolder
	}
	dags := join(s.tree.wrapper(), dagsFolder)
	if n := s.tree.nodes[fold(dags)]; n.kind == folder && n.name == dags {
		return dags
	}
	return ""
}

// given returns the root named by the sender.
func (f rootFinder) given() (slipway.Root, error) {
	name := strings.Trim(path.Clean("/"+f.Root), "/")
	if name == "" {
		return slipway.Root{Why: "The whole archive was asked for."}, nil
	}
	for _, dir := range []string{"", f.wrapper} {
		if r, found, err := f.plain(join(dir, name)); found || err != nil {
			r.Why = fmt.Sprintf("The folder %s was asked for.", Quote(name))
			return r, err
		}
	}
	return slipway.Root{}, slipway.Errorf(slipway.Invalid, "There is no folder %s in the archive. Name one of its folders by the field dagsPath, or leave the field out.", Quote(name))
}

// plain returns the root name, a folder or a symlink to one.
func (f rootFinder) plain(name string) (r slipway.Root, found bool, err error) {
	n, ok := f.tree.nodes[fold(name)]
	switch {
	case name == dagsFolder && f.dags: // also beside a folder of another case
		return slipway.Root{Path: name}, true, nil
	case !ok || n.name != name || n.kind == file:
		return r, false, nil
	case n.kind == folder:
		return slipway.Root{Path: name}, true, nil
	}
	target, ok := f.tree.folderBehind(n)
	if !ok {
		return r, false, slipway.Errorf(slipway.Invalid, "%s is a symlink to %s, and the archive has no such folder. Pack the folder itself.", Quote(name), Quote(n.target))
	}
	return slipway.Root{Path: target, Why: fmt.Sprintf("%s is a symlink to it.", name)}, true, nil
}

// look finds DAG files, and folders called dags.
func (f *rootFinder) look() error {
	rules := f.patternsTo(f.wrapper)
	for _, e := range f.entries {
		ignored, err := rules.match(e.Name)
		if err != nil {
			return err
		}
		if ignored != "" || f.inSupport(e.Name) {
			continue
		}
		if f.isDAG[e.Name] {
			f.dagFiles = append(f.dagFiles, e.Name)
		}
		if dir, ok := f.namedDags(e); ok {
			f.named[dir] = true
		}
	}
	return nil
}

// namedDags returns the outermost folder above e called dags, in any case, or the
// folder behind e, a symlink of this name.
func (f *rootFinder) namedDags(e Entry) (dir string, ok bool) {
	for at, rest := 0, e.Name; ; {
		el, more, deeper := strings.Cut(rest, "/")
		if !deeper {
			break
		}
		at += len(el)
		if strings.EqualFold(el, dagsFolder) {
			return e.Name[:at], true
		}
		at, rest = at+1, more
	}
	if e.Link == "" || !strings.EqualFold(path.Base(e.Name), dagsFolder) {
		return "", false
	}
	return f.tree.folderBehind(f.tree.nodes[fold(e.Name)])
}

// inSupport reports whether name lies in a folder without DAGs.
func (f *rootFinder) inSupport(name string) bool {
	if rest, ok := below(f.wrapper, name); ok {
		name = rest
	}
	for el := range strings.SplitSeq(parent(name), "/") {
		if strings.HasPrefix(el, ".") || slices.Contains(support, strings.ToLower(el)) {
			return true
		}
	}
	return false
}

// byName returns the root by its name. DAG files elsewhere, or a second such folder,
// need a choice.
func (f *rootFinder) byName() (r slipway.Root, found bool) {
	var best []string
	for dir := range f.named {
		if f.count(dir) > 0 || len(f.dagFiles) == 0 {
			best = append(best, dir)
		}
	}
	if len(best) == 0 || len(f.dagFiles) == 0 && len(best) > 1 {
		return r, false
	}
	slices.SortFunc(best, func(a, b string) int { return cmp.Or(f.count(b)-f.count(a), cmp.Compare(a, b)) })
	if len(best) == 1 && f.count(best[0]) == len(f.dagFiles) {
		return f.offered(slipway.Root{Path: best[0], Why: "It is the only dags folder in the archive."}), true
	}
	if f.allKnown() {
		return f.offered(slipway.Root{Why: "Its folders lie in dags already."}), true
	}
	return f.offered(slipway.Root{Path: best[0], Asks: true}), true
}

// byContent returns the root where no folder is called dags.
func (f *rootFinder) byContent() slipway.Root {
	common := commonFolder(f.dagFiles)
	switch {
	case len(f.dagFiles) == 0 || common == "":
		return slipway.Root{Why: f.wholeWhy()}
	case f.wrapper != "" && f.Folder != "" && f.wrapper == path.Base(f.Folder):
		return f.offered(slipway.Root{Path: f.wrapper, Why: "It has the name of the folder that it goes to."})
	case f.Add:
		return f.offered(slipway.Root{Why: "The names of added files count as they are."})
	case f.allKnown():
		return f.offered(slipway.Root{Why: "Its folders lie in dags already."})
	case common != f.wrapper && f.isProject():
		return f.offered(slipway.Root{Path: common, Why: "It is the only folder with DAG files, beside the rest of a project."})
	case f.wrapper != "":
		return f.offered(slipway.Root{Path: f.wrapper, Why: "Everything in the archive lies in it."})
	}
	return f.offered(slipway.Root{Path: common, Asks: true})
}

// wholeWhy says why the whole archive is taken where no folder has all DAG files; ""
// where files are added, whose names count as they are.
func (f *rootFinder) wholeWhy() string {
	switch {
	case f.Add:
		return ""
	case len(f.dagFiles) == 0:
		return "No file in it looks like a DAG file."
	case slices.ContainsFunc(f.dagFiles, func(name string) bool { return parent(name) == "" }):
		return "A DAG file lies at its top."
	}
	return "DAG files lie in several of its folders."
}

// isProject reports whether the archive has files that stand beside a dags folder.
func (f *rootFinder) isProject() bool {
	for _, e := range f.entries {
		if parent(e.Name) == f.wrapper && slices.Contains(projectFiles, strings.ToLower(path.Base(e.Name))) {
			return true
		}
	}
	return false
}

// allKnown reports whether the folders with DAG files lie in dags already.
func (f *rootFinder) allKnown() bool {
	if f.Known == nil {
		return false
	}
	return !slices.ContainsFunc(f.dagFiles, func(name string) bool {
		top, _, deeper := strings.Cut(name, "/")
		return deeper && !f.Known(top)
	})
}

// count returns the number of DAG files in dir.
func (f *rootFinder) count(dir string) int {
	if f.counts == nil {
		f.counts = map[string]int{"": len(f.dagFiles)}
		for _, name := range f.dagFiles {
			for above := parent(name); above != ""; above = parent(above) {
				f.counts[above]++
			}
		}
	}
	return f.counts[dir]
}

// offered returns r with the folders to choose from: its own, and of others those
// with the most DAG files.
func (f *rootFinder) offered(r slipway.Root) slipway.Root {
	dirs := []string{r.Path, "", f.wrapper, commonFolder(f.dagFiles)}
	for _, some := range []map[string]bool{f.named, f.dagFolders()} {
		dirs = append(dirs, slices.SortedFunc(maps.Keys(some), func(a, b string) int {
			return cmp.Or(f.count(b)-f.count(a), cmp.Compare(a, b))
		})...)
	}
	for _, dir := range dirs {
		o := slipway.RootChoice{Path: dir, DAGs: f.count(dir)}
		if len(r.Others) < maxRoots && !slices.Contains(r.Others, o) {
			r.Others = append(r.Others, o)
		}
	}
	slices.SortFunc(r.Others, func(a, b slipway.RootChoice) int { return cmp.Compare(a.Path, b.Path) })
	if len(r.Others) == 1 {
		r.Others = nil
	}
	return r
}

// dagFolders returns the folders that hold DAG files themselves.
func (f *rootFinder) dagFolders() map[string]bool {
	all := map[string]bool{}
	for _, name := range f.dagFiles {
		all[parent(name)] = true
	}
	return all
}

// commonFolder returns the deepest folder with all names; "" for none.
func commonFolder(names []string) string {
	if len(names) == 0 {
		return ""
	}
	dir := parent(names[0])
	for _, name := range names[1:] {
		for {
			if _, ok := below(dir, name); ok {
				break
			}
			dir = parent(dir)
		}
	}
	return dir
}

// wrapper returns the one folder around everything; "" for none.
func (t *tree) wrapper() string {
	if len(t.tops) != 1 || t.nodes[fold(t.tops[0])].kind != folder {
		return ""
	}
	return t.tops[0]
}

// folderBehind returns the folder of the archive that the symlink n leads to.
func (t *tree) folderBehind(n node) (string, bool) {
	for range MaxHops {
		if n.kind != link {
			return n.name, n.kind == folder && n.name != ""
		}
		target := path.Join(parent(n.name), n.target)
		if path.IsAbs(n.target) || target == ".." || strings.HasPrefix(target, "../") {
			return "", false
		}
		next, ok := t.nodes[fold(target)]
		if !ok || next.name != target {
			return "", false
		}
		n = next
	}
	return "", false
}

// outside returns the part of name that lies beside root, with a slash behind a folder:
// "repo/README.md", "repo/plugins/".
func outside(root, name string) string {
	end := 0
	for {
		el, _, deeper := strings.Cut(name[end:], "/")
		end += len(el)
		if !deeper {
			return name
		}
		if _, above := below(name[:end], root); !above {
			return name[:end+1]
		}
		end++
	}
}

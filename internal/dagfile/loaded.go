package dagfile

import (
	"context"
	"path"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// Ignores returns the files with patterns among files, links resolved: their
// texts are needed by Loaded.
func Ignores(files []slipway.File) []slipway.File {
	var all []slipway.File
	var t *tree
	for _, f := range files {
		if path.Base(f.Path) != IgnoreName {
			continue
		}
		if f.Link != "" {
			if t == nil {
				t = newTree(files)
			}
			target, ok := t.target(f)
			if !ok {
				continue
			}
			f = target
		}
		all = append(all, f)
	}
	return all
}

// Loaded returns the sorted paths of the files in a version that Airflow would
// load: DAG files. airflow is the major version, 0 for unknown, which counts as 3.
// files are sorted by path; texts has the contents of Ignores by SHA-256. The error
// is an UnjudgedError for patterns that cost too much.
func Loaded(ctx context.Context, files []slipway.File, airflow int, texts map[string]string) ([]string, error) {
	special := func(f slipway.File) bool { return f.Link != "" || path.Base(f.Path) == IgnoreName }
	if slices.ContainsFunc(files, special) {
		w := walk{tree: newTree(files), ctx: ctx, airflow: airflow, texts: texts, seen: map[string]bool{}}
		w.folder("", "", nil)
		if w.check(); w.err != nil {
			return nil, w.err
		}
		slices.Sort(w.loaded)
		return w.loaded, nil
	}
	var all []string
	for _, f := range files {
		if loads(f, airflow) {
			all = append(all, f.Path)
		}
	}
	return all, nil
}

// Any reports whether Airflow might load one of files, whichever .airflowignore
// names.
func Any(files []slipway.File, airflow int) bool {
	return slices.ContainsFunc(files, func(f slipway.File) bool { return loads(f, airflow) || Older(f) && Tells(f.Path) })
}

// Why returns why a file that Airflow loaded at path is not loaded from files, "" for
// a file that is gone.
func Why(files []slipway.File, airflow int) func(path string) slipway.Stop {
	var t *tree
	return func(path string) slipway.Stop {
		if t == nil {
			t = newTree(files)
		}
		at, ok := t.real(path)
		f, isFile := t.files[at]
		switch _, isLink := t.files[path]; {
		case !ok && isLink:
			return slipway.StopDangling
		case !ok, !isFile:
			return ""
		case f.LFS:
			return slipway.StopPointer
		case f.Size == 0:
			return slipway.StopEmpty
		case loads(f, airflow):
			return slipway.StopIgnored
		}
		return slipway.StopPlain
	}
}

// loads reports whether the content of f is a DAG file's.
func loads(f slipway.File, airflow int) bool { return f.DAG || f.Asset && airflow != 2 }

// tree holds the files of a version by folder.
type tree struct {
	files   map[string]slipway.File
	folders map[string][]string // the names in each folder, sorted
	steps   int                 // elements of names that real looked at
}

func newTree(files []slipway.File) *tree {
	t := &tree{files: make(map[string]slipway.File, len(files)), folders: map[string][]string{"": nil}}
	for _, f := range files {
		t.files[f.Path] = f
		t.put(f.Path)
	}
	return t
}

// put adds name, and the folders above, to the lists of names.
func (t *tree) put(name string) {
	dir, base := split(name)
	if _, known := t.folders[dir]; !known {
		t.folders[dir] = nil
		t.put(dir)
	}
	t.folders[dir] = append(t.folders[dir], base)
}

func split(name string) (dir, base string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}

// below returns the path of name in the folder dir, "" for the root.
func below(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// Limits of Linux on the way to one file.
const (
	maxHops = 40   // symlinks
	maxPath = 4096 // bytes of the path; Airflow's walk does not see a longer one
)

// real returns the place that name leads to over symlinks; false for none.
func (t *tree) real(name string) (string, bool) {
	at, rest := "", strings.Split(name, "/")
	for hops := 0; len(rest) > 0; {
		el := rest[0]
		rest = rest[1:]
		t.steps++
		switch el {
		case "", ".":
			continue
		case "..":
			at, _ = split(at)
			continue
		}
		next := below(at, el)
		f, isFile := t.files[next]
		switch _, isFolder := t.folders[next]; {
		case isFolder, isFile && f.Link == "":
			at = next
		case !isFile, strings.HasPrefix(f.Link, "/"):
			return "", false
		default:
			if hops++; hops > maxHops {
				return "", false
			}
			rest = append(strings.Split(f.Link, "/"), rest...)
		}
	}
	return at, true
}

// target returns the file that the symlink f leads to.
func (t *tree) target(f slipway.File) (slipway.File, bool) {
	name, ok := t.real(f.Path)
	if !ok {
		return f, false
	}
	g, ok := t.files[name]
	return g, ok
}

// walk visits folders as Airflow's find_path_from_directory: from the top, over
// symlinks, each folder once.
type walk struct {
	*tree
	machine
	ctx     context.Context
	airflow int
	texts   map[string]string
	seen    map[string]bool // real paths of folders
	count   int             // rules
	insts   int             // instructions of all rules
	loaded  []string
	err     error // why the walk ended early
}

// folder visits the folder real, reached as at, with the rules of the folders above.
func (w *walk) folder(at, real string, above []rule) {
	names := w.folders[real]
	all := w.own(at, real, above)
	if w.check(); w.err != nil {
		return
	}
	var folders [][2]string                     // name and real path
	for _, links := range []bool{false, true} { // the folder itself goes before a link to it
		for _, name := range names {
			if w.work += len(at); len(at)+1+len(name) > maxPath {
				continue
			}
			if w.check(); w.err != nil {
				return
			}
			if f, isFile := w.files[below(real, name)]; isFile && (f.Link != "") == links {
				w.file(f, below(at, name), all)
			}
			to, ok := w.subfolder(below(real, name), links)
			if !ok || w.ignored(all, below(at, name), true) || w.seen[to] {
				continue
			}
			w.seen[to] = true
			folders = append(folders, [2]string{name, to})
		}
	}
	for _, f := range folders {
		w.folder(below(at, f[0]), f[1], all)
	}
}

// own returns the rules above with those of the folder's own .airflowignore.
func (w *walk) own(at, real string, above []rule) []rule {
	name, ok := w.real(below(real, IgnoreName))
	if !ok {
		return above
	}
	f, isFile := w.files[name]
	if !isFile {
		return above
	}
	return slices.Concat(above, w.rules(w.texts[f.SHA256], at))
}

// subfolder returns the real path of the folder or of the link to a folder name.
func (w *walk) subfolder(name string, links bool) (string, bool) {
	f, isFile := w.files[name]
	if isFile != links || links && f.Link == "" {
		return "", false
	}
	to, ok := w.real(name)
	if !ok {
		return "", false
	}
	_, ok = w.folders[to]
	return to, ok
}

// file adds the file or symlink f, reached as at, if Airflow would load it.
func (w *walk) file(f slipway.File, at string, all []rule) {
	if f.Link != "" {
		target, ok := w.target(f)
		if !ok || isPython(target.Path) && !isPython(at) {
			return
		}
		f = target
	}
	if loads(f, w.airflow) && path.Base(at) != IgnoreName && !w.ignored(all, at, false) {
		w.loaded = append(w.loaded, at)
	}
}

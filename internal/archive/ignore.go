package archive

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"slipway/internal/slipway"
)

const (
	ignoreName   = ".slipwayignore"
	maxIgnore    = 64 << 10 // bytes of one .slipwayignore
	maxIgnores   = 1 << 20  // bytes of all in one archive
	maxMatching  = 1 << 35  // bytes of patterns times bytes of names, some ten seconds
	maxOmissions = 1000     // names kept
)

// Omission is an omitted file, or an omitted folder with all contents.
type Omission struct {
	Name  string // in the archive; a folder's ends in a slash
	Why   string // the pattern's origin: "built in" or ".slipwayignore"
	Files int    // 1 for a file; how many files a folder holds
}

// omissions counts omitted files. Only the first names are kept, for the number
// of names has no bound.
type omissions struct {
	list  []Omission
	index map[string]int
	files int
}

func (o *omissions) add(name, why string) {
	o.files++
	if i, ok := o.index[name]; ok {
		o.list[i].Files++
		return
	}
	if len(o.list) == maxOmissions {
		return
	}
	if o.index == nil {
		o.index = map[string]int{}
	}
	o.index[name] = len(o.list)
	o.list = append(o.list, Omission{Name: name, Why: why, Files: 1})
}

func (o *omissions) sorted() []Omission {
	slices.SortFunc(o.list, func(a, b Omission) int { return cmp.Compare(a.Name, b.Name) })
	return o.list
}

// ignoredAlways returns the topmost part of name left out of every upload, with
// a slash behind a folder, and whether name has one.
func ignoredAlways(name string) (string, bool) {
	for start := 0; start < len(name); {
		el, _, more := strings.Cut(name[start:], "/")
		end := start + len(el)
		if isIgnored(el) && more {
			return name[:end+1], true
		}
		if isIgnored(el) {
			return name, true
		}
		start = end + 1
	}
	return "", false
}

// isIgnored reports whether the path element el is left out of every upload: caches,
// and what systems and editors leave behind. static/upload.js has the same list, to
// save the bytes.
func isIgnored(el string) bool {
	switch el {
	case ".git", "__pycache__", ".venv", "node_modules", ".ipynb_checkpoints", "__MACOSX", ignoreName:
		return true
	case ".DS_Store", "Icon\r", "Thumbs.db", "desktop.ini":
		return true
	}
	for _, start := range []string{"._", ".#"} { // of macOS; the lock of Emacs
		if strings.HasPrefix(el, start) {
			return true
		}
	}
	for _, end := range []string{".pyc", "~", ":Zone.Identifier"} { // the last by Windows, in WSL
		if strings.HasSuffix(el, end) {
			return true
		}
	}
	return isSwap(el) || len(el) > 2 && el[0] == '#' && el[len(el)-1] == '#'
}

// isSwap reports whether el is a swap file of Vim: ".a.py.swp", then .swo, .swn.
func isSwap(el string) bool {
	n := len(el)
	return n > 5 && el[0] == '.' && el[n-4:n-1] == ".sw" && 'a' <= el[n-1] && el[n-1] <= 'p'
}

// ignore matches names with the patterns of .slipwayignore files.
type ignore struct {
	patterns []gitignore.Pattern
	bytes    int               // of all patterns
	folders  map[string]string // the topmost ignored part of each folder asked for, or ""
	work     int
}

func newIgnore() *ignore { return &ignore{folders: map[string]string{}} }

// add takes the lines of the .slipwayignore in the folder dir. Later lines win.
func (g *ignore) add(dir string, text []byte) {
	var domain []string
	if dir != "" {
		domain = strings.Split(dir, "/")
	}
	lines := strings.TrimPrefix(string(text), "\ufeff")
	for line := range strings.Lines(lines) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.ReplaceAll(line, "[!", "[^") // git knows both, the library one
		g.patterns = append(g.patterns, gitignore.ParsePattern(line, domain))
		g.bytes += len(line) + 8 // the cost of trying even the shortest
	}
}

// match returns the topmost ignored part of the file name, with a slash behind a
// folder, or "". A file in an ignored folder stays ignored.
func (g *ignore) match(name string) (string, error) {
	if len(g.patterns) == 0 {
		return "", nil
	}
	top, err := g.matchFolder(parent(name))
	if top != "" || err != nil {
		return top, err
	}
	if ok, err := g.matches(name, false); !ok || err != nil {
		return "", err
	}
	return name, nil
}

func (g *ignore) matchFolder(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	if top, ok := g.folders[dir]; ok {
		return top, nil
	}
	top, err := g.matchFolder(parent(dir))
	if err != nil {
		return "", err
	}
	if top == "" {
		ok, err := g.matches(dir, true)
		if err != nil {
			return "", err
		}
		if ok {
			top = dir + "/"
		}
	}
	g.folders[dir] = top
	return top, nil
}

func (g *ignore) matches(name string, isDir bool) (bool, error) {
	if g.work += g.bytes * len(name); g.work > maxMatching {
		return false, slipway.Errorf(slipway.TooLarge, "The patterns of %s are too many for so many files: matching stopped at %s.", ignoreName, Quote(name))
	}
	return gitignore.NewMatcher(g.patterns).Match(strings.Split(name, "/"), isDir), nil
}

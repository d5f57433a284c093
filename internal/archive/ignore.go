package archive

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"slipway/internal/ignore"
	"slipway/internal/slipway"
)

const (
	ignoreName   = ".slipwayignore"
	maxIgnore    = 64 << 10 // bytes of one .slipwayignore
	maxIgnores   = 1 << 20  // bytes of all in one archive
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

// patterns are those of the .slipwayignore files that count.
type patterns struct{ *ignore.Rules }

// patternsTo returns the patterns of the .slipwayignore in each folder on the way to
// root, and in root: later ones win.
func (s *scan) patternsTo(root string) patterns {
	p := patterns{ignore.New(s.lim.matching())}
	for at := range len(root) + 1 {
		if at < len(root) && at > 0 && root[at] != '/' {
			continue
		}
		p.Add(root[:at], s.ignores[root[:at]])
	}
	return p
}

// match returns the topmost ignored part of the file name, with a slash behind a
// folder, or "".
func (p patterns) match(name string) (string, error) {
	top, err := p.Top(name)
	if errors.Is(err, ignore.ErrWork) {
		return "", slipway.Errorf(slipway.TooLarge, "The patterns of %s are too many for so many files: matching stopped at %s. Use fewer patterns, and those of whole folders first.", ignoreName, Quote(name))
	}
	return top, err
}

// patternText returns the patterns in the content of the .slipwayignore file name.
// Names of entries are composed, and so are patterns.
func patternText(name string, content []byte) (string, error) {
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return "", slipway.Errorf(slipway.Invalid, "The file %s is in UTF-16, as PowerShell writes with >. Save the file as UTF-8.", Quote(name))
	}
	return Compose(string(content)), nil
}

// Package ignore decides which files the patterns of ignore files leave out, in the
// syntax of .gitignore and with the answers of git.
package ignore

import (
	"errors"
	"strings"
)

// ErrWork ends matching at the limit of steps.
var ErrWork = errors.New("ignore: too many patterns for so many names")

// Rules are the patterns of ignore files, in the order of reading: later ones win.
type Rules struct {
	patterns []pattern
	steps    int               // left of the limit
	folders  map[string]string // the topmost ignored part of each folder asked for, or ""
}

// Limits of the folders that are kept: the names of others, which nobody deploys,
// have no bound.
const (
	keptFolders = 1 << 18
	keptName    = 1 << 10 // bytes
)

// New returns Rules without patterns. Matching may take this many steps in all: a step
// compares at most one byte of a name with one element of a pattern.
func New(steps int) *Rules {
	return &Rules{steps: steps, folders: map[string]string{}}
}

// Add takes the patterns of the ignore file with this text in the folder dir, "" for
// the root. The folders above dir come first.
func (r *Rules) Add(dir, text string) {
	if dir != "" {
		dir += "/"
	}
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		if p, ok := parse(line); ok {
			p.base = dir
			r.patterns = append(r.patterns, p)
		}
	}
}

// Top returns the topmost ignored part of the file name, with a slash behind a folder;
// "" for a file that is not ignored. A file in an ignored folder is ignored, whatever
// later patterns say. The error is ErrWork.
func (r *Rules) Top(name string) (string, error) {
	if len(r.patterns) == 0 {
		return "", nil
	}
	dir := parent(name)
	near := dir
	if len(near) > keptName {
		near = parent(near[:keptName])
	}
	top, err := r.topFolder(near)
	for end := len(near) + 1; top == "" && err == nil && end <= len(dir); end++ {
		if end == len(dir) || dir[end] == '/' {
			top, err = r.folder(dir[:end])
		}
	}
	if top != "" || err != nil {
		return top, err
	}
	if ignored, err := r.ignored(name, false); !ignored || err != nil {
		return "", err
	}
	return name, nil
}

func (r *Rules) topFolder(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	if top, ok := r.folders[dir]; ok {
		return top, nil
	}
	top, err := r.topFolder(parent(dir))
	if top == "" && err == nil {
		top, err = r.folder(dir)
	}
	if err == nil && len(r.folders) < keptFolders {
		r.folders[dir] = top
	}
	return top, err
}

// folder returns dir with a slash behind where the patterns ignore dir itself, "" else.
func (r *Rules) folder(dir string) (string, error) {
	ignored, err := r.ignored(dir, true)
	if !ignored || err != nil {
		return "", err
	}
	return dir + "/", nil
}

// ignored reports what the last pattern that matches says of name alone.
func (r *Rules) ignored(name string, folder bool) (bool, error) {
	for i := len(r.patterns) - 1; i >= 0; i-- {
		p := r.patterns[i]
		matched := p.matches(name, folder, &r.steps)
		if r.steps < 0 {
			return false, ErrWork
		}
		if matched {
			return !p.keeps, nil
		}
	}
	return false, nil
}

// parent returns the folder of name, "" for the root.
func parent(name string) string {
	return name[:max(0, strings.LastIndexByte(name, '/'))]
}

package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"slipway"
)

// CheckManifest returns what is wrong with m: only local, clean paths, sorted,
// each once, none below a file or a symlink; contents with a SHA-256, a size
// and a place; symlinks that stay inside the version.
func CheckManifest(m slipway.Manifest) error {
	if _, ok := m.Version.Time(); !ok {
		return fmt.Errorf("%q is no bundle version", m.Version)
	}
	folders := map[string]bool{}
	links := linkTable{}
	for i, f := range m.Files {
		if i > 0 && f.Path <= m.Files[i-1].Path {
			return fmt.Errorf("the path %q is out of order", f.Path)
		}
		if err := checkManifestFile(f); err != nil {
			return fmt.Errorf("file %q: %w", f.Path, err)
		}
		for dir := path.Dir(f.Path); dir != "." && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
		if f.Link != "" {
			links[f.Path] = f.Link
		}
	}
	for _, f := range m.Files {
		if folders[f.Path] {
			return fmt.Errorf("%q is a file and a folder", f.Path)
		}
		if f.Link != "" && !links.inside(f) {
			return fmt.Errorf("the symlink %q leaves the version", f.Path)
		}
	}
	return nil
}

func checkManifestFile(f slipway.File) error {
	switch {
	case f.Path == "." || !fs.ValidPath(f.Path) || !plain(f.Path):
		return errors.New("the path is not local and clean")
	case f.Link != "" && (f.SHA256 != "" || f.Size != 0 || f.Exec || f.DAG || f.Place != slipway.Place{}):
		return errors.New("it is a symlink and has contents")
	case f.Link != "" && !plain(f.Link):
		return errors.New("the symlink's target is not plain text")
	case f.Link != "":
		return nil
	case !isSHA256(f.SHA256) || !isSHA256(f.Pack):
		return errors.New("a SHA-256 is missing or malformed")
	case f.Size < 0 || f.Offset < 0 || f.Length <= 0 || f.Offset+f.Length < 0:
		return errors.New("a size is out of range")
	}
	return nil
}

// plain reports whether s is text that can be shown and written as it stands.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return checkText("name", s) == nil
		}
	}
	return true // as nearly all names
}

// linkTable holds the target of each symlink by its path.
type linkTable map[string]string

// inside reports whether the symlink f resolves inside the version, through at
// most as many other symlinks as Linux follows.
func (l linkTable) inside(f slipway.File) bool {
	at := strings.Split(path.Dir(f.Path), "/")
	if at[0] == "." {
		at = nil
	}
	if strings.HasPrefix(f.Link, "/") {
		return false
	}
	rest := strings.Split(f.Link, "/")
	for hops := 1; len(rest) > 0; {
		next := rest[0]
		rest = rest[1:]
		switch {
		case next == "" || next == ".":
			continue
		case next == ".." && len(at) == 0:
			return false
		case next == "..":
			at = at[:len(at)-1]
			continue
		}
		to, isLink := l[path.Join(path.Join(at...), next)]
		switch {
		case !isLink:
			at = append(at, next)
		case strings.HasPrefix(to, "/") || hops == maxHops:
			return false
		default:
			hops++
			rest = append(strings.Split(to, "/"), rest...)
		}
	}
	return true
}

package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

// CheckManifest returns the first fault of m. Paths must be local, clean,
// sorted and unique, and none may lie below a file or a symlink. Contents
// need a SHA-256, a size and a place. Symlinks must stay inside the version,
// as for archive.CheckLinks. The limits of a version hold.
func CheckManifest(m slipway.Manifest) error {
	var c Checker
	for _, f := range m.Files {
		if err := c.Add(f); err != nil {
			return err
		}
	}
	return c.End(m.Version)
}

// Checker is CheckManifest for a list that is read file by file.
type Checker struct {
	last   string         // path of the last file
	begins []string       // paths of files with which last begins, the shortest first
	size   int64          // of all files
	places int            // files and folders
	links  []slipway.File // the symlinks
}

// Add checks the next file of the list.
func (c *Checker) Add(f slipway.File) error {
	if c.places > 0 && f.Path <= c.last {
		return fmt.Errorf("the path %q is out of order", f.Path)
	}
	if err := checkManifestFile(f); err != nil {
		return fmt.Errorf("file %q: %w", f.Path, err)
	}
	if c.size += f.Size; c.size > archive.MaxUnpacked { // also no overflow of int64
		return fmt.Errorf("the files have more than %s together", archive.SizeText(archive.MaxUnpacked))
	}
	dirs := NewFolders(c.last, f.Path)
	if c.places += 1 + len(dirs); c.places > archive.MaxFiles {
		return archive.ErrTooManyFiles
	}
	for len(c.begins) > 0 && !strings.HasPrefix(f.Path, c.begins[len(c.begins)-1]) {
		c.begins = c.begins[:len(c.begins)-1]
	}
	for _, dir := range dirs {
		if slices.Contains(c.begins, dir) {
			return fmt.Errorf("%q is a file and a folder", dir)
		}
	}
	if c.last, c.begins = f.Path, append(c.begins, f.Path); f.Link != "" {
		c.links = append(c.links, slipway.File{Path: f.Path, Link: f.Link})
	}
	return nil
}

// End checks the version of the list, and the symlinks.
func (c *Checker) End(v slipway.Version) error {
	if _, ok := v.Time(); !ok {
		return fmt.Errorf("%q is no bundle version", v)
	}
	return archive.CheckLinks(c.links)
}

// Links returns the symlinks among the files.
func (c *Checker) Links() []slipway.File { return c.links }

// NewFolders returns the folders above path, the outermost first, without the
// folders above last, the path before in the order of paths. Over a whole list, NewFolders
// returns each folder once.
func NewFolders(last, path string) (dirs []string) {
	common := 0
	for common < min(len(last), len(path)) && last[common] == path[common] {
		common++
	}
	for i := common; i < len(path); i++ {
		if path[i] == '/' {
			dirs = append(dirs, path[:i])
		}
	}
	return dirs
}

func checkManifestFile(f slipway.File) error {
	switch {
	case len(f.Path) > archive.MaxPath || len(f.Link) > archive.MaxPath:
		return fmt.Errorf("the path or the target is longer than %d bytes", archive.MaxPath)
	case f.Path == "." || !fs.ValidPath(f.Path) || !plain(f.Path):
		return errors.New("the path is not local and clean")
	case f.Link != "" && (f.SHA256 != "" || f.Size != 0 || f.Exec || f.DAG || f.Asset || f.LFS || f.Bidi || f.Marks != 0 || f.Place != slipway.Place{}):
		return errors.New("it is a symlink and has contents")
	case f.Link != "" && !plain(f.Link):
		return errors.New("the symlink's target is not plain text")
	case f.Link != "":
		return nil
	case !isSHA256(f.SHA256) || !isSHA256(f.Pack):
		return errors.New("a SHA-256 is missing or malformed")
	case f.Size < 0 || f.Size > archive.MaxUnpacked || f.Offset < 0 || f.Length <= 0 || f.Offset+f.Length < 0:
		return errors.New("a size is out of range")
	}
	return nil
}

// plain reports whether s can be shown and written unquoted.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return archive.CheckText("name", s) == nil
		}
	}
	return true // as nearly all names
}

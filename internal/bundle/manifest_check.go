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
	if _, ok := m.Version.Time(); !ok {
		return fmt.Errorf("%q is no bundle version", m.Version)
	}
	var size int64
	places, links := 0, false
	for i, f := range m.Files {
		if i > 0 && f.Path <= m.Files[i-1].Path {
			return fmt.Errorf("the path %q is out of order", f.Path)
		}
		if err := checkManifestFile(f); err != nil {
			return fmt.Errorf("file %q: %w", f.Path, err)
		}
		if size += f.Size; size > archive.MaxUnpacked { // also no overflow of int64
			return fmt.Errorf("the files have more than %s together", archive.SizeText(archive.MaxUnpacked))
		}
		if places += 1 + len(firstFolders(m.Files, i)); places > archive.MaxFiles {
			return archive.ErrTooManyFiles
		}
		links = links || f.Link != ""
	}
	for i := range m.Files {
		for _, dir := range firstFolders(m.Files, i) {
			if _, ok := slices.BinarySearchFunc(m.Files, dir, byPath); ok {
				return fmt.Errorf("%q is a file and a folder", dir)
			}
		}
	}
	if !links {
		return nil
	}
	return archive.CheckLinks(m.Files)
}

// firstFolders returns the folders of the i-th of the sorted files, without
// the folders of the file before.
func firstFolders(files []slipway.File, i int) (dirs []string) {
	name, common := files[i].Path, 0
	if i > 0 {
		last := files[i-1].Path
		for common < min(len(last), len(name)) && last[common] == name[common] {
			common++
		}
	}
	for j := common; j < len(name); j++ {
		if name[j] == '/' {
			dirs = append(dirs, name[:j])
		}
	}
	return dirs
}

func byPath(f slipway.File, path string) int { return strings.Compare(f.Path, path) }

func checkManifestFile(f slipway.File) error {
	switch {
	case len(f.Path) > archive.MaxPath || len(f.Link) > archive.MaxPath:
		return fmt.Errorf("the path or the target is longer than %d bytes", archive.MaxPath)
	case f.Path == "." || !fs.ValidPath(f.Path) || !plain(f.Path):
		return errors.New("the path is not local and clean")
	case f.Link != "" && (f.SHA256 != "" || f.Size != 0 || f.Exec || f.DAG || f.Asset || f.LFS || f.Bidi || f.Place != slipway.Place{}):
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

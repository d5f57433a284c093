package mount

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// leftovers are temporary files and folders of a mount, left by a crash.
type leftovers struct {
	layout
	paths []string // not removed yet, after an error
}

// clean removes leftovers as far as possible.
func (l *leftovers) clean() error {
	for _, dir := range []string{l.dir, l.versions()} {
		left, err := durable.Leftovers(dir)
		if err != nil {
			return err
		}
		for _, path := range left {
			if l.mayBeWritten(path) {
				continue
			}
			if durable.RemoveTree(path) != nil && !strings.HasPrefix(filepath.Base(path), removedPrefix) {
				l.paths = append(l.paths, path) // Prune finds renamed versions itself
			}
		}
	}
	return nil
}

// writesEnd is the age up to which a temporary file in the mount may belong to a
// writer at work, of image.env for example.
const writesEnd = time.Hour

// mayBeWritten reports whether another program may still be writing the file at
// path. Versions and links are written under the lock.
func (l *leftovers) mayBeWritten(path string) bool {
	info, err := os.Lstat(path)
	return filepath.Dir(path) == l.dir && err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) < writesEnd
}

// retry removes the leftovers on which Open failed.
func (l *leftovers) retry() (errs error) {
	l.paths = slices.DeleteFunc(l.paths, func(path string) bool {
		err := durable.RemoveTree(path)
		errs = errors.Join(errs, err)
		return err == nil
	})
	return errs
}

// renameUnneeded renames v to the name of a leftover, unless a mark is newer than
// before.
func renameUnneeded(m marks, v slipway.Version, before, now time.Time) error {
	needed, err := m.neededAt(v, now)
	if err != nil || needed.After(before) {
		return err
	}
	if err := os.Rename(m.versionPath(v), m.removedPath(v)); err != nil {
		return err
	}
	_ = os.Remove(m.markPath(v)) // a remaining mark does no harm
	return durable.RemoveFile(m.recordPath(v))
}

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

// leftovers are the temporary files and folders of a mount that a crash left.
type leftovers struct {
	layout
	paths []string // those that could not be removed
}

// clean removes leftovers, as far as that is possible.
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
			if durable.RemoveTree(path) != nil && !strings.HasPrefix(filepath.Base(path), quarantinePrefix) {
				l.paths = append(l.paths, path) // what was set aside, Prune finds
			}
		}
	}
	return nil
}

// writesEnd is how long a file of somebody else is left alone that is being
// written in the mount's folder, such as image.env.
const writesEnd = time.Hour

// mayBeWritten reports whether the leftover at path may be a file that somebody
// else is about to give its name. Versions and links are written under the lock.
func (l *leftovers) mayBeWritten(path string) bool {
	info, err := os.Lstat(path)
	return filepath.Dir(path) == l.dir && err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) < writesEnd
}

// retry tries again to remove what Open could not.
func (l *leftovers) retry() (errs error) {
	l.paths = slices.DeleteFunc(l.paths, func(path string) bool {
		err := durable.RemoveTree(path)
		errs = errors.Join(errs, err)
		return err == nil
	})
	return errs
}

// quarantine gives v the name of a leftover unless it was needed after before.
func quarantine(m marks, v slipway.Version, before, now time.Time) error {
	needed, err := m.neededAt(v, now)
	if err != nil || needed.After(before) {
		return err
	}
	if err := os.Rename(m.versionPath(v), m.quarantinePath(v)); err != nil {
		return err
	}
	_ = os.Remove(m.markPath(v)) // a mark that stays harms nobody
	return durable.RemoveFile(m.recordPath(v))
}

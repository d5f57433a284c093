package mount

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// MountedVersion is a version on disk.
type MountedVersion struct {
	Version    slipway.Version
	Current    bool
	MountedAt  time.Time // time of the files, in whole seconds
	ReplacedAt time.Time // end of the time as current; zero for the current version
}

// currentLink is the link current, through which Airflow reads DAGs.
type currentLink struct{ layout }

// Current returns the version to which current points; image is true if current
// points to the image. Both are zero before the first mount, and where somebody
// else has put a link to elsewhere. A file or a folder of the name current is an
// error: it belongs to somebody else.
func (c currentLink) Current() (v slipway.Version, image bool, err error) {
	to, err := c.target()
	if err != nil || to == imageName {
		return "", err == nil, err
	}
	name, below := strings.CutPrefix(to, versionsName+"/")
	if v, ok := slipway.VersionOfDir(name); below && ok {
		return v, false, nil
	}
	return "", false, nil
}

// target returns the text of the link current, "" without a link.
func (c currentLink) target() (string, error) {
	path := filepath.Join(c.dir, currentName)
	to, err := os.Readlink(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, unix.EINVAL):
		return "", slipway.Errorf(slipway.Conflict, "%s is a file or a folder, not the link that Slipway makes there. It is not deleted: move it away.", path)
	}
	return to, err
}

// foreign reports whether current is a link to a place unknown to Slipway.
func (c currentLink) foreign() (bool, error) {
	to, err := c.target()
	if err != nil || to == "" {
		return false, err
	}
	v, image, err := c.Current()
	return v == "" && !image, err
}

// Intact reports, without reading files, whether v is current and on disk; with
// v "", whether the image is.
func (c currentLink) Intact(v slipway.Version) bool {
	to := imageName
	if v != "" {
		to = versionsName + "/" + v.Dir()
		if _, err := os.Lstat(c.recordPath(v)); err != nil {
			return false
		}
	}
	if got, err := os.Readlink(filepath.Join(c.dir, currentName)); err != nil || got != to {
		return false
	}
	_, err := os.Lstat(filepath.Join(c.dir, to, dagsName))
	return !errors.Is(err, fs.ErrNotExist)
}

// TurnedAt returns the time of the last change of current; zero if unknown.
func (c currentLink) TurnedAt() time.Time {
	info, err := os.Lstat(filepath.Join(c.dir, currentName))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// turn makes current point to the name to in the mount's folder.
func (c currentLink) turn(to string) error {
	old, _, err := c.Current()
	if err != nil {
		return err
	}
	if old != "" && to != versionsName+"/"+old.Dir() {
		// The record's time is the last moment of its version as current.
		if err := os.Chtimes(c.recordPath(old), time.Time{}, time.Now()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := putLink(filepath.Join(c.dir, currentName), filepath.Join(c.dir, ".tmp-current"), to); err != nil {
		return fmt.Errorf("turn %s to %s: %w", filepath.Join(c.dir, currentName), to, err)
	}
	return nil
}

// putLink makes path a symlink to to, in one step and durably, by way of temp.
func putLink(path, temp, to string) error {
	if old, err := os.Readlink(path); err == nil && old == to {
		return nil
	}
	if err := os.Symlink(to, temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return durable.SyncPath(filepath.Dir(path))
}

func (c currentLink) onDisk() ([]MountedVersion, error) {
	current, _, err := c.Current()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(c.versions())
	if err != nil {
		return nil, err
	}
	var list []MountedVersion
	for _, e := range entries {
		v, ok := slipway.VersionOfDir(e.Name())
		if !ok || !e.IsDir() {
			continue
		}
		on := MountedVersion{Version: v, Current: v == current}
		if err := c.times(&on); err != nil {
			return nil, err
		}
		list = append(list, on)
	}
	slices.SortFunc(list, func(a, b MountedVersion) int {
		switch {
		case a.Current:
			return -1
		case b.Current:
			return 1
		}
		return cmp.Or(b.ReplacedAt.Compare(a.ReplacedAt), cmp.Compare(b.Version, a.Version))
	})
	return list, nil
}

// times sets the times of a version. The folder has the time of its files; the
// record has the time of writing or of replacement.
func (c currentLink) times(on *MountedVersion) error {
	info, err := os.Stat(c.versionPath(on.Version))
	if err != nil {
		return err
	}
	on.MountedAt = info.ModTime()
	if on.Current {
		return nil
	}
	on.ReplacedAt = on.MountedAt
	info, err = os.Stat(c.recordPath(on.Version))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		on.ReplacedAt = info.ModTime()
	}
	return err
}

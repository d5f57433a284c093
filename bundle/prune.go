package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway"
)

// MountedVersion is a version on disk.
type MountedVersion struct {
	Version    slipway.Version
	Current    bool
	MountedAt  time.Time // when its files were written, to the second
	ReplacedAt time.Time // when it was current last; zero if it is now
}

// Versions returns the versions on disk: the current one, then the others, the
// last replaced first.
func (m *Mount) Versions() ([]MountedVersion, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.onDisk()
}

func (m *Mount) onDisk() ([]MountedVersion, error) {
	current, _, err := m.Current()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(m.versions())
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
		if err := m.times(&on); err != nil {
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

// times sets the times of a version: the folder has the time of its files, the
// record the time at which it was written or its version was replaced.
func (m *Mount) times(on *MountedVersion) error {
	info, err := os.Stat(m.versionPath(on.Version))
	if err != nil {
		return err
	}
	on.MountedAt = info.ModTime()
	if on.Current {
		return nil
	}
	on.ReplacedAt = on.MountedAt
	info, err = os.Stat(m.recordPath(on.Version))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		on.ReplacedAt = info.ModTime()
	}
	return err
}

// Prune removes versions that were replaced, and needed by Airflow's runs,
// longer than keepFor before now, but never the current one, nor the keepLast
// that were replaced last. Mounts need not wait for it.
func (m *Mount) Prune(ctx context.Context, keepLast int, keepFor time.Duration, now time.Time) ([]slipway.Version, error) {
	gone, err := m.setAside(keepLast, keepFor, now)
	if err != nil {
		return nil, fmt.Errorf("prune: %w", err)
	}
	for i, v := range gone {
		if err := ctx.Err(); err != nil {
			return gone[:i], err
		}
		if err := removeTree(m.asidePath(v)); err != nil {
			return gone[:i], fmt.Errorf("prune %s: %w", v, err)
		}
	}
	return gone, nil
}

// setAside gives the versions to be removed names of leftovers, so that none
// is ever seen half removed, and returns them with those of an earlier try.
func (m *Mount) setAside(keepLast int, keepFor time.Duration, now time.Time) ([]slipway.Version, error) {
	before := now.Add(-keepFor)
	m.mu.Lock()
	defer m.mu.Unlock()
	on, err := m.onDisk()
	if err != nil {
		return nil, err
	}
	for _, v := range on {
		keepLast-- // below zero for those after the last to keep
		if v.Current {
			keepLast++
		}
		if v.Current || keepLast >= 0 || v.ReplacedAt.After(before) {
			continue
		}
		needed, err := m.neededAt(v.Version, now)
		if err != nil {
			return nil, err
		}
		if needed.After(before) {
			continue
		}
		if err := os.Rename(m.versionPath(v.Version), m.asidePath(v.Version)); err != nil {
			return nil, err
		}
		if err := dropFile(m.recordPath(v.Version), nil); err != nil {
			return nil, err
		}
		_ = os.Remove(m.markPath(v.Version)) // a mark that stays harms nobody
	}
	return m.aside()
}

const asidePrefix = ".tmp-gone-"

func (m *Mount) asidePath(v slipway.Version) string {
	return filepath.Join(m.versions(), asidePrefix+v.Dir())
}

func (m *Mount) aside() (list []slipway.Version, err error) {
	entries, err := os.ReadDir(m.versions())
	for _, e := range entries {
		name, _ := strings.CutPrefix(e.Name(), asidePrefix)
		if v, ok := slipway.VersionOfDir(name); ok && name != e.Name() {
			list = append(list, v)
		}
	}
	return list, err
}

// removeTree deletes path and all below it. Folders are made writable first:
// without that only root could empty them.
func removeTree(path string) error {
	err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o700)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(path)
}

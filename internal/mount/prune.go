package mount

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

	"slipway/internal/durable"
	"slipway/internal/slipway"
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
// that were replaced last. It returns those that are gone; what cannot be
// removed stays for the next time, and the error names it. Mounts need not wait
// for it.
func (m *Mount) Prune(ctx context.Context, keepLast int, keepFor time.Duration, now time.Time) (gone []slipway.Version, err error) {
	aside, err := m.quarantineOld(keepLast, keepFor, now)
	if err != nil {
		err = fmt.Errorf("prune: %w", err)
	}
	for _, v := range aside {
		if ctx.Err() != nil {
			return gone, errors.Join(err, ctx.Err())
		}
		if failed := durable.RemoveTree(m.quarantinePath(v)); failed != nil {
			err = errors.Join(err, fmt.Errorf("prune %s: %w", v, failed))
			continue
		}
		gone = append(gone, v)
	}
	return gone, err
}

// quarantineOld gives the versions to be removed names of leftovers, so that none
// is ever seen half removed, and returns them with those of an earlier try. It
// goes on after an error.
func (m *Mount) quarantineOld(keepLast int, keepFor time.Duration, now time.Time) ([]slipway.Version, error) {
	before := now.Add(-keepFor)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ensureFolders(); err != nil {
		return nil, err
	}
	on, err := m.onDisk()
	if err != nil {
		return nil, err
	}
	if strange, err := m.foreign(); err != nil || strange {
		return nil, err // it may lead to any of them
	}
	errs := m.removeLeft()
	for _, v := range on {
		keepLast-- // below zero for those after the last to keep
		if v.Current {
			keepLast++
		}
		if v.Current || keepLast >= 0 || v.ReplacedAt.After(before) {
			continue
		}
		errs = errors.Join(errs, m.quarantine(v.Version, before, now))
	}
	aside, err := m.quarantined()
	return aside, errors.Join(errs, err)
}

// quarantine gives v the name of a leftover unless it was needed after before.
func (m *Mount) quarantine(v slipway.Version, before, now time.Time) error {
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

// removeLeft tries again to remove what Open could not.
func (m *Mount) removeLeft() (errs error) {
	m.leftovers = slices.DeleteFunc(m.leftovers, func(path string) bool {
		err := durable.RemoveTree(path)
		errs = errors.Join(errs, err)
		return err == nil
	})
	return errs
}

const quarantinePrefix = ".tmp-gone-"

func (m *Mount) quarantinePath(v slipway.Version) string {
	return filepath.Join(m.versions(), quarantinePrefix+v.Dir())
}

func (m *Mount) quarantined() (list []slipway.Version, err error) {
	entries, err := os.ReadDir(m.versions())
	for _, e := range entries {
		name, _ := strings.CutPrefix(e.Name(), quarantinePrefix)
		if v, ok := slipway.VersionOfDir(name); ok && name != e.Name() {
			list = append(list, v)
		}
	}
	return list, err
}

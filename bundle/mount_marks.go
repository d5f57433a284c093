package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"slipway"
)

// makeInUse makes the folder in which Airflow marks the versions that its runs
// need, by touching a file of a version's name. Airflow may run as any user;
// how an administrator has set the folder stays.
func makeInUse(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o777|fs.ModeSticky) // as Mkdir obeys the umask
}

func (m *Mount) markPath(v slipway.Version) string {
	return filepath.Join(m.dir, inUseName, v.Dir())
}

// neededAt returns when version v was marked last. Whatever lies there is not
// opened: it is not ours.
func (m *Mount) neededAt(v slipway.Version) (time.Time, error) {
	info, err := os.Lstat(m.markPath(v))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// maxMarks is how many entries of the folder of marks are looked at.
const maxMarks = 1000

// Wanted returns the versions that were marked after since, but are not on disk:
// an Airflow that began to run here lately has runs that began before.
func (m *Mount) Wanted(since time.Time) ([]slipway.Version, error) {
	dir, err := os.Open(filepath.Join(m.dir, inUseName))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	marks, err := dir.ReadDir(maxMarks)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var list []slipway.Version
	for _, mark := range marks {
		v, ok := slipway.VersionOfDir(mark.Name())
		if !ok {
			continue
		}
		at, err := m.neededAt(v)
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(m.versionPath(v)); errors.Is(err, fs.ErrNotExist) && at.After(since) {
			list = append(list, v)
		}
	}
	return list, nil
}

// Add puts man's version on disk as Mount does, beside the one that is current.
func (m *Mount) Add(ctx context.Context, man slipway.Manifest, src Source) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx, man, src, nil); err != nil {
		return fmt.Errorf("add %s: %w", man.Version, err)
	}
	return nil
}

// Unmark forgets that v was marked.
func (m *Mount) Unmark(v slipway.Version) error { return dropFile(m.markPath(v), nil) }

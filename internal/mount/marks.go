package mount

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/durable"
	"slipway/internal/slipway"
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
	return openToAll(dir) // as Mkdir obeys the umask
}

// openToAll lets every user write to dir. Whoever may write beside it may have
// put a link in its place meanwhile, which is not followed.
func openToAll(dir string) error {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o777|fs.ModeSticky), f.Close())
}

func (m *Mount) markPath(v slipway.Version) string {
	return filepath.Join(m.dir, inUseName, v.Dir())
}

// clockSkew is how far ahead of ours the clock of whoever marks may be.
const clockSkew = time.Minute

// neededAt returns when version v was marked last. Whatever lies there is not
// opened: it is not ours. A time to come is none: it would keep v for ever.
func (m *Mount) neededAt(v slipway.Version, now time.Time) (time.Time, error) {
	info, err := os.Lstat(m.markPath(v))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil || info.ModTime().After(now.Add(clockSkew)) {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// maxMarks is how many entries of the folder of marks are looked at.
const maxMarks = 1000

// Wanted returns the versions that were marked within keepFor before now, but
// are not on disk: an Airflow that began to run here lately has runs that began
// before.
func (m *Mount) Wanted(keepFor time.Duration, now time.Time) ([]slipway.Version, error) {
	dir, err := os.Open(filepath.Join(m.dir, inUseName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, makeInUse(filepath.Join(m.dir, inUseName)) // it was deleted by hand
	}
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
		at, err := m.neededAt(v, now)
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(m.versionPath(v)); errors.Is(err, fs.ErrNotExist) && at.After(now.Add(-keepFor)) {
			list = append(list, v)
		}
	}
	return list, nil
}

// Unmark forgets that v was marked.
func (m *Mount) Unmark(v slipway.Version) error { return durable.RemoveFile(m.markPath(v)) }

package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// marks is the folder in-use.
type marks struct{ layout }

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

// clockSkew is how far ahead of ours the clock of whoever marks may be.
const clockSkew = time.Minute

// neededAt returns when version v was marked last. Whatever lies there is not
// opened: it is not ours. A time to come is none: it would keep v for ever.
func (m marks) neededAt(v slipway.Version, now time.Time) (time.Time, error) {
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
func (m marks) Wanted(keepFor time.Duration, now time.Time) ([]slipway.Version, error) {
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
func (m marks) Unmark(v slipway.Version) error { return durable.RemoveFile(m.markPath(v)) }

// SweepMarks removes from in-use what is no mark, which is an empty file with a
// version's name: every user may write there, and could fill the disk. It looks
// at a part of a large folder at a time, and returns how many are gone. The
// error names something that cannot be removed: a folder with contents, say.
func (m marks) SweepMarks() (removed int, err error) {
	path := filepath.Join(m.dir, inUseName)
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for what is no mark: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxMarks)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("look for what is no mark: %w", err)
	}
	var why error // of the first that stays
	for _, e := range entries {
		gone, err := sweep(int(dir.Fd()), e.Name())
		if gone {
			removed++
		}
		if err != nil && why == nil {
			why = slipway.Errorf(slipway.Conflict, "%s holds %q, which is no mark of a version and cannot be removed: %v. Remove it by hand.", path, e.Name(), err)
		}
	}
	return removed, why
}

// lostAndFound is the folder that file systems keep at their top, where in-use
// may be one of its own.
const lostAndFound = "lost+found"

// sweep removes name from the folder dir unless it is a mark, and follows no
// link.
func sweep(dir int, name string) (gone bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false, notGone(err)
	}
	_, named := slipway.VersionOfDir(name)
	flags := 0
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFREG && named && st.Size == 0, kind == unix.S_IFDIR && name == lostAndFound:
		return false, nil
	case kind == unix.S_IFDIR:
		flags = unix.AT_REMOVEDIR // an empty one only
	case kind != unix.S_IFREG && kind != unix.S_IFLNK:
		return false, errors.New("it is neither a file, a link nor a folder")
	}
	err = unix.Unlinkat(dir, name, flags)
	return err == nil, notGone(err)
}

// notGone returns err, but nil if it says that somebody else was faster.
func notGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

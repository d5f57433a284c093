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

// makeInUse makes the folder in-use. Airflow touches a file in in-use, named by
// the version, for each version with runs. Airflow may run as any user;
// permissions set by an administrator stay.
func makeInUse(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), durable.TempPattern)
	if err != nil {
		return err
	}
	if err := openToAll(made); err != nil { // before the name: a kill in between leaves no closed folder
		return errors.Join(err, os.Remove(made))
	}
	return os.Rename(made, dir)
}

// openToAll lets every user write to dir. A symlink in the place of dir is not
// followed: other users may write beside dir.
func openToAll(dir string) error {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o777|fs.ModeSticky), f.Close())
}

// clockSkew is how far the clock of a marking program may be ahead.
const clockSkew = time.Minute

// neededAt returns the time of the last mark of v. The mark is not opened, as
// other users write marks. A mark in the future does not count: v would stay for
// ever.
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

// Wanted returns the versions with a mark from the last keepFor before now and
// without files on disk. An Airflow new to this mount still has runs of older
// versions.
func (m marks) Wanted(keepFor time.Duration, now time.Time) ([]slipway.Version, error) {
	dir, err := os.Open(filepath.Join(m.dir, inUseName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, makeInUse(filepath.Join(m.dir, inUseName)) // deleted by hand
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

// Unmark removes the mark of v.
func (m marks) Unmark(v slipway.Version) error { return durable.RemoveFile(m.markPath(v)) }

// SweepMarks removes from in-use everything but marks: empty files with the name
// of a version. Every user may write to in-use, and could fill the disk. One
// call looks at up to maxMarks entries of a large folder, and returns the number
// of removed ones. The error names an entry that cannot be removed, such as a
// folder with contents.
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
	var why error // of the first remaining entry
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

// lostAndFound is a folder at the top of a file system; in-use may be one of its
// own.
const lostAndFound = "lost+found"

// sweep removes name from the folder dir unless name is a mark. Links are not
// followed.
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

// notGone returns err, and nil if another program removed the file first.
func notGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"slipway/internal/slipway"
)

// lostAndFound is the folder that file systems keep at their top, where in-use
// may be one of its own.
const lostAndFound = "lost+found"

// SweepMarks removes from in-use what is no mark, which is an empty file with a
// version's name: every user may write there, and could fill the disk. It looks
// at a part of a large folder at a time, and returns how many are gone. The
// error names something that cannot be removed: a folder with contents, say.
func (m *Mount) SweepMarks() (removed int, err error) {
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

package mount

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"slipway/internal/slipway"
)

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

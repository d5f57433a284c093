package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// lutimes sets the time of a symlink itself.
func lutimes(path string, at time.Time) error {
	ts := unix.NsecToTimespec(at.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

package durable

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FreeSpace returns the bytes free for writing on the file system of dir.
func FreeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // the fields' types differ by platform
}

// FreeFiles returns how many more files and folders the file system of dir can
// hold. limited is false where the number has no bound or is unknown.
func FreeFiles(dir string) (n int64, limited bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Files == 0 {
		return 0, false
	}
	return int64(st.Ffree), true
}

// TotalSpace returns the size in bytes of the file system of dir.
func TotalSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("ask for the size of the file system of %s: %w", dir, err)
	}
	return int64(st.Blocks) * int64(st.Bsize), nil //nolint:unconvert // the fields' types differ by platform
}

package mount

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// What follows are the calls that a mount makes for each file, by name in the
// folder that was entered. A deploy is mostly made of them, so they do without
// what an *os.File takes.

// newFile is the descriptor of a file that is being written.
type newFile int

func (f newFile) Write(b []byte) (written int, err error) {
	for written < len(b) {
		var n int
		err := again(func() (err error) {
			n, err = unix.Write(int(f), b[written:])
			return err
		})
		if err != nil {
			return written, os.NewSyscallError("write", err)
		}
		written += n
	}
	return written, nil
}

func (f newFile) chmod(m fs.FileMode) error {
	return os.NewSyscallError("fchmod", again(func() error { return unix.Fchmod(int(f), uint32(m)) }))
}

func (f newFile) close() error { return os.NewSyscallError("close", unix.Close(int(f))) }

// again calls fn until it is not interrupted by a signal.
func again(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

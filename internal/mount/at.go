package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// What follows are the calls that a mount makes for each file, by name in the
// folder that was entered. A deploy is mostly made of them, so they do without
// what an *os.File takes.

// look returns what is wrong with f at a glance.
func (a *folders) look(f recorded) error {
	if err := a.enter(f.Path); err != nil {
		return err
	}
	if f.Link != "" {
		return a.lookLink(f)
	}
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(a.fd, path.Base(f.Path), &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return os.NewSyscallError("fstatat", err)
	}
	sec, nsec := st.Mtim.Unix()
	if uint32(st.Mode) != unix.S_IFREG|uint32(mode(f.File)) || st.Size != f.Size || sec != f.MTime || nsec != 0 {
		return errors.New("its size, mode or time was changed")
	}
	return nil
}

func (a *folders) lookLink(f recorded) error {
	b := make([]byte, len(f.Link)+1)
	var n int
	err := again(func() (err error) {
		n, err = unix.Readlinkat(a.fd, path.Base(f.Path), b)
		return err
	})
	if err != nil || string(b[:n]) != f.Link {
		return fmt.Errorf("it is no symlink to %q", f.Link)
	}
	return nil
}

// symlink makes the symlink f.
func (a *folders) symlink(f recorded) error {
	if err := a.enter(f.Path); err != nil {
		return err
	}
	return os.NewSyscallError("symlinkat", again(func() error {
		return unix.Symlinkat(f.Link, a.fd, path.Base(f.Path))
	}))
}

// link makes f, in a, a name of the same file in src.
func (a *folders) link(src *folders, f recorded) error {
	if err := a.enter(f.Path); err != nil {
		return err
	}
	return os.NewSyscallError("linkat", again(func() error {
		return unix.Linkat(src.fd, path.Base(f.Path), a.fd, path.Base(f.Path), 0)
	}))
}

// create makes the file f, which must not exist, nor be a symlink.
func (a *folders) create(f recorded) (newFile, error) {
	if err := a.enter(f.Path); err != nil {
		return -1, err
	}
	fd := -1
	err := again(func() (err error) {
		fd, err = unix.Openat(a.fd, path.Base(f.Path), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode(f.File)))
		return err
	})
	return newFile(fd), os.NewSyscallError("openat", err)
}

// date gives f the time that is recorded of it.
func (a *folders) date(f recorded) error {
	at := unix.NsecToTimespec(time.Unix(f.MTime, 0).UnixNano())
	return os.NewSyscallError("utimensat", again(func() error {
		return unix.UtimesNanoAt(a.fd, path.Base(f.Path), []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	}))
}

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

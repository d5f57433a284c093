package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dagsDir works in the dags folder of a version on disk, and follows no symlink.
// The folders down to the last file stay open: files come by path, so each folder is
// opened once, and system calls take most of the time of a deploy.
type dagsDir struct {
	root  *os.Root // of dags
	top   int      // descriptor of the folder
	make  bool     // create missing folders
	path  string   // of the folder at hand, "" for dags itself
	chain []level  // from dags to the folder at hand
	fd    int      // descriptor of the folder
}

// level is a folder on the way to another. The descriptor is -1 beyond
// maxLevels.
type level struct {
	name string
	fd   int
}

const maxLevels = 32

// openDagsDir opens the version in the folder dir.
func openDagsDir(dir string) (*dagsDir, error) {
	root, err := os.OpenRoot(dir + "/" + dagsName)
	if err != nil {
		return nil, err
	}
	top, err := unix.Open(dir+"/"+dagsName, folderFlags, 0)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("open", err), root.Close())
	}
	return &dagsDir{root: root, top: top, fd: top}, nil
}

// createDagsDir is openDagsDir for writing a version: enter makes missing
// folders.
func createDagsDir(dir string) (*dagsDir, error) {
	a, err := openDagsDir(dir)
	if err != nil {
		return nil, err
	}
	a.make = true
	return a, nil
}

// enter makes the folder of the file at path the one at hand.
func (a *dagsDir) enter(file string) error {
	next := file[:max(0, strings.LastIndexByte(file, '/'))]
	if next == a.path {
		return nil
	}
	var names []string
	if next != "" {
		names = strings.Split(next, "/")
	}
	a.leave(a.shared(names))
	for _, name := range names[len(a.chain):] {
		if err := a.descend(name); err != nil {
			return err
		}
	}
	return nil
}

// shared returns the number of levels that names and the open folder share.
func (a *dagsDir) shared(names []string) (n int) {
	for n < len(names) && n < len(a.chain) && a.chain[n].name == names[n] {
		n++
	}
	for n > 0 && a.chain[n-1].fd < 0 {
		n--
	}
	return n
}

// leave goes up to the first n levels.
func (a *dagsDir) leave(n int) {
	for _, l := range a.chain[n:] {
		if l.fd >= 0 {
			_ = unix.Close(l.fd) // opened for reading only
		}
	}
	a.chain, a.path, a.fd = a.chain[:n], "", a.top
	for _, l := range a.chain {
		a.path, a.fd = path.Join(a.path, l.name), l.fd
	}
}

// descend goes down to the folder name.
func (a *dagsDir) descend(name string) error {
	if a.make {
		err := ignoringEINTR(func() error { return unix.Mkdirat(a.fd, name, 0o700) })
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return os.NewSyscallError("mkdirat", err)
		}
	}
	fd := -1
	err := ignoringEINTR(func() (err error) {
		fd, err = unix.Openat(a.fd, name, folderFlags, 0)
		return err
	})
	if err != nil {
		return os.NewSyscallError("openat", err)
	}
	if n := len(a.chain); n > maxLevels {
		_ = unix.Close(a.fd) // opened for reading only
		a.chain[n-1].fd = -1
	}
	a.chain = append(a.chain, level{name, fd})
	a.path, a.fd = path.Join(a.path, name), fd
	return nil
}

const folderFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

func (a *dagsDir) close() {
	a.leave(0)
	_ = unix.Close(a.top) // opened for reading only
	_ = a.root.Close()
}

// check returns an error if type, mode, size or time of f differ from the
// record.
func (a *dagsDir) check(f recorded) error {
	if err := a.enter(f.Path); err != nil {
		return err
	}
	if f.Link != "" {
		return a.checkLink(f)
	}
	var st unix.Stat_t
	err := ignoringEINTR(func() error { return unix.Fstatat(a.fd, path.Base(f.Path), &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return os.NewSyscallError("fstatat", err)
	}
	sec, nsec := st.Mtim.Unix()
	if uint32(st.Mode) != unix.S_IFREG|uint32(mode(f.File)) || st.Size != f.Size || sec != f.MTime || nsec != 0 { //nolint:unconvert // the type of Mode differs by platform
		return errors.New("its size, mode or time was changed")
	}
	return nil
}

func (a *dagsDir) checkLink(f recorded) error {
	b := make([]byte, len(f.Link)+1)
	var n int
	err := ignoringEINTR(func() (err error) {
		n, err = unix.Readlinkat(a.fd, path.Base(f.Path), b)
		return err
	})
	if err != nil || string(b[:n]) != f.Link {
		return fmt.Errorf("it is no symlink to %q", f.Link)
	}
	return nil
}

// symlink makes the symlink f.
func (a *dagsDir) symlink(f recorded) error {
	if err := a.enter(f.Path); err != nil {
		return err
	}
	return os.NewSyscallError("symlinkat", ignoringEINTR(func() error {
		return unix.Symlinkat(f.Link, a.fd, path.Base(f.Path))
	}))
}

// link makes f, in a, a name of the same file in src.
func (a *dagsDir) link(src *dagsDir, f recorded) error {
	if err := a.enter(f.Path); err != nil {
		return err
	}
	return os.NewSyscallError("linkat", ignoringEINTR(func() error {
		return unix.Linkat(src.fd, path.Base(f.Path), a.fd, path.Base(f.Path), 0)
	}))
}

// create makes the file f. An existing file or symlink is an error.
func (a *dagsDir) create(f recorded) (fileWriter, error) {
	if err := a.enter(f.Path); err != nil {
		return -1, err
	}
	fd := -1
	err := ignoringEINTR(func() (err error) {
		fd, err = unix.Openat(a.fd, path.Base(f.Path), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode(f.File)))
		return err
	})
	return fileWriter(fd), os.NewSyscallError("openat", err)
}

// setTime gives f the recorded time.
func (a *dagsDir) setTime(f recorded) error {
	at := unix.NsecToTimespec(time.Unix(f.MTime, 0).UnixNano())
	return os.NewSyscallError("utimensat", ignoringEINTR(func() error {
		return unix.UtimesNanoAt(a.fd, path.Base(f.Path), []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	}))
}

// fileWriter is the descriptor of a file open for writing.
type fileWriter int

func (f fileWriter) Write(b []byte) (written int, err error) {
	for written < len(b) {
		var n int
		err := ignoringEINTR(func() (err error) {
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

func (f fileWriter) chmod(m fs.FileMode) error {
	return os.NewSyscallError("fchmod", ignoringEINTR(func() error { return unix.Fchmod(int(f), uint32(m)) }))
}

func (f fileWriter) close() error { return os.NewSyscallError("close", unix.Close(int(f))) }

// ignoringEINTR calls fn again as long as a signal interrupts the call.
func ignoringEINTR(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

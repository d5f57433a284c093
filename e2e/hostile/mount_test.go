package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// ownDisk returns a folder with a file system of 64 MiB of its own.
func ownDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		t.Skip("a file system of its own can be mounted by root alone")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func fill(t *testing.T, dir string, leave int64) (heal func()) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(dir, "ballast-*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	free := int64(st.Bavail) * st.Bsize
	if _, err := f.Write(make([]byte, free-leave)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

func readOnly(t *testing.T, dir string) (heal func()) {
	t.Helper()
	bound := false
	t.Cleanup(func() {
		if bound {
			_ = syscall.Unmount(dir, syscall.MNT_DETACH) // the disk below goes anyway
		}
	})
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	bound = true
	if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT, ""); err != nil {
			t.Fatal(err)
		}
	}
}

type diskImage struct{ file, dir string }

func newImage(t *testing.T) diskImage {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a file system of its own can be mounted by root alone")
	}
	i := diskImage{file: filepath.Join(t.TempDir(), "disk"), dir: t.TempDir()}
	if err := os.WriteFile(i.file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(i.file, 128<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", i.file).CombinedOutput(); err != nil {
		t.Skipf("no file system can be made here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		_ = exec.Command("umount", "-l", i.dir).Run() // it may not be mounted any more
	})
	return i
}

func (i diskImage) mount(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("mount", "-o", "loop", i.file, i.dir).CombinedOutput(); err != nil {
		t.Skipf("no image can be mounted here: %v: %s", err, out)
	}
}

func (i diskImage) unmount(t *testing.T) {
	t.Helper()
	var out []byte
	var err error
	for range 50 {
		if out, err = exec.Command("umount", i.dir).CombinedOutput(); err == nil {
			out, err = exec.Command("e2fsck", "-p", "-f", i.file).CombinedOutput()
			if code := exitCode(err); code > 1 { // 1: errors were corrected
				t.Fatalf("e2fsck: %v: %s", err, out)
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal(fmt.Errorf("umount: %w: %s", err, out))
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := err.(*exec.ExitError); ok { //nolint:errorlint // it is what Run returned
		return e.ExitCode()
	}
	return -1
}

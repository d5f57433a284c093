package program

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"slipway/internal/durable"
)

// nobody is the user of agents in tests that run as root. EngineUsers is the group
// of users of the Docker Engine.
const (
	nobody      = 65534
	EngineUsers = 65533
)

// Unprivileged is a user other than root, with a folder and a copy of the binary.
type Unprivileged struct{ Dir, Program string }

// NewUnprivileged makes the folder and the copy.
func NewUnprivileged(t *testing.T) Unprivileged {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-agent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = durable.RemoveTree(dir) })
	u := Unprivileged{dir, filepath.Join(dir, "slipway")}
	program, err := os.ReadFile(Build(t, "slipway"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(u.Program, program, 0o755); err != nil { //nolint:gosec // another user runs the copy
		t.Fatal(err)
	}
	u.Chown(t, dir)
	return u
}

// Folder makes a folder in the user's own, unless present.
func (u Unprivileged) Folder(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(u.Dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	u.Chown(t, path)
	return path
}

// Chown makes the user the owner of a folder. Without root nothing is done: the
// user is the one who runs the tests.
func (u Unprivileged) Chown(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Argv is the command line that runs argv as the user.
func (u Unprivileged) Argv(argv ...string) []string {
	argv = append([]string{"env", "HOME=" + u.Dir}, argv...)
	if os.Getuid() != 0 {
		return argv
	}
	id := strconv.Itoa(nobody)
	return append([]string{"setpriv", "--reuid", id, "--regid", id, "--groups", strconv.Itoa(EngineUsers)}, argv...)
}

// WantOwned fails for a file in dir that belongs to root.
func (u Unprivileged) WantOwned(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid == 0 {
			t.Errorf("%s belongs to root", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

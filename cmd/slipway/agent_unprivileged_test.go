package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"slipway/internal/durable"
)

// nobody is who agents run as where the tests may choose: neither the portal's
// user, nor Airflow's, nor root. engineUsers is the group that may use the
// Docker Engine.
const (
	nobody      = 65534
	engineUsers = 65533
)

// unprivileged is who runs agents, with a folder and a copy of the program that
// belong to them.
type unprivileged struct{ dir, program string }

func newUnprivileged(t *testing.T) unprivileged {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-agent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = durable.RemoveTree(dir) })
	u := unprivileged{dir, filepath.Join(dir, "slipway")}
	program, err := os.ReadFile(built(t, "slipway"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(u.program, program, 0o755); err != nil { //nolint:gosec // somebody else runs it
		t.Fatal(err)
	}
	u.give(t, dir)
	return u
}

// folder makes a folder in the user's own, if it is not there.
func (u unprivileged) folder(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(u.dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	u.give(t, path)
	return path
}

// give makes a folder theirs, where the tests may.
func (u unprivileged) give(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return // they are who runs the tests, who is not root either
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

// argv is the command line that has them run argv.
func (u unprivileged) argv(argv ...string) []string {
	argv = append([]string{"env", "HOME=" + u.dir}, argv...)
	if os.Getuid() != 0 {
		return argv
	}
	id := strconv.Itoa(nobody)
	return append([]string{"setpriv", "--reuid", id, "--regid", id, "--groups", strconv.Itoa(engineUsers)}, argv...)
}

// wantOwned fails unless all that lies in a folder is theirs, and not root's.
func (u unprivileged) wantOwned(t *testing.T, dir string) {
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

// The shipped agent needs no root: it mounts, is killed in the middle, removes
// what was left half written, and mounts again, all with its own folder alone.
func TestAgentNeedsNoRoot(t *testing.T) {
	e, u := newElsewhere(t), newUnprivileged(t)
	e.serve(t)
	e.program, e.dir = u.program, u.dir
	u.folder(t, "mounts")
	mount := e.mount("worker-0")
	start := func() *process {
		return launch(t, u.dir, u.argv(append([]string{"SLIPWAY_TOKEN=" + e.AgentToken}, e.agentArgs("worker-0")...)...)...)
	}
	p := start()
	for n := range 3 {
		e.deployed(t, generation(n))
		until(t, "it is mounted", func() bool { return e.holds("worker-0", "generation.py", strconv.Itoa(n)) })
	}
	p.kill()
	half := filepath.Join(mount, "versions", ".tmp-half", "dags")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	u.give(t, filepath.Dir(half))
	if err := os.Chmod(half, 0o555); err != nil { // as a killed agent leaves it
		t.Fatal(err)
	}
	start()
	until(t, "what was half written is gone", func() bool { _, err := os.Stat(half); return os.IsNotExist(err) })
	e.deployed(t, generation(3))
	until(t, "it is mounted", func() bool { return e.holds("worker-0", "generation.py", "3") })
	if err := completeMount(mount); err != nil {
		t.Error(err)
	}
	u.wantOwned(t, mount)
}

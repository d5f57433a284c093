package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// nobody is who the agent runs as where the tests may choose: neither the
// portal's user, nor Airflow's, nor root.
const nobody = 65534

// The shipped agent needs no root: it mounts, is killed in the middle, removes
// what was left half written, and mounts again, all with its own folder alone.
func TestAgentNeedsNoRoot(t *testing.T) {
	e := newElsewhere(t)
	e.serve(t)
	start := e.unprivileged(t, "worker-0")
	p := start()
	for n := range 3 {
		e.deployed(t, generation(n))
		until(t, "it is mounted", func() bool { return e.holds("worker-0", "generation.py", strconv.Itoa(n)) })
	}
	p.kill()
	half := filepath.Join(e.mount("worker-0"), "versions", ".tmp-half", "dags")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	e.give(t, filepath.Dir(half))
	if err := os.Chmod(half, 0o555); err != nil { // as a killed agent leaves it
		t.Fatal(err)
	}
	start()
	until(t, "what was half written is gone", func() bool { _, err := os.Stat(half); return os.IsNotExist(err) })
	e.deployed(t, generation(3))
	until(t, "it is mounted", func() bool { return e.holds("worker-0", "generation.py", "3") })
	if err := completeMount(e.mount("worker-0")); err != nil {
		t.Error(err)
	}
	e.wantOwned(t, e.mount("worker-0"))
}

// unprivileged returns what starts an agent that is not root, from a copy of
// the program that everybody may read.
func (e *elsewhere) unprivileged(t *testing.T, name string) func() *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-agent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = removeAll(dir) })
	program, err := os.ReadFile(e.program)
	if err != nil {
		t.Fatal(err)
	}
	e.program, e.dir = filepath.Join(dir, "slipway"), dir
	if err := os.WriteFile(e.program, program, 0o755); err != nil { //nolint:gosec // somebody else runs it
		t.Fatal(err)
	}
	if err := os.MkdirAll(e.mount(name), 0o755); err != nil {
		t.Fatal(err)
	}
	e.give(t, dir)
	argv := append([]string{"env", "SLIPWAY_TOKEN=" + e.AgentToken}, e.agentArgs(name)...)
	if os.Getuid() == 0 {
		argv = append([]string{"setpriv", "--reuid", strconv.Itoa(nobody), "--regid", strconv.Itoa(nobody), "--clear-groups"}, argv...)
	}
	return func() *process { return launch(t, dir, argv...) }
}

// give makes a folder nobody's, where the tests may.
func (e *elsewhere) give(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return // the agent runs as who runs the tests, who is not root either
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

// wantOwned fails unless all of a mount belongs to the agent's user, who is not
// root.
func (e *elsewhere) wantOwned(t *testing.T, dir string) {
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

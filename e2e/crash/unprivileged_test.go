package crash

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"slipway/e2e/program"
)

// The shipped agent needs no root: it mounts, is killed in the middle, removes
// what was left half written, and mounts again, all with its own folder alone.
func TestAgentNeedsNoRoot(t *testing.T) {
	e, u := program.NewRemoteAgents(t), program.NewUnprivileged(t)
	e.Start(t)
	e.Program, e.Dir = u.Program, u.Dir
	u.Folder(t, "mounts")
	mount := e.Mount("worker-0")
	start := func() *program.Process {
		return program.Launch(t, u.Dir, u.Argv(append([]string{"SLIPWAY_TOKEN=" + e.AgentToken}, e.AgentArgs("worker-0")...)...)...)
	}
	p := start()
	for n := range 3 {
		e.MustDeploy(t, generation(n))
		program.Until(t, "it is mounted", func() bool { return e.Holds("worker-0", "generation.py", strconv.Itoa(n)) })
	}
	p.Kill()
	half := filepath.Join(mount, "versions", ".tmp-half", "dags")
	if err := os.MkdirAll(half, 0o755); err != nil {
		t.Fatal(err)
	}
	u.Chown(t, filepath.Dir(half))
	if err := os.Chmod(half, 0o555); err != nil { // as a killed agent leaves it
		t.Fatal(err)
	}
	start()
	program.Until(t, "what was half written is gone", func() bool { _, err := os.Stat(half); return os.IsNotExist(err) })
	e.MustDeploy(t, generation(3))
	program.Until(t, "it is mounted", func() bool { return e.Holds("worker-0", "generation.py", "3") })
	if err := completeMount(mount); err != nil {
		t.Error(err)
	}
	u.WantOwned(t, mount)
}

// Package airflow_test runs Apache Airflow against Slipway's mounts: each
// promise that the README and docs/airflow.md make is a test of that name here.
package airflow_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// root is the project's folder, in which scripts/airflow-deps.sh has laid out
// one virtual environment for each major version of Airflow.
var root string

var binary string // the built slipway

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("SLIPWAY_AIRFLOW") == "" {
		fmt.Println("Airflow tests NOT RUN: make test-airflow runs them.")
		return 0
	}
	dir, err := os.MkdirTemp("", "slipway-airflow-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	if root, err = filepath.Abs("../.."); err != nil {
		return fail(err)
	}
	binary = filepath.Join(dir, "slipway")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/slipway").CombinedOutput(); err != nil {
		return fail(fmt.Errorf("build: %w\n%s", err, out))
	}
	if err := flag.Set("test.parallel", "4"); err != nil { // most of the time is waiting for Airflow
		return fail(err)
	}
	defer printTimes()
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "airflow:", err)
	return 1
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

// patience is how long anything may take: Airflow is slow on a busy machine.
const patience = 10 * time.Minute

// until waits for what holds. It returns an error that says how far it is.
func until(t *testing.T, holds func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	t.Fatalf("not within %s: %v", patience, err)
}

// workDir returns a folder that users other than ours may go through, which
// those of t.TempDir do not allow.
func workDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-airflow-")
	ok(t, err)
	ok(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() {
		// Folders of a version are read-only; without this only root could empty them.
		_ = exec.Command("chmod", "-R", "u+w", dir).Run()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

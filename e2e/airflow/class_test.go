package airflow_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBundleClass tests the class by itself, in a process that is no part of a
// running Airflow: each promise in testdata/bundle_class.py is a test here.
func TestBundleClass(t *testing.T) {
	t.Parallel()
	dir := workDir(t)
	c := exec.Command(filepath.Join(root, ".cache", "airflow3", "bin", "python"), filepath.Join("testdata", "bundle_class.py"), dir)
	c.Env = []string{"AIRFLOW_HOME=" + dir, "HOME=" + dir, "TMPDIR=" + dir, "PATH=/usr/bin:/bin", "PYTHONWARNINGS=ignore",
		"PYTHONPATH=" + classIn(t, dir)}
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.Bytes())
	}
	var found map[string]string
	ok(t, json.Unmarshal(out, &found))
	if len(found) == 0 {
		t.Error("the class promises nothing")
	}
	for promise, wrong := range found {
		t.Run(promise, func(t *testing.T) {
			if wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// classIn copies the class to a folder for Python's path: beside the example
// Python would leave its bytecode.
func classIn(t *testing.T, dir string) string {
	t.Helper()
	copyFile(t, filepath.Join(root, "examples", "airflow", "slipway_bundle.py"), filepath.Join(dir, "slipway_bundle.py"))
	return dir
}

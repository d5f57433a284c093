package mount

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestTasksKeepTheirVersion has a task that began on version 1 go on while
// three more go live, by way of current as Airflow has it. What it holds open
// and what it resolved before stays; what it looks up by current later is the
// new version's: docs/agents.md says so.
func TestTasksKeepTheirVersion(t *testing.T) {
	w := newWorld(t)
	project := func(n string) map[string]string {
		return map[string]string{"main.py": "main " + n, "lib/helper.py": "helper " + n, "lib/same.py": "same", "only_" + n + ".py": n}
	}
	w.put(t, 1, project("1"))
	current := filepath.Join(w.mount.dir, "current", "dags")
	open := must[*os.File](t)(os.Open(filepath.Join(current, "main.py")))
	defer open.Close()
	folder := must[*os.Root](t)(os.OpenRoot(filepath.Join(current, "lib"))) // a working folder, a folder of sys.path that is open
	defer folder.Close()
	resolved := must[string](t)(filepath.EvalSymlinks(current))

	for n := 2; n <= 4; n++ {
		name := string(rune('0' + n))
		w.put(t, n, project(name))
		if _, err := w.mount.Prune(t.Context(), 3, 24*60*60*1e9, w.stat(t, n, "main.py").ModTime()); err != nil {
			t.Fatal(err)
		}
		// What was resolved before is whole.
		checkSame(t, readTree(t, resolved), project("1"))
		checkSame(t, map[string]string{"helper.py": string(must[[]byte](t)(folder.ReadFile("helper.py")))}, map[string]string{"helper.py": "helper 1"})
		// What is looked up by current is the new version's, and all of it.
		checkSame(t, readTree(t, must[string](t)(filepath.EvalSymlinks(current))), project(name))
		if _, err := os.Stat(filepath.Join(current, "only_1.py")); !os.IsNotExist(err) {
			t.Errorf("a late lookup finds a file of the version before: %v", err)
		}
		if got := string(must[[]byte](t)(os.ReadFile(filepath.Join(current, "lib/helper.py")))); got != "helper "+name {
			t.Errorf("a late lookup finds %q", got)
		}
	}
	if got := string(must[[]byte](t)(io.ReadAll(open))); got != "main 1" {
		t.Errorf("the file that was held open reads %q", got)
	}
}

package mount

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMountWalksDeepFolders(t *testing.T) {
	deep := strings.Repeat("d/", maxLevels+40) // at most 128 are allowed
	w := newWorld(t)
	files := map[string]string{
		"a.py": "a", "d/b.py": "b", "d/d/c.py": "c", "e/f.py": "f",
		deep + "g.py": "g", deep + "h/i.py": "i", deep + "j/k.py": "k", deep[2*maxLevels+20:] + "l.py": "l",
	}
	w.put(t, 1, files)
	checkSame(t, readTree(t, w.path(1, "")), files)

	files["d/b.py"], files[deep+"h/i.py"] = "b, changed", "i, changed"
	w.put(t, 2, files)
	checkSame(t, readTree(t, w.path(2, "")), files)
	if !os.SameFile(w.stat(t, 1, deep+"g.py"), w.stat(t, 2, deep+"g.py")) {
		t.Error("a file deep down was not linked")
	}
}

func TestFoldersFollowNoSymlink(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{dagsName + "/real", "elsewhere"} {
		ok(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		ok(t, os.WriteFile(filepath.Join(dir, name, "a.py"), nil, 0o600))
	}
	ok(t, os.Symlink("real", filepath.Join(dir, dagsName, "inside")))
	ok(t, os.Symlink("../elsewhere", filepath.Join(dir, dagsName, "outside")))
	for name, want := range map[string]bool{"real/a.py": true, "inside/a.py": false, "outside/a.py": false} {
		t.Run(name, func(t *testing.T) {
			at, err := createDagsDir(dir)
			ok(t, err)
			defer at.close()
			if err := at.enter(name); (err == nil) != want {
				t.Errorf("enter: %v, want it to succeed: %v", err, want)
			}
		})
	}
}

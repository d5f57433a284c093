package mount

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// nobody is who an agent runs as that is not root.
const nobody = 65534

// asNobody calls fn with nobody's right to files. What it does must stay on its
// own goroutine.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := unix.Setfsuid(nobody)
		if err == nil {
			fn()
		}
		done <- err
	}()
	ok(t, <-done)
}

// nobodysWorld is a world whose mount belongs to nobody, with versions 0 to 3.
func nobodysWorld(t *testing.T) *world {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to put in an agent's way what it may not remove")
	}
	dir := must[string](t)(os.MkdirTemp("", "slipway-mount-"))
	t.Cleanup(func() { ok(t, durable.RemoveTree(dir)) })
	w := &world{store: must[*bundle.Store](t)(bundle.Open(t.TempDir())), mount: must[*Mount](t)(Open(filepath.Join(dir, "mount")))}
	w.src = sourceOf(w.store)
	for n := range 4 {
		w.put(t, n, map[string]string{"a.py": fmt.Sprint(n)})
	}
	ok(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}))
	return w
}

// Airflow that runs as root leaves its caches in folders of an agent that does
// not. That stops neither the agent nor the removal of what can be removed.
func TestWhatCannotBeRemoved(t *testing.T) {
	w := nobodysWorld(t)
	left := []string{filepath.Join(w.mount.versions(), ".tmp-half", "__pycache__"), w.path(0, "__pycache__")}
	for _, cache := range left {
		ok(t, os.MkdirAll(cache, 0o755))
		ok(t, os.WriteFile(filepath.Join(cache, "a.pyc"), nil, 0o600))
	}
	ok(t, os.Lchown(filepath.Dir(left[0]), nobody, nobody))
	ok(t, w.mount.Close())

	var gone []slipway.Version
	var openErr, pruneErr error
	prune := func() {
		gone, pruneErr = w.mount.Prune(t.Context(), 0, 0, time.Now().Add(time.Hour))
		slices.Sort(gone)
	}
	asNobody(t, func() {
		if w.mount, openErr = Open(w.mount.dir); openErr == nil {
			prune()
		}
	})
	ok(t, openErr)
	if want := []slipway.Version{version(1), version(2)}; !slices.Equal(gone, want) {
		t.Errorf("removed %v, want the others that were replaced, %v", gone, want)
	}
	for _, cache := range []string{left[0], filepath.Join(w.mount.removedPath(version(0)), dagsName, "__pycache__")} {
		if pruneErr == nil || !strings.Contains(pruneErr.Error(), cache) {
			t.Errorf("error %v, want that it names %s", pruneErr, cache)
		}
		ok(t, os.RemoveAll(cache)) // as an administrator does
	}
	asNobody(t, prune)
	ok(t, pruneErr)
	if !slices.Equal(gone, []slipway.Version{version(0)}) {
		t.Errorf("removed %v, want the version that was in use", gone)
	}
	w.checkNoTemp(t)
	w.checkCurrent(t, 3)
	ok(t, w.mount.Close())
}

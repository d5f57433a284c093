package mount

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/slipway"
)

// Every user may write to in-use, and nobody may fill the disk by it.
func TestSweepMarks(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.mount.dir, inUseName)
	outside := filepath.Join(t.TempDir(), "outside")
	ok(t, os.WriteFile(outside, []byte("kept"), 0o600))
	w.mark(t, 1, time.Now())
	for name, text := range map[string]string{"large": strings.Repeat("x", 1<<16), "empty": "", version(2).Dir(): "not empty"} {
		ok(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	ok(t, os.Symlink(outside, filepath.Join(dir, "link")))
	ok(t, os.Symlink(outside, filepath.Join(dir, version(3).Dir())))
	ok(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	ok(t, os.Mkdir(filepath.Join(dir, lostAndFound), 0o700))
	if n, err := w.mount.SweepMarks(); n != 6 || err != nil {
		t.Errorf("%d are gone, %v; want 6", n, err)
	}
	stays := []string{version(1).Dir(), lostAndFound}
	checkNames(t, dir, stays)
	if b := must[[]byte](t)(os.ReadFile(outside)); string(b) != "kept" {
		t.Errorf("what a link leads to holds %q", b)
	}

	ok(t, os.MkdirAll(filepath.Join(dir, "full", "folder"), 0o700))
	ok(t, os.WriteFile(filepath.Join(dir, "large"), nil, 0o600))
	n, err := w.mount.SweepMarks()
	if kind, text := slipway.Explain(err); n != 1 || kind != slipway.Conflict || !strings.Contains(text, `"full"`) {
		t.Errorf("%d are gone, %v; want one, and the full folder told", n, err)
	}
	checkNames(t, dir, append(stays, "full"))
	ok(t, os.RemoveAll(filepath.Join(dir, "full")))

	ok(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	if n, err := w.mount.SweepMarks(); n != 0 || err == nil {
		t.Errorf("%d are gone, %v; want the pipe told", n, err)
	}
}

// A link in the folder's place leads to what is not ours.
func TestSweepMarksFollowsNoLink(t *testing.T) {
	w := newWorld(t)
	dir, elsewhere := filepath.Join(w.mount.dir, inUseName), t.TempDir()
	ok(t, os.WriteFile(filepath.Join(elsewhere, "file"), nil, 0o600))
	ok(t, os.Remove(dir))
	if n, err := w.mount.SweepMarks(); n != 0 || err != nil {
		t.Errorf("without the folder: %d are gone, %v", n, err)
	}
	ok(t, os.Symlink(elsewhere, dir))
	if n, err := w.mount.SweepMarks(); n != 0 || err == nil {
		t.Errorf("%d are gone, %v; want an error", n, err)
	}
	checkNames(t, elsewhere, []string{"file"})
}

func checkNames(t *testing.T, dir string, want []string) {
	t.Helper()
	var got []string
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		got = append(got, e.Name())
	}
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

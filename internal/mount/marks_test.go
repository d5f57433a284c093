package mount

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// mark touches the mark of version n.
func (w *world) mark(t *testing.T, n int, at time.Time) {
	t.Helper()
	path := w.mount.markPath(version(n))
	ok(t, os.WriteFile(path, nil, 0o600))
	ok(t, os.Chtimes(path, time.Time{}, at))
}

func TestPruneKeepsWhatRunsNeed(t *testing.T) {
	w := newWorld(t)
	for n := range 5 {
		w.put(t, n, map[string]string{"a.py": fmt.Sprint(n)})
	}
	now := time.Now().Add(48 * time.Hour)
	for n, ago := range map[int]time.Duration{0: -30 * time.Second, 1: 25 * time.Hour, 2: 23 * time.Hour, 3: -2 * time.Minute} {
		w.mark(t, n, now.Add(-ago))
	}
	gone := must[[]slipway.Version](t)(w.mount.Prune(t.Context(), 0, 24*time.Hour, now))
	slices.Sort(gone)
	if want := []slipway.Version{version(1), version(3)}; !slices.Equal(gone, want) {
		t.Errorf("removed %v, want those that are not in use, %v", gone, want)
	}
	marks := must[[]os.DirEntry](t)(os.ReadDir(w.mount.dir + "/" + inUseName))
	if len(marks) != 2 || marks[0].Name() != version(0).Dir() || marks[1].Name() != version(2).Dir() {
		t.Errorf("the marks are %v, want those of the versions that stay", marks)
	}
}

// Airflow's user need not be the agent's, and what an administrator chose stays.
func TestInUseIsOpenToAirflow(t *testing.T) {
	w := newWorld(t)
	dir := w.mount.dir + "/" + inUseName
	if mode := must[os.FileInfo](t)(os.Stat(dir)).Mode(); mode != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("in-use has the mode %v, want that of /tmp", mode)
	}
	ok(t, os.Chmod(dir, 0o750))
	ok(t, w.mount.Close())
	w.mount = must[*Mount](t)(Open(w.mount.dir))
	if mode := must[os.FileInfo](t)(os.Stat(dir)).Mode(); mode != os.ModeDir|0o750 {
		t.Errorf("in-use has the mode %v, want that which was set", mode)
	}
}

// Whoever may write to the mount may put a link where the folder was made.
func TestInUseThatIsALink(t *testing.T) {
	dir := t.TempDir()
	victim, link := dir+"/victim", dir+"/"+inUseName
	ok(t, os.Mkdir(victim, 0o700))
	ok(t, os.Symlink(victim, link))
	if err := openToAll(link); err == nil {
		t.Error("a link is followed")
	}
	if mode := must[os.FileInfo](t)(os.Stat(victim)).Mode(); mode != os.ModeDir|0o700 {
		t.Errorf("the folder elsewhere has the mode %v now", mode)
	}
}

// A run began with a version that was current before this mount was made.
func TestWantedIsAdded(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{"a.py": "old", "same.py": "same"}
	old := manifestOf(t, w.store, version(1), files)
	w.put(t, 2, map[string]string{"a.py": "new", "same.py": "same"})
	now := time.Now()
	w.mark(t, 1, now)
	w.mark(t, 2, now)                 // is on disk
	w.mark(t, 3, now.Add(-time.Hour)) // is too old
	w.mark(t, 4, now.Add(time.Hour))  // is not the time yet
	ok(t, os.WriteFile(w.mount.dir+"/"+inUseName+"/no-version", nil, 0o600))

	if got := must[[]slipway.Version](t)(w.mount.Wanted(time.Minute, now)); !slices.Equal(got, []slipway.Version{version(1)}) {
		t.Fatalf("wanted are %v, want %s", got, version(1))
	}
	ok(t, w.mount.Prefetch(t.Context(), old.Version, w.src.with(old)))

	checkSame(t, readTree(t, w.path(1, "")), files)
	w.checkCurrent(t, 2)
	w.checkNoTemp(t)
	if got := must[[]slipway.Version](t)(w.mount.Wanted(time.Minute, now)); len(got) > 0 {
		t.Errorf("wanted are %v, want none any more", got)
	}
	ok(t, w.mount.Unmark(version(1)))
	ok(t, w.mount.Unmark(version(1))) // nor is it an error twice
}

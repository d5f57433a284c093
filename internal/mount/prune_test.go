package mount

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
)

func TestPrune(t *testing.T) {
	for name, tt := range map[string]struct {
		current  int // of versions 0 to 5, mounted in order; -1 for the image
		keepLast int
		keepFor  time.Duration
		after    time.Duration // since the last was replaced
		want     []int         // what is left
	}{
		"all are young":             {5, 0, 24 * time.Hour, 23 * time.Hour, []int{0, 1, 2, 3, 4, 5}},
		"old ones go":               {5, 0, 24 * time.Hour, 25 * time.Hour, []int{5}},
		"the last stay":             {5, 3, 24 * time.Hour, 25 * time.Hour, []int{2, 3, 4, 5}},
		"more to keep than are":     {5, 9, 0, time.Hour, []int{0, 1, 2, 3, 4, 5}},
		"an old one is current":     {0, 2, time.Hour, 2 * time.Hour, []int{0, 4, 5}},
		"the image is current":      {-1, 1, time.Hour, 2 * time.Hour, []int{5}},
		"the clock was turned back": {5, 0, time.Hour, -48 * time.Hour, []int{0, 1, 2, 3, 4, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for n := range 6 {
				w.put(t, n, map[string]string{"sub/a.py": fmt.Sprint(n), "same.py": "same"})
			}
			if tt.current < 0 {
				ok(t, w.mount.UseImage("/dags"))
			} else {
				ok(t, w.mount.Mount(t.Context(), version(tt.current), w.src, nil))
			}

			must[[]slipway.Version](t)(w.mount.Prune(t.Context(), tt.keepLast, tt.keepFor, time.Now().Add(tt.after)))

			var left []slipway.Version
			for _, v := range must[[]MountedVersion](t)(w.mount.Versions()) {
				left = append(left, v.Version)
			}
			var want []slipway.Version
			for _, n := range tt.want {
				want = append(want, version(n))
				checkSame(t, readTree(t, w.path(n, "")), map[string]string{"sub/a.py": fmt.Sprint(n), "same.py": "same"})
			}
			slices.Sort(left)
			if !slices.Equal(left, want) {
				t.Errorf("left %v, want %v", left, want)
			}
			if entries := must[[]os.DirEntry](t)(os.ReadDir(w.mount.versions())); len(entries) != 2*len(want) {
				t.Errorf("%d entries in versions, want a folder and a record for each of %d", len(entries), len(want))
			}
			w.checkNoTemp(t)
		})
	}
}

func TestVersions(t *testing.T) {
	w := newWorld(t)
	start := time.Now().Add(-time.Second)
	for n := range 3 {
		w.put(t, n, map[string]string{"a.py": fmt.Sprint(n)})
	}
	ok(t, w.mount.Mount(t.Context(), version(1), w.src, nil))
	on := must[[]MountedVersion](t)(w.mount.Versions())
	for i, n := range []int{1, 2, 0} {
		v := on[i]
		if v.Version != version(n) || v.Current != (n == 1) || v.ReplacedAt.IsZero() != (n == 1) || v.MountedAt.Before(start.Truncate(time.Second)) {
			t.Errorf("%d: got %+v, want version %d", i, v, n)
		}
	}
}

func TestScrub(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{"a.py": "good", "sub/b.py": "fine", "l.py": "-> a.py"}
	w.put(t, 1, files)
	w.put(t, 2, files)
	w.put(t, 3, map[string]string{"a.py": "other"})
	if found := must[[]Damage](t)(w.mount.Scrub(t.Context(), 0)); len(found) != 0 {
		t.Fatalf("found %v in what was just mounted", found)
	}
	was := w.stat(t, 2, "a.py")
	ok(t, os.Chmod(w.path(2, "a.py"), 0o644))
	ok(t, os.WriteFile(w.path(2, "a.py"), []byte("evil"), 0o644)) // the same size
	ok(t, os.Chtimes(w.path(2, "a.py"), time.Time{}, was.ModTime()))
	ok(t, os.Chmod(w.path(2, "a.py"), 0o444))
	ok(t, os.Chmod(w.path(3, ""), 0o755))
	ok(t, os.MkdirAll(w.path(3, "__pycache__"), 0o755))
	ok(t, os.WriteFile(w.path(3, "__pycache__/a.pyc"), nil, 0o644))

	found := must[[]Damage](t)(w.mount.Scrub(t.Context(), 1<<30))

	var got []slipway.Version
	for _, d := range found {
		got = append(got, d.Version)
		if d.Path != "a.py" || !strings.Contains(d.Why, sha("evil")) {
			t.Errorf("found %+v, want a.py by its SHA-256", d)
		}
	}
	slices.Sort(got)
	if want := []slipway.Version{version(1), version(2)}; !slices.Equal(got, want) {
		t.Errorf("damaged are %v, want the two that share the file, %v", got, want)
	}
	w.put(t, 2, files) // no longer trusted, though it looks untouched
	checkSame(t, readTree(t, w.path(2, "")), files)
	w.checkNoTemp(t)

	ok(t, os.WriteFile(w.path(3, "extra.py"), nil, 0o644))
	if found := must[[]Damage](t)(w.mount.Scrub(t.Context(), 0)); len(found) != 1 || found[0].Path != "extra.py" {
		t.Errorf("found %v, want extra.py", found)
	}
}

// The version that Airflow runs is put right in place.
func TestMountRepairsTheCurrentVersion(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{"a.py": "good", "b.py": "good too"}
	m := w.put(t, 1, files)
	ok(t, os.Chmod(w.path(1, ""), 0o755))
	ok(t, os.Remove(w.path(1, "a.py")))
	if found := must[[]Damage](t)(w.mount.Scrub(t.Context(), 0)); len(found) != 1 {
		t.Errorf("found %v, want one", found)
	}
	ok(t, w.mount.Mount(t.Context(), m.Version, w.src.with(m), nil))
	w.checkCurrent(t, 1)
	w.checkNoTemp(t)
	checkSame(t, readTree(t, w.path(1, "")), files)
}

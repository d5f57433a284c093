package mount

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// Somebody may have made the link current, before Slipway or by hand.
func TestCurrentThatLeadsElsewhere(t *testing.T) {
	for _, to := range []string{"/opt/dags", "versions/nothing", "versions/" + version(0).Dir() + "/dags", "elsewhere/" + version(0).Dir()} {
		t.Run(to, func(t *testing.T) {
			w := newWorld(t)
			for n := range 3 {
				w.put(t, n, map[string]string{"a.py": fmt.Sprint(n)})
			}
			current := filepath.Join(w.mount.dir, currentName)
			ok(t, os.Remove(current))
			ok(t, os.Symlink(to, current))
			ok(t, w.mount.Close())
			w.mount = must[*Mount](t)(Open(w.mount.dir))

			if v, image, err := w.mount.Current(); v != "" || image || err != nil {
				t.Errorf("current is %q, %v, %v; want neither", v, image, err)
			}
			// It may lead to any version, so none is removed.
			gone := must[[]slipway.Version](t)(w.mount.Prune(t.Context(), 0, 0, time.Now().Add(time.Hour)))
			if on := must[[]MountedVersion](t)(w.mount.Versions()); len(gone) != 0 || len(on) != 3 || on[0].Current {
				t.Errorf("removed %v, left %+v; want all three, none current", gone, on)
			}
			ok(t, w.mount.Mount(t.Context(), version(1), w.src, nil))
			w.checkCurrent(t, 1)
		})
	}
}

// A real file or folder is somebody's, and never deleted.
func TestCurrentThatIsNoLink(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"file":   func(path string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
		"folder": func(path string) error { return os.MkdirAll(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			man := manifestOf(t, w.store, version(1), map[string]string{"a.py": "1"})
			current := filepath.Join(w.mount.dir, currentName)
			ok(t, put(current))
			_, _, err := w.mount.Current()
			for _, err := range []error{err, w.mount.Mount(t.Context(), man.Version, w.src.with(man), nil), w.mount.UseImage("/dags")} {
				if kind, text := slipway.Explain(err); kind != slipway.Conflict || !strings.Contains(text, current) {
					t.Errorf("error %v, want that current is in the way", err)
				}
			}
			if info := must[os.FileInfo](t)(os.Lstat(current)); info.Mode()&os.ModeSymlink != 0 || name == "file" && info.Size() != 4 {
				t.Errorf("current is %v now, want it to stay", info.Mode())
			}
			ok(t, os.Remove(current))
			ok(t, w.mount.Mount(t.Context(), man.Version, w.src.with(man), nil))
			w.checkCurrent(t, 1)
		})
	}
}

// A version whose files have absurd sizes does not look small.
func TestRoomForMoreThanCanBeCounted(t *testing.T) {
	var m missingFiles
	for range 3 {
		ok(t, m.add(recorded{File: slipway.File{SHA256: sha("a"), Size: math.MaxInt64 / 2}}, 7))
	}
	if len(m.list) != 3 || m.bytes != math.MaxInt64 {
		t.Errorf("%d files with %d bytes, want 3 with all that can be counted", len(m.list), m.bytes)
	}
}

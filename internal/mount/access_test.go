package mount

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slipway/internal/bundle"
	"slipway/internal/durable"
)

// Whatever the umask, every user can read the DAGs from the mount down.
func TestUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o027, 0o077} {
		t.Run(fs.FileMode(umask).String(), func(t *testing.T) {
			s := must[*bundle.Store](t)(bundle.Open(filepath.Join(t.TempDir(), "data")))
			dir := filepath.Join(t.TempDir(), "made", "for", "airflow")
			before := unix.Umask(umask)
			defer unix.Umask(before)
			m, err := Open(dir)
			ok(t, err)
			w := &world{store: s, mount: m, src: sourceOf(s)}
			defer func() { ok(t, m.Close()); ok(t, durable.RemoveTree(dir)) }()
			w.put(t, 1, map[string]string{"a.py": "a", "sub/deep/b.py": "b", "run.sh": "x"})
			checkReadable(t, filepath.Join(m.versionPath(version(1))))
			for _, path := range []string{filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), dir, m.versions()} {
				wantPerm(t, path, 0o755)
			}
			ok(t, m.UseImage("/usr/local/airflow/dags"))
			wantPerm(t, filepath.Join(dir, imageName), 0o755)
		})
	}
}

func wantPerm(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	if info := must[fs.FileInfo](t)(os.Stat(path)); info.Mode().Perm() != want {
		t.Errorf("%s has the mode %v, want %v", path, info.Mode(), want)
	}
}

// checkReadable wants every folder and file below dir readable by all.
func checkReadable(t *testing.T, dir string) {
	t.Helper()
	ok(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		want := fs.FileMode(0o444)
		if d.IsDir() {
			want = 0o555
		}
		if info := must[fs.FileInfo](t)(d.Info()); info.Mode().Perm()&want != want {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return nil
	}))
}

func TestClosed(t *testing.T) {
	for name, tt := range map[string]struct {
		closed string // below the test's folder
		mode   fs.FileMode
		above  bool
	}{
		"nothing":              {},
		"folder above":         {"up", 0o700, true},
		"group above":          {"up", 0o750, true},
		"the mount":            {"up/mount", 0o700, false},
		"the group's":          {"up/mount", 0o770, false},
		"listing but no entry": {"up/mount", 0o744, false},
		"entry but no listing": {"up/mount", 0o711, false},
		"the versions":         {"up/mount/versions", 0o700, false},
		"a version":            {"up/mount/current", 0o500, false},
		"its DAGs":             {"up/mount/current/dags", 0o500, false},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			for dir := top; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
				ok(t, os.Chmod(dir, 0o755)) //nolint:gosec // of the test
			}
			s := must[*bundle.Store](t)(bundle.Open(filepath.Join(t.TempDir(), "data")))
			m := must[*Mount](t)(Open(filepath.Join(top, "up", "mount")))
			defer func() { ok(t, m.Close()); ok(t, durable.RemoveTree(m.dir)) }()
			(&world{store: s, mount: m, src: sourceOf(s)}).put(t, 1, map[string]string{"a.py": "a"})
			want := ClosedFolder{}
			if tt.closed != "" {
				path := must[string](t)(filepath.EvalSymlinks(filepath.Join(top, tt.closed)))
				ok(t, os.Chmod(path, tt.mode))
				want = ClosedFolder{path, tt.mode, tt.above}
			}
			if tt.mode&1 != 0 {
				want = ClosedFolder{}
			}
			got, is := m.Closed()
			if got != want || is != (want.Path != "") {
				t.Errorf("closed is %v, %v, want %v", got, is, want)
			}
		})
	}
}

func TestWhoMayEnter(t *testing.T) {
	me := user{1000, 1000}
	for _, tt := range []struct {
		a    access
		want bool
	}{
		{access{me, 0o755}, false}, {access{me, 0o701}, false},
		{access{me, 0o700}, true}, {access{me, 0o750}, true}, {access{me, 0o754}, true},
		{access{user{1000, 50000}, 0o750}, false}, {access{user{1000, 50000}, 0o700}, true}, {access{user{1000, 50000}, 0o740}, true},
		{access{user{50000, 1000}, 0o700}, false}, {access{user{50000, 1000}, 0o600}, true},
	} {
		if got := me.alone(tt.a); got != tt.want {
			t.Errorf("only %v may enter %v: %v, want %v", me, tt.a, got, tt.want)
		}
	}
}

// Folders that a kill left closed to all but the owner are opened by the next start;
// other permissions are somebody's choice.
func TestHalfMadeFolders(t *testing.T) {
	for mode, want := range map[fs.FileMode]fs.FileMode{0o700: 0o755, 0o750: 0o750, 0o755: 0o755, 0o775: 0o775} {
		dir := filepath.Join(t.TempDir(), "mount")
		for _, name := range []string{versionsName, imageName} {
			ok(t, os.MkdirAll(filepath.Join(dir, name), 0o755)) //nolint:gosec // of the test
			ok(t, os.Chmod(filepath.Join(dir, name), mode))
		}
		m := must[*Mount](t)(Open(dir))
		for _, name := range []string{versionsName, imageName} {
			wantPerm(t, filepath.Join(dir, name), want)
		}
		wantPerm(t, filepath.Join(dir, inUseName), 0o777)
		ok(t, m.Close())
	}
}

package mount

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/bundle"
	"slipway/internal/bundle/buckettest"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// world is a store and a mount beside it.
type world struct {
	data  string // the store's folder
	store *bundle.Store
	mount *Mount
	src   *counted
}

func newWorld(t testing.TB) *world {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	s := must[*bundle.Store](t)(bundle.Open(data))
	m := must[*Mount](t)(Open(filepath.Join(t.TempDir(), "mount")))
	w := &world{data: data, store: s, mount: m, src: sourceOf(s)}
	t.Cleanup(func() { ok(t, errors.Join(w.mount.Close(), durable.RemoveTree(m.dir))) })
	return w
}

// counted is a Source that counts what is read through it.
type counted struct {
	bundle.Source
	reads     int
	bytes     int64
	manifests map[slipway.Version]slipway.Manifest
}

// sourceOf is a Source of the contents in s, without manifests yet.
func sourceOf(s *bundle.Store) *counted {
	return &counted{Source: s.Source(ns), manifests: map[slipway.Version]slipway.Manifest{}}
}

// with adds a manifest.
func (c *counted) with(m slipway.Manifest) *counted {
	c.manifests[m.Version] = m
	return c
}

func (c *counted) Manifest(_ context.Context, v slipway.Version) (io.ReadCloser, error) {
	m, ok := c.manifests[v]
	if !ok {
		return nil, fs.ErrNotExist
	}
	var b bytes.Buffer
	err := bundle.WriteManifest(&b, m)
	return io.NopCloser(&b), err
}

func (c *counted) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	c.reads++
	c.bytes += length
	return c.Source.Frames(ctx, pack, offset, length)
}

// put mounts a version of files, with all contents in a pack of its own.
func (w *world) put(t testing.TB, n int, files map[string]string) slipway.Manifest {
	t.Helper()
	m := manifestOf(t, w.store, version(n), files)
	ok(t, w.mount.Mount(t.Context(), m.Version, w.src.with(m), nil))
	return m
}

// path returns where the file at path of version n lies on disk.
func (w *world) path(n int, path string) string {
	return filepath.Join(w.mount.versionPath(version(n)), "dags", path)
}

func (w *world) stat(t testing.TB, n int, path string) fs.FileInfo {
	t.Helper()
	return must[fs.FileInfo](t)(os.Lstat(w.path(n, path)))
}

// checkCurrent checks that current is version n.
func (w *world) checkCurrent(t testing.TB, n int) {
	t.Helper()
	v, image, err := w.mount.Current()
	if err != nil || image || v != version(n) {
		t.Errorf("current is %q, image %v, %v, want %q", v, image, err, version(n))
	}
}

// readTree reads all files below dir: path → content, "-> target" for a symlink.
func readTree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	ok(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := must[string](t)(filepath.Rel(dir, path))
		if d.Type()&fs.ModeSymlink != 0 {
			files[name] = "-> " + must[string](t)(os.Readlink(path))
			return nil
		}
		files[name] = string(must[[]byte](t)(os.ReadFile(path)))
		return nil
	}))
	return files
}

// checkNoTemp checks that nothing unfinished is left.
func (w *world) checkNoTemp(t testing.TB) {
	t.Helper()
	for _, dir := range []string{w.mount.dir, w.mount.versions()} {
		if left := must[[]string](t)(durable.Leftovers(dir)); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	}
}

func sampleFiles() map[string]string {
	return map[string]string{
		"a.py": "from airflow import DAG", "run.sh": "#!/bin/sh", "sales/__init__.py": "", "sales/deep/er/b.py": noise(1, 300_000),
		"sales/big.bin": noise(2, 3<<20), "again/big.bin": noise(2, 3<<20), "again/__init__.py": "", "link.py": "-> sales/deep/er/b.py", "dir": "-> sales/deep",
	}
}

func TestMountBringsEveryByte(t *testing.T) {
	w := newWorld(t)
	man := manifestOf(t, w.store, version(1), sampleFiles())
	var last, total int64
	ok(t, w.mount.Mount(t.Context(), man.Version, w.src.with(man), func(d, n int64) {
		if d < last {
			t.Errorf("progress went back from %d to %d", last, d)
		}
		last, total = d, n
	}))

	w.checkCurrent(t, 1)
	w.checkNoTemp(t)
	checkSame(t, readTree(t, filepath.Join(w.mount.dir, "current", "dags")), sampleFiles())
	var size int64
	for _, f := range man.Files {
		size += f.Size
	}
	if last != size || total != size {
		t.Errorf("progress ended at %d of %d, want %d", last, total, size)
	}
	ok(t, filepath.WalkDir(w.mount.versionPath(version(1)), func(path string, d fs.DirEntry, err error) error {
		ok(t, err)
		want := fs.FileMode(0o444)
		switch {
		case d.IsDir():
			want = 0o555
		case filepath.Ext(path) == ".sh":
			want = 0o555
		case d.Type()&fs.ModeSymlink != 0:
			return nil
		}
		if got := must[fs.FileInfo](t)(d.Info()).Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
		return nil
	}))
}

func TestMountLinksWhatIsUnchanged(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, map[string]string{"same.py": "s", "changed.py": "1", "gone.py": "g", "mode": "m", "moved.py": "v", "sub/same.py": "s2", "l": "-> same.py"})
	files := map[string]string{"same.py": "s", "changed.py": "2", "mode": "m", "sub/moved.py": "v", "sub/same.py": "s2", "l": "-> sub/same.py"}
	man := manifestOf(t, w.store, version(2), files)
	for i := range man.Files {
		man.Files[i].Exec = man.Files[i].Path == "mode"
	}
	ok(t, w.mount.Mount(t.Context(), man.Version, w.src.with(man), nil))

	for path, want := range map[string]bool{"same.py": true, "sub/same.py": true, "changed.py": false, "mode": false} {
		if got := os.SameFile(w.stat(t, 1, path), w.stat(t, 2, path)); got != want {
			t.Errorf("%s is the same inode: %v, want %v", path, got, want)
		}
	}
	if os.SameFile(w.stat(t, 1, "moved.py"), w.stat(t, 2, "sub/moved.py")) {
		t.Error("a file was linked from another path")
	}
	if a, b := w.stat(t, 1, "changed.py"), w.stat(t, 2, "changed.py"); b.ModTime().Unix() <= a.ModTime().Unix() {
		t.Errorf("the changed file has time %v, the old one %v: Python could not tell them apart", b.ModTime(), a.ModTime())
	}
	checkSame(t, readTree(t, filepath.Join(w.mount.dir, "current", "dags")), files)
	if got := readTree(t, w.path(1, ""))["changed.py"]; got != "1" {
		t.Errorf("the old version now has %q", got)
	}
}

func TestMountReadsOnlyWhatItNeeds(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{}
	for i := range 20 {
		files[string(rune('a'+i))+".bin"] = noise(uint64(i), 600_000)
	}
	w.put(t, 1, files)
	full := w.src.bytes
	if w.src.reads != 1 {
		t.Errorf("%d reads for one pack, want 1", w.src.reads)
	}
	files["a.bin"] = "changed"
	man := manifestOf(t, w.store, version(2), files) // everything in a new pack again
	ok(t, w.mount.Mount(t.Context(), man.Version, w.src.with(man), nil))
	if got := w.src.bytes - full; got > full/8 {
		t.Errorf("one changed file read %d bytes, the whole %d", got, full)
	}

	before := w.src.reads
	ok(t, w.mount.Mount(t.Context(), man.Version, w.src.with(man), nil))
	w.checkCurrent(t, 2)
	ok(t, w.mount.Mount(t.Context(), version(1), w.src, nil))
	w.checkCurrent(t, 1)
	if w.src.reads != before {
		t.Errorf("switching between versions on disk read packs %d times", w.src.reads-before)
	}
}

func TestUseImage(t *testing.T) {
	w := newWorld(t)
	current := filepath.Join(w.mount.dir, "current")
	for _, dags := range []string{"/usr/local/airflow/dags", "/opt/airflow/dags", "/opt/airflow/dags"} {
		ok(t, w.mount.UseImage(dags))
		if got := must[string](t)(os.Readlink(filepath.Join(current, "dags"))); got != dags {
			t.Errorf("current/dags leads to %s, want %s", got, dags)
		}
	}
	if v, image, err := w.mount.Current(); v != "" || !image || err != nil {
		t.Errorf("current is %q, %v, %v, want the image", v, image, err)
	}
	w.put(t, 1, map[string]string{"a.py": "1"})
	w.checkCurrent(t, 1)
	ok(t, w.mount.UseImage("/opt/airflow/dags"))
	checkSame(t, readTree(t, w.path(1, "")), map[string]string{"a.py": "1"})
	for _, bad := range []string{"", "dags", "/opt/../etc", "/opt/"} {
		if err := w.mount.UseImage(bad); err == nil {
			t.Errorf("UseImage took %q", bad)
		}
	}
	w.checkNoTemp(t)
}

func TestOneAgentPerFolder(t *testing.T) {
	w := newWorld(t)
	_, err := Open(w.mount.dir)
	if kind, text := slipway.Explain(err); kind != slipway.Conflict || !strings.Contains(text, w.mount.dir) {
		t.Errorf("Open: %v, want a conflict that names the folder", err)
	}
	ok(t, w.mount.Close())
	w.mount = must[*Mount](t)(Open(w.mount.dir))
	ok(t, w.mount.Close())
	w.mount = must[*Mount](t)(Open(w.mount.dir))
}

func TestOpenMountRemovesLeftovers(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, map[string]string{"a.py": "1"})
	ok(t, w.mount.Close())
	half := filepath.Join(w.mount.versions(), ".tmp-half")
	ok(t, os.MkdirAll(filepath.Join(half, "dags"), 0o755))
	ok(t, os.WriteFile(filepath.Join(half, "dags", "a.py"), nil, 0o444))
	ok(t, errors.Join(os.Chmod(filepath.Join(half, "dags"), 0o555), os.Chmod(half, 0o555)))
	ok(t, os.Symlink("versions", filepath.Join(w.mount.dir, ".tmp-current")))
	others := filepath.Join(w.mount.dir, ".tmp-others") // the portal writes image.env beside
	ok(t, os.WriteFile(others, nil, 0o600))

	w.mount = must[*Mount](t)(Open(w.mount.dir))
	must[fs.FileInfo](t)(os.Stat(others))
	ok(t, errors.Join(w.mount.Close(), os.Chtimes(others, time.Time{}, time.Now().Add(-2*writesEnd))))
	w.mount = must[*Mount](t)(Open(w.mount.dir))
	w.checkNoTemp(t)
	w.checkCurrent(t, 1)
}

func TestReuseCopiesWhereItCannotLink(t *testing.T) {
	w := newWorld(t)
	w.put(t, 1, map[string]string{"a.py": "good", "b.sh": "good"})
	list, found, err := w.mount.record(version(1))
	if err != nil || !found {
		t.Fatal(found, err)
	}
	defer list.close()
	elsewhere := t.TempDir()
	if _, err := os.Stat("/dev/shm"); err == nil { // another file system
		elsewhere = must[string](t)(os.MkdirTemp("/dev/shm", "slipway-"))
		defer durable.RemoveTree(elsewhere)
	}
	s := must[*staging](t)(newStaging(elsewhere, version(1), time.Now().Add(time.Hour)))
	defer func() { ok(t, s.close()) }()
	before := must[*previous](t)(w.mount.previous([]MountedVersion{{Version: version(1)}}, version(2)))
	defer before.close()
	ok(t, s.adopt(t.Context(), list, before))
	for _, path := range []string{"a.py", "b.sh"} {
		a, b := w.stat(t, 1, path), must[fs.FileInfo](t)(os.Stat(filepath.Join(s.dir, "dags", path)))
		if !a.ModTime().Equal(b.ModTime()) || a.Mode() != b.Mode() {
			t.Errorf("%s has %v, %v, want %v, %v", path, b.ModTime(), b.Mode(), a.ModTime(), a.Mode())
		}
	}
	if was := must[[]byte](t)(os.ReadFile(w.mount.recordPath(version(1)))); !bytes.Equal(must[[]byte](t)(os.ReadFile(s.record.Name())), was) || len(s.missing.list) > 0 {
		t.Errorf("%d files are missing, and the record is not that of before:\n%s", len(s.missing.list), was)
	}
	for _, err := range []error{unix.EMLINK, unix.EXDEV, unix.EPERM} {
		if !unlinkable(os.NewSyscallError("linkat", err)) {
			t.Errorf("%v is not answered by a copy", err)
		}
	}
	bad := recorded{File: slipway.File{SHA256: sha("good")}}
	if err := verified(bad, bytes.NewReader([]byte("evil")))(io.Discard); err == nil {
		t.Error("a copy of another content was taken")
	}
}

func TestMountFromEveryKindOfBucket(t *testing.T) {
	for name, start := range buckettest.Kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := must[*bundle.Store](t)(bundle.OpenBucket(t.Context(), filepath.Join(t.TempDir(), "data"), start(t).Address))
			m := must[*Mount](t)(Open(filepath.Join(t.TempDir(), "mount")))
			t.Cleanup(func() { ok(t, errors.Join(m.Close(), durable.RemoveTree(m.dir))) })
			ok(t, m.Mount(t.Context(), version(1), sourceOf(s).with(manifestOf(t, s, version(1), sampleFiles())), nil))
			checkSame(t, readTree(t, filepath.Join(m.dir, "current", "dags")), sampleFiles())
		})
	}
}

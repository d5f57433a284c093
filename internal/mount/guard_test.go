package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"slipway/internal/slipway"
)

func TestMountDoesNotTrustATouchedFile(t *testing.T) {
	for name, touch := range map[string]func(path string) error{
		"content": func(path string) error { return os.WriteFile(path, []byte("evil"), 0) },
		"size":    func(path string) error { return os.Truncate(path, 1) },
		"time":    func(path string) error { return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)) },
		"mode":    func(path string) error { return os.Chmod(path, 0o644) },
		"gone":    os.Remove,
		"symlink": func(path string) error { return errors.Join(os.Remove(path), os.Symlink("b.py", path)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			files := map[string]string{"a.py": "good", "b.py": "good"}
			w.put(t, 1, files)
			ok(t, os.Chmod(w.path(1, ""), 0o755))
			ok(t, os.Chmod(w.path(1, "a.py"), 0o644))
			ok(t, touch(w.path(1, "a.py")))
			if name != "mode" && name != "gone" && name != "symlink" {
				ok(t, os.Chmod(w.path(1, "a.py"), 0o444))
			}

			w.put(t, 2, files)
			checkSame(t, readTree(t, w.path(2, "")), files)
			if !os.SameFile(w.stat(t, 1, "b.py"), w.stat(t, 2, "b.py")) {
				t.Error("the untouched file was not linked")
			}
			// The damaged version is written anew, although it is on disk.
			w.put(t, 1, files)
			checkSame(t, readTree(t, w.path(1, "")), files)
			w.checkNoTemp(t)
		})
	}
}

func TestMountFailsWhole(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, w *world, m *slipway.Manifest){
		"forged content": func(t *testing.T, w *world, m *slipway.Manifest) {
			m.Files[0] = forgedPack(t, w.data, "wanted", "forged")
		},
		"forged large content": func(t *testing.T, w *world, m *slipway.Manifest) {
			m.Files[0] = forgedPack(t, w.data, "wanted", noise(3, smallMax+1))
		},
		"another size": func(_ *testing.T, _ *world, m *slipway.Manifest) { m.Files[0].Size++ },
		"missing pack": func(_ *testing.T, _ *world, m *slipway.Manifest) { m.Files[0].Pack = sha("no pack") },
		"frame of others": func(t *testing.T, w *world, m *slipway.Manifest) {
			f := forgedPack(t, w.data, "other", "other")
			m.Files[0].Place, m.Files[1].Place = f.Place, f.Place
		},
		"frame beyond the end": func(_ *testing.T, _ *world, m *slipway.Manifest) { m.Files[0].Offset += 1 << 20 },
		"flipped bits": func(t *testing.T, w *world, m *slipway.Manifest) {
			path := packPath(w.data, m.Files[0].Pack)
			b := must[[]byte](t)(os.ReadFile(path))
			copy(b[len(b)/2:], "flipped bits")
			ok(t, os.WriteFile(path, b, 0o600))
		},
		"path that leads out": func(_ *testing.T, _ *world, m *slipway.Manifest) { m.Files[0].Path = "../../a.py" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, 1, map[string]string{"old.py": "old"})
			man := manifestOf(t, w.store, version(2), map[string]string{"a.py": "new a", "b.py": noise(9, 100_000)})
			spoil(t, w, &man)

			if err := w.mount.Mount(t.Context(), man.Version, w.src.with(man), nil); err == nil {
				t.Error("mounted without an error")
			}

			w.checkCurrent(t, 1)
			w.checkNoTemp(t)
			entries := must[[]os.DirEntry](t)(os.ReadDir(w.mount.versions()))
			if len(entries) != 2 {
				t.Errorf("versions holds %v, want one version and its record", entries)
			}
		})
	}
}

func TestMountIsCancelled(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	man := manifestOf(t, w.store, version(1), sampleFiles())
	if err := w.mount.Mount(ctx, man.Version, w.src.with(man), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Mount: %v, want canceled", err)
	}
	if v, image, err := w.mount.Current(); v != "" || image || err != nil {
		t.Errorf("current is %q, %v, %v", v, image, err)
	}
	w.checkNoTemp(t)
}

// A version on disk is never written anew with other files.
func TestMountRefusesOtherFilesForAVersion(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"another content": {"a.py": "2", "b.py": "b"},
		"one more":        {"a.py": "1", "b.py": "b", "c.py": "c"},
		"one less":        {"a.py": "1"},
		"another name":    {"a.py": "1", "c.py": "b"},
		"a link":          {"a.py": "1", "b.py": "-> a.py"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := w.put(t, 1, map[string]string{"a.py": "1", "b.py": "b"})
			other := manifestOf(t, w.store, version(1), files)
			ok(t, w.mount.Mount(t.Context(), version(1), w.src.with(other), nil)) // whole on disk
			checkSame(t, readTree(t, w.path(1, "")), map[string]string{"a.py": "1", "b.py": "b"})

			ok(t, os.Chmod(w.path(1, ""), 0o755))
			ok(t, errors.Join(os.Remove(w.path(1, "b.py")), os.Remove(packPath(w.data, m.Files[1].Pack))))
			if err := w.mount.Mount(t.Context(), version(1), w.src, nil); !errors.Is(err, errOtherFiles) {
				t.Errorf("Mount: %v, want that the files are others", err)
			}
			checkSame(t, readTree(t, w.path(1, "")), map[string]string{"a.py": "1"})
			w.checkNoTemp(t)
		})
	}
}

// What the record names may lie in another pack by now, as packs are merged: the
// manifest says where.
func TestMountRepairsFromTheManifest(t *testing.T) {
	w := newWorld(t)
	m := w.put(t, 1, map[string]string{"a.py": "1", "b.py": "b"})
	ok(t, os.Chmod(w.path(1, ""), 0o755))
	ok(t, errors.Join(os.Remove(w.path(1, "b.py")), os.Remove(packPath(w.data, m.Files[1].Pack))))
	merged := manifestOf(t, w.store, version(1), map[string]string{"a.py": "1", "b.py": "b", "z.py": "other"})
	merged.Files = merged.Files[:2]
	ok(t, w.mount.Mount(t.Context(), version(1), w.src.with(merged), nil))
	checkSame(t, readTree(t, w.path(1, "")), map[string]string{"a.py": "1", "b.py": "b"})
}

// A record that was damaged on disk brings nothing wrong into a later version.
func TestDamagedRecords(t *testing.T) {
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("f%02d.py", i)] = fmt.Sprint("content ", i)
	}
	for name, spoil := range map[string]func(text []byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"cut":             func(text []byte) []byte { return text[:len(text)/2] },
		"cut in a line":   func(text []byte) []byte { return text[:len(text)/2+20] },
		"a line is gone":  func(text []byte) []byte { return slices.Delete(text, bytes.IndexByte(text, '\n')+1, 400) },
		"another version": func(text []byte) []byte { return bytes.Replace(text, []byte("2026"), []byte("2027"), 1) },
		"zeros":           func(text []byte) []byte { clear(text[len(text)/2:]); return text },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t, 1, files)
			record := w.mount.recordPath(version(1))
			ok(t, os.WriteFile(record, spoil(must[[]byte](t)(os.ReadFile(record))), 0o600))
			w.put(t, 2, files)
			checkSame(t, readTree(t, w.path(2, "")), files)
			must[[]Damage](t)(w.mount.Scrub(t.Context(), 0))
			w.put(t, 1, files) // the record is written anew
			checkSame(t, readTree(t, w.path(1, "")), files)
			if c := must[condition](t)(w.mount.condition(version(1))); !c.complete {
				t.Errorf("condition %+v, want it complete", c)
			}
			w.checkNoTemp(t)
		})
	}
}

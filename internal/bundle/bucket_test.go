package bundle

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"slipway/internal/bundle/buckettest"
	"slipway/internal/slipway"
)

// bucketStore opens a store in a bucket, in a data folder of its own.
func bucketStore(t *testing.T, b buckettest.Bucket) *Store {
	t.Helper()
	s := must[*Store](t)(OpenBucket(t.Context(), filepath.Join(t.TempDir(), "data"), b.Address))
	hurry(s, 20*time.Second)
	return s
}

// hurry has a store wait less for its bucket.
func hurry(s *Store, patience time.Duration) {
	in := s.backend.(*bucket)
	in.pause, in.patience = 10*time.Millisecond, patience
}

// everywhere runs a test on a store of each kind.
func everywhere(t *testing.T, test func(t *testing.T, s *Store, b buckettest.Bucket)) {
	t.Parallel()
	t.Run("folder", func(t *testing.T) {
		test(t, must[*Store](t)(Open(t.TempDir())), buckettest.Bucket{})
	})
	for name, start := range buckettest.Kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t)
			test(t, bucketStore(t, b), b)
		})
	}
}

// listed returns the names of all packs and manifests.
func listed(t *testing.T, s *Store) (names []string) {
	t.Helper()
	for p, err := range s.Packs(ns) {
		ok(t, err)
		names = append(names, p.SHA256)
	}
	for v, err := range s.Manifests(ns) {
		ok(t, err)
		names = append(names, string(v))
	}
	return names
}

func TestStoreEverywhere(t *testing.T) {
	everywhere(t, func(t *testing.T, s *Store, b buckettest.Bucket) {
		known := places{}
		files := map[string]string{"a.py": "import airflow\n@dag", "large.bin": noise(1, 1<<20), "l.py": "-> a.py", "sub/run.sh": "#!/bin/sh", "empty": ""}
		first := stageFiles(t, s, known, files)
		again := stageFiles(t, s, known, files)
		if len(first.New) != 4 || len(again.New) != 0 || again.Pack != (Pack{}) {
			t.Errorf("%d contents are new, and then %d in pack %q", len(first.New), len(again.New), again.Pack.SHA256)
		}
		checkSame(t, storedFiles(t, s, first.Files), files)
		m := slipway.Manifest{Version: version(1), Files: first.Files}
		checkPut(t, s, m)
		checkURLs(t, s, first.Pack, b.Signs)
		checkReads(t, s, first.Pack)
		if got, want := listed(t, s), []string{first.Pack.SHA256, string(m.Version)}; !slices.Equal(got, want) {
			t.Errorf("there are %q, want %q", got, want)
		}
		checkDrops(t, s, first.Pack, m.Version)
	})
}

func checkPut(t *testing.T, s *Store, m slipway.Manifest) {
	t.Helper()
	if _, err := s.Manifest(ns, m.Version); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it is put: %v", err)
	}
	size := must[int64](t)(s.PutManifest(ns, m))
	if again := must[int64](t)(s.PutManifest(ns, m)); again != size || size == 0 {
		t.Errorf("sizes %d and %d, want the same", size, again)
	}
	if _, err := s.PutManifest(ns, slipway.Manifest{Version: m.Version, Files: m.Files[:1]}); err == nil {
		t.Error("another content for the same version was put")
	}
	if got := must[slipway.Manifest](t)(s.Manifest(ns, m.Version)); !slices.Equal(got.Files, m.Files) {
		t.Errorf("got %v, want %v", got, m)
	}
}

// checkURLs reads a part of a pack at its signed address, if it has one.
func checkURLs(t *testing.T, s *Store, p Pack, signs bool) {
	t.Helper()
	address := must[string](t)(s.PackURL(t.Context(), ns, p.SHA256))
	if signs != (address != "") || signs != (must[string](t)(s.ManifestURL(t.Context(), ns, version(1))) != "") {
		t.Fatalf("the address is %q, want one: %v", address, signs)
	}
	if !signs {
		return
	}
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil))
	req.Header.Set("Range", "bytes=1000-1999")
	resp := must[*http.Response](t)(http.DefaultClient.Do(req))
	defer resp.Body.Close()
	got := must[[]byte](t)(io.ReadAll(resp.Body))
	part := must[io.ReadCloser](t)(s.Source(ns).Frames(t.Context(), p.SHA256, 1000, 1000))
	defer part.Close()
	if want := must[[]byte](t)(io.ReadAll(part)); resp.StatusCode != http.StatusPartialContent || len(want) != 1000 || !bytes.Equal(got, want) {
		t.Errorf("answer %d with %d bytes, want those of the pack", resp.StatusCode, len(got))
	}
}

// checkReads reads a pack as the portal sends it, and as a check does.
func checkReads(t *testing.T, s *Store, p Pack) {
	t.Helper()
	f := must[File](t)(s.OpenPack(ns, p.SHA256))
	defer f.Close()
	whole := must[[]byte](t)(io.ReadAll(f))
	info := must[fs.FileInfo](t)(f.Stat())
	if int64(len(whole)) != p.Size || info.Size() != p.Size || time.Since(info.ModTime()).Abs() > time.Hour {
		t.Errorf("%d bytes of %d, from %v", len(whole), info.Size(), info.ModTime())
	}
	at := must[int64](t)(f.Seek(-100, io.SeekEnd))
	if rest := must[[]byte](t)(io.ReadAll(f)); at != p.Size-100 || !bytes.Equal(rest, whole[at:]) {
		t.Errorf("from byte %d there are %d other bytes", at, len(rest))
	}
	contents := 0
	ok(t, s.CheckPack(t.Context(), ns, p.SHA256, func(slipway.File) { contents++ }))
	if contents != 4 {
		t.Errorf("a check found %d contents, want 4", contents)
	}
}

// checkDrops drops a pack and a manifest, twice, and then the rest.
func checkDrops(t *testing.T, s *Store, p Pack, v slipway.Version) {
	t.Helper()
	more := stageFiles(t, s, places{}, map[string]string{"b.py": "b"})
	must[int64](t)(s.PutManifest(ns, slipway.Manifest{Version: version(2), Files: more.Files}))
	for range 2 {
		ok(t, errors.Join(s.DropPack(ns, p.SHA256), s.DropManifest(ns, v)))
	}
	if got, want := listed(t, s), []string{more.Pack.SHA256, string(version(2))}; !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	_, err := s.Source(ns).Frames(t.Context(), p.SHA256, 0, 10)
	_, openErr := s.OpenPack(ns, p.SHA256)
	if checkErr := s.CheckPack(t.Context(), ns, p.SHA256, nil); !errors.Is(err, fs.ErrNotExist) || !errors.Is(openErr, fs.ErrNotExist) || !errors.Is(checkErr, fs.ErrNotExist) {
		t.Errorf("of a pack that is gone: %v; %v; %v", err, openErr, checkErr)
	}
	if got := namespaces(t, s); !slices.Equal(got, []string{ns}) {
		t.Errorf("namespaces %q", got)
	}
	ok(t, s.DropNamespace(ns))
	ok(t, s.DropNamespace(ns))
	if got := listed(t, s); len(got) > 0 {
		t.Errorf("left over: %q", got)
	}
}

func namespaces(t *testing.T, s *Store) (names []string) {
	t.Helper()
	for ns, err := range s.Namespaces() {
		ok(t, err)
		names = append(names, ns)
	}
	return names
}

func TestMergeEverywhere(t *testing.T) {
	everywhere(t, func(t *testing.T, s *Store, _ buckettest.Bucket) {
		want := map[string]string{"a.py": "a", "b.py": "b", "c.bin": noise(1, 1<<20), "l.py": "-> a.py"}
		var files []slipway.File
		for path, content := range want {
			files = append(files, stageFiles(t, s, places{}, map[string]string{path: content, "no longer wanted": path}).Files...)
		}
		files = slices.DeleteFunc(files, func(f slipway.File) bool { return f.Path == "no longer wanted" })
		slipway.SortFiles(files)
		pack, at, err := s.Merge(t.Context(), ns, files)
		ok(t, err)
		for i, f := range files {
			if f.Link == "" {
				files[i].Place = at[f.SHA256]
			}
		}
		if !slices.Contains(listed(t, s), pack.SHA256) {
			t.Error("the pack is not there")
		}
		checkSame(t, storedFiles(t, s, files), want)
		var archive bytes.Buffer
		ok(t, s.WriteArchive(t.Context(), ns, slipway.Manifest{Version: version(1), Files: files}, &archive))
		if archive.Len() < 1<<20 {
			t.Errorf("the archive has %d bytes", archive.Len())
		}
	})
}

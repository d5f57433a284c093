package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

// upload returns a .tar.gz of files: path → content, "-> x" for a symlink.
func upload(t testing.TB, files map[string]string) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if target, isLink := strings.CutPrefix(files[name], "-> "); isLink {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if filepath.Ext(name) == ".sh" {
			h.Mode = 0o755
		}
		ok(t, w.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			must[int](t)(io.WriteString(w, files[name]))
		}
	}
	ok(t, errors.Join(w.Close(), zip.Close()))
	return bytes.NewReader(b.Bytes())
}

// places is what a caller of Stage records: the contents that are known.
type places map[string]slipway.Place

func (p places) known(sha string) (slipway.Place, bool) {
	at, ok := p[sha]
	return at, ok
}

// stageFiles stages an upload of files and records what is new.
func stageFiles(t testing.TB, s *Store, p places, files map[string]string) Staged {
	t.Helper()
	packed := upload(t, files)
	staged := must[Staged](t)(s.Stage(t.Context(), ns, packed, packed.Size(), archive.DefaultLimits(), archive.Search{}, p.known))
	for _, f := range staged.New {
		p[f.SHA256] = f.Place
	}
	return staged
}

// storedFiles reads files back from the packs.
func storedFiles(t testing.TB, s *Store, files []slipway.File) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, f := range files {
		if f.Link != "" {
			got[f.Path] = "-> " + f.Link
			continue
		}
		r := must[io.ReadCloser](t)(s.Content(t.Context(), ns, f))
		got[f.Path] = string(must[[]byte](t)(io.ReadAll(r)))
		ok(t, r.Close())
		if f.Size != int64(len(got[f.Path])) || f.Exec != (filepath.Ext(f.Path) == ".sh") {
			t.Errorf("%s has size %d, executable %v", f.Path, f.Size, f.Exec)
		}
	}
	return got
}

// packFiles returns the names of all that lies beside the packs.
func packFiles(t testing.TB, s *Store) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "packs", ns))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestStage(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	files := map[string]string{
		"b.py": "import airflow\n@dag", "a.sh": "#!/bin/sh", "sub/empty": "", "sub/also": "",
		"sub/large.bin": noise(1, 3<<20), "large.py": "from airflow import DAG\n" + noise(2, 2<<20),
		"more.bin": noise(3, 900_000), "link.py": "-> b.py", "asset.py": "from airflow.sdk import asset",
	}
	staged := stageFiles(t, s, places{}, files)

	checkSame(t, storedFiles(t, s, staged.Files), files)
	if !slices.IsSortedFunc(staged.Files, func(a, b slipway.File) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("the files are not sorted")
	}
	if len(staged.New) != 7 {
		t.Errorf("%d new contents, want 7: the empty one is stored once", len(staged.New))
	}
	if got, want := packFiles(t, s), []string{staged.Pack.SHA256 + ".tar.zst"}; !slices.Equal(got, want) {
		t.Errorf("on disk are %v, want %v", got, want)
	}
	ok(t, CheckManifest(slipway.Manifest{Version: version(1), Files: staged.Files}))
	for _, f := range staged.Files {
		if dag, asset := f.Path == "b.py" || f.Path == "large.py", f.Path == "asset.py"; f.DAG != dag || f.Asset != asset {
			t.Errorf("%s is a DAG file: %v, of assets: %v", f.Path, f.DAG, f.Asset)
		}
	}
}

func TestStageStoresWhatIsNew(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	known := places{}
	files := map[string]string{"a.py": "a", "b.bin": noise(1, 2<<20), "c.py": "c"}
	first := stageFiles(t, s, known, files)

	again := stageFiles(t, s, known, files)
	if !slices.Equal(again.Files, first.Files) || again.Pack != (Pack{}) || len(again.New) != 0 {
		t.Errorf("the same upload brought %v and %v", again.Pack, again.New)
	}
	files["c.py"] = "changed, and a line longer"
	changed := stageFiles(t, s, known, files)
	if len(changed.New) != 1 || changed.Pack.Size > 200 {
		t.Errorf("one changed file brought %d contents in %d bytes", len(changed.New), changed.Pack.Size)
	}
	if got := packFiles(t, s); len(got) != 2 {
		t.Errorf("on disk are %v, want two packs", got)
	}
	checkSame(t, storedFiles(t, s, changed.Files), files)
}

func TestStageDropsWhatIsNotDeployed(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		want  []string // the paths deployed
	}{
		"the rest of a project": {map[string]string{"Dockerfile": "FROM x", "big": noise(1, 2<<20), "dags/a.py": "a", "include/b.sql": "b"}, []string{"a.py"}},
		"all by a rule":         {map[string]string{".slipwayignore": "*.csv\n", "a.csv": "1,2", "b.csv": "3,4", "l": "-> a.py"}, []string{"l"}},
		"one by a rule":         {map[string]string{"a.csv": "1,2", "b.py": "same", "c.csv": "same", ".slipwayignore": "*.csv\n"}, []string{"b.py"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := must[*Store](t)(Open(t.TempDir()))
			staged := stageFiles(t, s, places{}, tt.files)

			var paths []string
			used := map[string]bool{}
			for _, f := range staged.Files {
				paths = append(paths, f.Path)
				if f.Link == "" {
					used[f.SHA256] = true
				}
			}
			if !slices.Equal(paths, tt.want) {
				t.Errorf("files %v, want %v", paths, tt.want)
			}
			stored := map[string]bool{}
			for _, name := range packFiles(t, s) {
				f := must[*os.File](t)(s.localPack(t.Context(), ns, strings.TrimSuffix(name, packSuffix)))
				info := must[os.FileInfo](t)(f.Stat())
				ok(t, eachContent(t.Context(), openFrames{f}, []slipway.Place{{Length: info.Size()}}, func(sha string, _ int64, _ io.Reader) error {
					stored[sha] = true
					return nil
				}))
				ok(t, f.Close())
			}
			if !maps.Equal(stored, used) {
				t.Errorf("stored are %v, want what is used, %v", stored, used)
			}
			storedFiles(t, s, staged.Files)
		})
	}
}

func TestStageLeavesNothingOnAnError(t *testing.T) {
	good := upload(t, map[string]string{"a.py": "a", "large": noise(1, 4<<20), "z.py": "z"})
	whole := must[[]byte](t)(io.ReadAll(good))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	lim := archive.DefaultLimits()
	small := lim
	small.Unpacked = 2 << 20
	for name, tt := range map[string]struct {
		ctx     context.Context
		archive []byte
		lim     archive.Limits
		user    bool // whether the user may read why
	}{
		"cut off":      {t.Context(), whole[:len(whole)-40], lim, true},
		"no archive":   {t.Context(), []byte("hello"), lim, true},
		"too large":    {t.Context(), whole, small, true},
		"cancelled":    {cancelled, whole, lim, false},
		"leads out":    {t.Context(), must[[]byte](t)(io.ReadAll(upload(t, map[string]string{"a.py": "a", "l": "-> ../x"}))), lim, true},
		"climbs":       {t.Context(), must[[]byte](t)(io.ReadAll(upload(t, map[string]string{"../a.py": "a"}))), lim, true},
		"damaged data": {t.Context(), slices.Concat(whole[:len(whole)/2], []byte("damage"), whole[len(whole)/2+6:]), lim, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := must[*Store](t)(Open(t.TempDir()))
			staged, err := s.Stage(tt.ctx, ns, bytes.NewReader(tt.archive), int64(len(tt.archive)), tt.lim, archive.Search{}, places{}.known)
			if err == nil {
				t.Fatalf("staged %d files", len(staged.Files))
			}
			if kind, text := slipway.Explain(err); (kind != slipway.Internal) != tt.user {
				t.Errorf("Stage: %v; the user reads %q", err, text)
			}
			if left := packFiles(t, s); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// When packing fails the archive is no longer read, and what waits is dropped.
func TestStageFailsWhenThePackCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	p := must[*packWriter](t)(newPack(dir, archive.DefaultLimits()))
	ok(t, p.f.Close())
	st := &staging{dir: dir, lim: archive.DefaultLimits(), known: places{}.known, pack: p, stored: map[string]storedContent{}, byName: map[string]string{}}
	files := map[string]string{}
	for i := range 40 {
		files[string(rune('a'+i))+".bin"] = noise(uint64(i), 300_000)
	}
	files["large"] = noise(99, 2<<20)
	packed := upload(t, files)
	if _, err := st.read(t.Context(), packed, packed.Size()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read: %v, want that the file is closed", err)
	}
	p.discard()
	if left := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

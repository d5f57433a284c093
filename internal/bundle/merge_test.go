package bundle

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

// stageEach stages files one by one, so that each has a pack of its own.
func stageEach(t *testing.T, s *Store) (files []slipway.File, want map[string]string) {
	t.Helper()
	p, want := places{}, map[string]string{"large.bin": noise(1, 3<<20), "same.py": "x = 1", "same too.py": "x = 1", "l": "-> same.py", "empty": ""}
	for i := range 40 {
		want[fmt.Sprintf("dag_%02d.py", i)] = fmt.Sprintf("import airflow\n@dag\nx = %d", i)
	}
	for path, content := range want {
		files = append(files, stageFiles(t, s, p, map[string]string{path: content, "no longer wanted": "of " + path + noise(2, 100)}).Files...)
	}
	files = slices.DeleteFunc(files, func(f slipway.File) bool { return f.Path == "no longer wanted" })
	slipway.SortFiles(files)
	return files, want
}

func TestMerge(t *testing.T) {
	s := must[*Store](t)(Open(t.TempDir()))
	files, want := stageEach(t, s)
	before := packFiles(t, s)

	pack, at, err := s.Merge(t.Context(), ns, files)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if f.Link == "" {
			files[i].Place = at[f.SHA256]
		}
	}
	checkSame(t, storedFiles(t, s, files), want)
	if len(at) != 43 {
		t.Errorf("%d contents, want 43: one is there twice", len(at))
	}
	after := append(before, pack.SHA256+packSuffix)
	slices.Sort(after)
	if got := packFiles(t, s); !slices.Equal(got, after) {
		t.Errorf("packs %q, want %q", got, after)
	}
	checkOneTar(t, s, pack, slices.Sorted(maps.Keys(at)))
}

// checkOneTar reads a pack as tar and zstd do: as one archive, to its end.
func checkOneTar(t *testing.T, s *Store, pack Pack, want []string) {
	t.Helper()
	f := must[File](t)(s.OpenPack(ns, pack.SHA256))
	defer f.Close()
	if size := must[os.FileInfo](t)(f.Stat()).Size(); size != pack.Size {
		t.Errorf("the pack has %d bytes, not %d", size, pack.Size)
	}
	dec := must[*zstd.Decoder](t)(zstd.NewReader(f))
	defer dec.Close()
	var names []string
	for entries := tar.NewReader(dec); ; {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		ok(t, err)
		names = append(names, h.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("the pack holds %q, want %q", names, want)
	}
}

func TestMergeFailsWhole(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, s *Store, files []slipway.File) context.Context{
		"a pack is gone": func(t *testing.T, s *Store, files []slipway.File) context.Context {
			ok(t, s.DropPack(ns, files[7].Pack))
			return t.Context()
		},
		"a pack is damaged": func(t *testing.T, s *Store, files []slipway.File) context.Context {
			path := filepath.Join(s.dir, "packs", ns, files[7].Pack+packSuffix)
			b := must[[]byte](t)(os.ReadFile(path))
			b[len(b)/2] ^= 1
			ok(t, os.WriteFile(path, b, 0o600))
			return t.Context()
		},
		"a content is elsewhere": func(t *testing.T, _ *Store, files []slipway.File) context.Context {
			files[7].SHA256 = sha("another")
			return t.Context()
		},
		"cancelled": func(t *testing.T, _ *Store, _ []slipway.File) context.Context {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := must[*Store](t)(Open(t.TempDir()))
			files, _ := stageEach(t, s)
			ctx := spoil(t, s, files)
			before := packFiles(t, s)
			if pack, _, err := s.Merge(ctx, ns, files); err == nil {
				t.Fatalf("merged into %s", pack.SHA256)
			}
			if got := packFiles(t, s); !slices.Equal(got, before) {
				t.Errorf("left over: %q, want %q", got, before)
			}
		})
	}
}

package bundle

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"slipway/internal/archive"
	"slipway/internal/slipway"
)

// A small archive that unpacks to much is refused before the disk is full.
func TestStageKeepsTheReserve(t *testing.T) {
	packed := upload(t, map[string]string{"dags/a.py": "x", "dags/large.bin": noise(1, 2*inMemory)})
	for name, tt := range map[string]struct {
		reserve int64
		kind    slipway.Kind
	}{
		"room":    {},
		"no room": {reserve: 1 << 60, kind: slipway.NoSpace},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lim := archive.DefaultLimits()
			lim.Reserve = tt.reserve
			_, err := must[*Store](t)(Open(dir)).Stage(t.Context(), "ns", packed, packed.Size(), lim, archive.Search{}, places{}.known)
			if kind, text := slipway.Explain(err); err != nil && kind == slipway.Internal || kind != tt.kind {
				t.Fatalf("error %v (%s), want of kind %v", err, text, tt.kind)
			}
			left := must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, "packs", "ns")))
			if tt.kind != slipway.Internal && len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// All bytes of a staging are claimed first: those of an archive inside the upload, of large
// contents, and of the pack. Nothing stays claimed or left over.
func TestStageClaimsAllBytes(t *testing.T) {
	inner := must[[]byte](t)(io.ReadAll(upload(t, map[string]string{"dags/a.py": "from airflow import DAG", "dags/large.bin": noise(1, 2*inMemory)})))
	outer := upload(t, map[string]string{"dags.tar": string(inner)})
	n := int64(len(inner)) // as a content of the upload, in the first pack, and unpacked
	for name, tt := range map[string]struct {
		free   int64
		wanted bool
	}{
		"room":                     {3*n + 7*inMemory, true},
		"none for the content":     {n / 2, false},
		"none for the inner":       {5 * n / 2, false},
		"none for a large content": {3*n + inMemory, false},
		"none for the pack":        {3*n + 3*inMemory, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, disk := t.TempDir(), &smallDisk{free: tt.free}
			lim := archive.DefaultLimits()
			lim.Disk = disk
			_, err := must[*Store](t)(Open(dir)).Stage(t.Context(), "ns", outer, outer.Size(), lim, archive.Search{}, places{}.known)
			if (err == nil) != tt.wanted || err != nil && !errors.Is(err, slipway.ErrNoSpace) {
				t.Errorf("error %v, want success: %t", err, tt.wanted)
			}
			if disk.open != 0 {
				t.Errorf("%d claims are open", disk.open)
			}
			if left := must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, "packs", "ns"))); err != nil && len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		})
	}
}

// smallDisk is a disk with few free bytes.
type smallDisk struct {
	mu   sync.Mutex
	free int64
	open int
}

type smallFile struct {
	*smallDisk
	f io.Writer
}

func (d *smallDisk) Claiming(f io.Writer) io.WriteCloser {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open++
	return smallFile{d, f}
}

func (f smallFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.free -= int64(len(p)); f.free < 0 {
		return 0, slipway.Errorf(slipway.NoSpace, "The disk is full.")
	}
	return f.f.Write(p)
}

func (f smallFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
	return nil
}

// An upload that breaks the reader ends the staging, and not the process.
func TestStageRecovers(t *testing.T) {
	dir := t.TempDir()
	_, err := must[*Store](t)(Open(dir)).Stage(t.Context(), "ns", breaking{}, 1<<20, archive.DefaultLimits(), archive.Search{}, places{}.known)
	if _, ok := errors.AsType[*slipway.PanicError](err); !ok || slipway.Explained(err) {
		t.Errorf("error %v, want a panic", err)
	}
	known := func(string) (slipway.Place, bool) { panic("a bug") }
	packed := upload(t, map[string]string{"dags/a.py": "x"})
	_, err = must[*Store](t)(Open(dir)).Stage(t.Context(), "ns", packed, packed.Size(), archive.DefaultLimits(), archive.Search{}, known)
	if _, ok := errors.AsType[*slipway.PanicError](err); !ok {
		t.Errorf("error %v, want a panic", err)
	}
	if left := must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(dir, "packs", "ns"))); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

type breaking struct{}

func (breaking) ReadAt([]byte, int64) (int, error) { panic("a bug") }

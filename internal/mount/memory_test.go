package mount

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
)

// measured is a Source that looks at the heap in use while a mount reads from it.
type measured struct {
	Source
	m *memory
}

func (s measured) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	s.m.look()
	return s.Source.Frames(ctx, pack, offset, length)
}

func (s measured) Manifest(ctx context.Context, v slipway.Version) (io.ReadCloser, error) {
	r, err := s.Source.Manifest(ctx, v)
	return measuredBody{r, s.m}, err
}

type measuredBody struct {
	io.ReadCloser
	m *memory
}

func (b measuredBody) Close() error {
	b.m.look()
	return b.ReadCloser.Close()
}

// memory is the most memory of objects that cannot be freed.
type memory struct {
	mu     sync.Mutex
	before uint64
	most   uint64
}

func (m *memory) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.most = max(m.most, liveHeap())
}

// liveHeap returns the bytes of the objects in use, without garbage.
func liveHeap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// manyFiles is a version of n small files, half of them in folders, half in one.
func manyFiles(n int, changed string) map[string]string {
	files := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("team_%03d/pipelines/load_orders_into_warehouse_%06d.py", i/200, i)
		if i%2 == 0 {
			name = fmt.Sprintf("load_orders_into_the_warehouse_of_the_team_%06d.py", i)
		}
		files[name] = fmt.Sprint("from airflow import DAG # ", i)
		if i%100 == 0 {
			files[name] += changed
		}
	}
	return files
}

// memoryProcess is set in the environment of the process that measures.
const memoryProcess = "SLIPWAY_TEST_OF_MEMORY"

// TestMemoryOfManyFiles holds how much memory a version costs an agent, whatever its
// files: not the list of them, but 32 bytes for a new file. The test measures in a
// process of its own, lest other tests count.
func TestMemoryOfManyFiles(t *testing.T) {
	if raceDetector || testing.Short() {
		t.Skip("the race detector has memory of its own")
	}
	if os.Getenv(memoryProcess) != "" {
		mountManyFiles(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryOfManyFiles$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), memoryProcess+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("version 1 took")) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// mountManyFiles mounts a version that is all new, then one with 1 % changed.
func mountManyFiles(t *testing.T) {
	const (
		n    = 20_000
		most = 8 << 20 // as much at 100,000: see scripts/bench
	)
	debug.SetGCPercent(20)
	w := newWorld(t)
	for i, changed := range []string{"", " changed"} {
		s := must[*bundle.Store](t)(bundle.Open(t.TempDir()))
		src := storedIn{s, s.Source(ns)}
		must[int64](t)(s.PutManifest(ns, manifestOf(t, s, version(i), manyFiles(n, changed))))
		var m memory
		m.before = liveHeap()
		ok(t, w.mount.Mount(t.Context(), version(i), measured{src, &m}, func(done, total int64) {
			if done == total {
				m.look()
			}
		}))
		grown := int64(m.most) - int64(m.before)
		t.Logf("version %d took %d KiB", i, grown>>10)
		if grown > most {
			t.Errorf("version %d took %d KiB, at most %d are allowed", i, grown>>10, most>>10)
		}
	}
	if found := must[[]Damage](t)(w.mount.Scrub(t.Context(), 0)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

// storedIn is a Source of a store.
type storedIn struct {
	store *bundle.Store
	bundle.Source
}

func (s storedIn) Manifest(ctx context.Context, v slipway.Version) (io.ReadCloser, error) {
	return s.store.OpenManifest(ctx, ns, v)
}

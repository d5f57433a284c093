package quota

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"slipway/internal/slipway"
)

// disk is a disk of some bytes, written to by the tests.
type disk struct{ left atomic.Int64 }

func newDisk(bytes int64) *disk {
	d := &disk{}
	d.left.Store(bytes)
	return d
}

func (d *disk) free() (int64, error) { return d.left.Load(), nil }

func (d *disk) Write(p []byte) (int, error) {
	d.left.Add(-int64(len(p)))
	return len(p), nil
}

const mib = 1 << 20

// However many uploads of one person write at once, the person's share holds, and
// so does the reserve.
func TestParallelUploadsOfOnePerson(t *testing.T) {
	d := newDisk(110 * mib)
	l := New(d.free, 10*mib)
	var wg sync.WaitGroup
	var whole atomic.Int64
	for i := range 20 {
		id, h := fmt.Sprint(i), Holder{Person: "eve", Workspace: "w", Name: fmt.Sprint(i)}
		if err := l.Open(id, h, 0, slipway.UploadUse{}); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			w := l.Writer(id, d)
			defer w.Close()
			_, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(zeros{}, 20*mib), make([]byte, 64<<10))
			switch {
			case err == nil:
				whole.Add(1)
			case !errors.Is(err, slipway.ErrTooLarge):
				t.Errorf("%v, want a refusal", err)
			}
		})
	}
	wg.Wait()
	if n := whole.Load(); n > 2 {
		t.Errorf("%d uploads came whole, want 2 at most", n)
	}
	if left := d.left.Load(); left < 60*mib || left > 62*mib {
		t.Errorf("%d MiB are left, want the 60 that others may have", left/mib)
	}
	if err := l.Open("ada", Holder{Person: "ada", Workspace: "w"}, 20*mib, slipway.UploadUse{}); err != nil {
		t.Error(err)
	}
}

// Writers of many people stop exactly at the reserve.
func TestReserveUnderTheLock(t *testing.T) {
	d := newDisk(110 * mib)
	l := New(d.free, 10*mib)
	var wg sync.WaitGroup
	for i := range 40 {
		id := fmt.Sprint(i)
		if err := l.Open(id, Holder{Person: id, Workspace: slipway.WorkspaceID(id)}, 0, slipway.UploadUse{}); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			w := l.Writer(id, d)
			defer w.Close()
			_, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(zeros{}, 10*mib), make([]byte, 100_000))
			if err != nil && !errors.Is(err, slipway.ErrNoSpace) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if left := d.left.Load(); left < 10*mib || left > 11*mib {
		t.Errorf("%d bytes are left, want the reserve of %d", left, 10*mib)
	}
}

// Whatever happens to uploads, the sums of the ledger are those of its uploads,
// and all space is free again afterwards.
func TestSumsAfterRandomSteps(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := newDisk(64 * mib)
		l := New(d.free, mib)
		for range 200 {
			id := fmt.Sprint(r.IntN(8))
			switch r.IntN(6) {
			case 0:
				_ = l.Open(id, Holder{Person: id, Workspace: "w"}, r.Int64N(8*mib), slipway.UploadUse{})
			case 1:
				l.Restore(id, Holder{Person: id}, r.Int64N(mib), r.Int64N(mib))
			case 2:
				l.Close(id)
			case 3:
				l.Return(id, r.Int64N(mib))
			default:
				w := l.Writer(id, d)
				_, _ = w.Write(bytes.Repeat([]byte{1}, r.IntN(mib)))
				_ = w.Close()
			}
			if promised := sumOfPromises(l); promised != l.promised || l.claimed != 0 {
				t.Fatalf("seed %d: %d promised and %d claimed, want %d and none", seed, l.promised, l.claimed, promised)
			}
		}
	}
}

func sumOfPromises(l *Ledger) (sum int64) {
	for _, e := range l.uploads {
		sum += e.promise()
	}
	return sum
}

// An announced upload has its space, even when others fill the disk later.
func TestAnnouncedSpaceIsKept(t *testing.T) {
	d := newDisk(100 * mib)
	l := New(d.free, 0)
	if err := l.Open("eve", Holder{Person: "eve"}, 40*mib, slipway.UploadUse{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		announced int64
		want      error
	}{{announced: 61 * mib, want: slipway.ErrNoSpace}, {announced: 51 * mib, want: slipway.ErrNoSpace}, {announced: 50 * mib}} {
		if err := l.Open("ada", Holder{Person: "ada"}, tt.announced, slipway.UploadUse{}); !errors.Is(err, tt.want) {
			t.Errorf("%d MiB: %v, want %v", tt.announced/mib, err, tt.want)
		}
	}
	unannounced := l.Writer("sam", d)
	if err := l.Open("sam", Holder{Person: "sam"}, 0, slipway.UploadUse{}); err != nil {
		t.Fatal(err)
	}
	if _, err := unannounced.Write(make([]byte, 11*mib)); !errors.Is(err, slipway.ErrNoSpace) {
		t.Errorf("%v, want a refusal: the space is promised", err)
	}
	if _, err := l.Writer("eve", d).Write(make([]byte, 40*mib)); err != nil {
		t.Error(err)
	}
}

// Deploys that wait for a confirmation count.
func TestStagedDeploysCount(t *testing.T) {
	d := newDisk(60 * mib)
	l := New(d.free, 0)
	staged := slipway.UploadUse{Person: slipway.DiskUse{Bytes: 40 * mib, Uploads: 4}, Workspace: slipway.DiskUse{Bytes: 40 * mib, Uploads: 4}, All: 40 * mib}
	if err := l.Open("a", Holder{Person: "eve"}, 11*mib, staged); !errors.Is(err, slipway.ErrTooLarge) {
		t.Errorf("%v, want a refusal", err)
	}
	if err := l.Open("a", Holder{Person: "eve"}, 10*mib, staged); err != nil {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

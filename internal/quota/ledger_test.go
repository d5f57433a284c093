package quota

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
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
		id, h := fmt.Sprint(i), Holder{Person: "eve", Workspace: "w", Deploy: slipway.DeployID(fmt.Sprint(i))}
		if err := l.Open(id, h, 0); err != nil {
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
	if err := l.Open("ada", Holder{Person: "ada", Workspace: "w"}, 20*mib); err != nil {
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
		if err := l.Open(id, Holder{Person: id, Workspace: slipway.WorkspaceID(id)}, 0); err != nil {
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
			switch r.IntN(8) {
			case 0:
				_ = l.Open(id, Holder{Person: id, Workspace: "w"}, r.Int64N(8*mib))
			case 1:
				l.Restore(id, Holder{Person: id}, r.Int64N(mib), r.Int64N(mib))
			case 2:
				l.Close(id)
			case 4:
				l.Hold(Holder{Person: id, Deploy: slipway.DeployID(id)}, r.Int64N(mib))
			case 5:
				l.End(slipway.DeployID(id))
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
	if err := l.Open("eve", Holder{Person: "eve"}, 40*mib); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		announced int64
		want      error
	}{{announced: 61 * mib, want: slipway.ErrNoSpace}, {announced: 51 * mib, want: slipway.ErrNoSpace}, {announced: 50 * mib}} {
		if err := l.Open("ada", Holder{Person: "ada"}, tt.announced); !errors.Is(err, tt.want) {
			t.Errorf("%d MiB: %v, want %v", tt.announced/mib, err, tt.want)
		}
	}
	unannounced := l.Writer("sam", d)
	if err := l.Open("sam", Holder{Person: "sam"}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := unannounced.Write(make([]byte, 11*mib)); !errors.Is(err, slipway.ErrNoSpace) {
		t.Errorf("%v, want a refusal: the space is promised", err)
	}
	if _, err := l.Writer("eve", d).Write(make([]byte, 40*mib)); err != nil {
		t.Error(err)
	}
}

// Deploys that wait for a confirmation count, when uploads begin and while they grow.
func TestStagedDeploysCount(t *testing.T) {
	d := newDisk(60 * mib)
	l := New(d.free, 0)
	for i := range 4 {
		id := slipway.DeployID(fmt.Sprint("staged-", i))
		l.Hold(Holder{Person: "eve", Workspace: "w", Deploy: id}, 5*mib)
		l.Hold(Holder{Person: "eve", Workspace: "w", Deploy: id}, 10*mib) // staged again, of another root
	}
	eve := Holder{Person: "eve", Deploy: "d"}
	if err := l.Open("a", eve, 11*mib); !errors.Is(err, slipway.ErrTooLarge) {
		t.Errorf("%v, want a refusal", err)
	}
	if err := l.Open("a", eve, 10*mib); err != nil {
		t.Error(err)
	}
	l.Close("a")
	if err := l.Open("a", eve, 0); err != nil {
		t.Error(err)
	}
	w := l.Writer("a", d)
	n, err := io.Copy(struct{ io.Writer }{w}, io.LimitReader(zeros{}, 20*mib))
	if !errors.Is(err, slipway.ErrTooLarge) || n > 10*mib {
		t.Errorf("%d bytes of an unannounced upload were taken, %v", n, err)
	}
	l.End("staged-0")
	if _, err := w.Write(make([]byte, 4*mib)); err != nil {
		t.Error(err)
	}
	l.EndAll("")
	if len(l.uploads) > 0 {
		t.Errorf("%d entries are left", len(l.uploads))
	}
}

// Addresses that were opened first, filled one after the other and staged, never hold
// more than the share of the person or the Workspace, whoever of the person's tokens
// sends.
func TestSharesHoldWhateverIsStaged(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		d := newDisk(900 * mib)
		l := New(d.free, 0)
		held := map[string]int64{}
		for i := range 60 {
			h := Holder{Person: fmt.Sprint("p", i%3), Sender: fmt.Sprint(i), Workspace: "w", Deploy: slipway.DeployID(fmt.Sprint(i))}
			if err := l.Open(fmt.Sprint(i), h, 0); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 60 {
			id, h := fmt.Sprint(i), l.uploads[fmt.Sprint(i)].Holder
			w := l.Writer(id, d)
			_, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(zeros{}, r.Int64N(120)*mib), make([]byte, mib))
			if err != nil && !errors.Is(err, slipway.ErrTooLarge) {
				t.Fatal(err)
			}
			_ = w.Close()
			if err == nil { // staged, and some of it known before
				part := r.Int64N(w.Written() + 1)
				l.Hold(h, w.Written()-part)
				d.left.Add(part)
				held[h.Person] += w.Written() - part
			} else {
				d.left.Add(w.Written())
			}
			l.Close(id)
			all := held["p0"] + held["p1"] + held["p2"]
			if held[h.Person] > 450*mib || all > 675*mib {
				t.Fatalf("seed %d: %s holds %d MiB, the Workspace %d", seed, h.Person, held[h.Person]/mib, all/mib)
			}
		}
	}
}

// A deploy counts once, with all of its files: arriving, kept, staged.
func TestADeployCountsOnce(t *testing.T) {
	d := newDisk(900 * mib)
	l := New(d.free, 0)
	for i := range slipway.PersonUploads {
		id := fmt.Sprint(i)
		h := Holder{Person: "eve", Sender: "eve", Workspace: "w", Deploy: slipway.DeployID(id), Name: "#" + id + " of sales"}
		for _, part := range []string{"", "-image"} {
			if err := l.Open(id+part, h, 1); err != nil {
				t.Fatalf("deploy %d: %v", i, err)
			}
		}
		l.Hold(h, 1)
	}
	if err := l.Open("x", Holder{Person: "eve", Sender: "ci", Deploy: "x"}, 0); !errors.Is(err, slipway.ErrTooLarge) || strings.Contains(err.Error(), "sales") {
		t.Errorf("%v, want a refusal without names of another sender", err)
	}
	if err := l.Open("x", Holder{Person: "eve", Sender: "eve", Deploy: "x"}, 0); !errors.Is(err, slipway.ErrTooLarge) || !strings.Contains(err.Error(), "#0 of sales, #1 of sales") {
		t.Errorf("%v, want a refusal with names", err)
	}
	l.End("7")
	if err := l.Open("x", Holder{Person: "eve", Deploy: "x"}, 0); err != nil {
		t.Error(err)
	}
}

// No byte is taken for an upload that has ended, also of a claim made before.
func TestNothingAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*Ledger){
		"closed":                func(l *Ledger) { l.Close("a") },
		"deploy has ended":      func(l *Ledger) { l.End("d") },
		"Deployment is deleted": func(l *Ledger) { l.EndAll("of") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(100 * mib)
			l := New(d.free, 0)
			if err := l.Open("a", Holder{Person: "eve", Deployment: "of", Deploy: "d", Name: "#3 of sales"}, 10*mib); err != nil {
				t.Fatal(err)
			}
			w := l.Writer("a", d)
			if _, err := w.Write(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			end(l)
			for _, size := range []int{1, mib, 2 * mib} {
				if _, err := w.Write(make([]byte, size)); !errors.Is(err, slipway.ErrConflict) || !strings.Contains(err.Error(), "Deploy #3 of sales takes no more files") {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
			if err := l.Takes("a", ""); !errors.Is(err, slipway.ErrConflict) {
				t.Error(err)
			}
			_ = w.Close()
			if l.claimed != 0 || l.promised != 0 || d.left.Load() != 100*mib-10 {
				t.Errorf("%d claimed, %d promised, %d left", l.claimed, l.promised, d.left.Load())
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

package quota

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// However many pushes of one person run at once, and to whichever Workspace, they take
// one share, together with the person's uploads. Others have theirs.
func TestParallelPushes(t *testing.T) {
	d := newDisk(110 * mib)
	l := New(d.free, 10*mib)
	if err := l.Open("upload", Holder{Person: "eve", Workspace: "w"}, 10*mib); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var taken atomic.Int64
	for i := range 20 {
		p := l.Pushes(Holder{Person: "eve", Workspace: slipway.WorkspaceID(fmt.Sprint(i % 3))})
		wg.Go(func() {
			for range 5 {
				d.left.Add(-mib)
				switch err := p.Take(mib); {
				case err == nil:
					taken.Add(mib)
				case errors.Is(err, slipway.ErrNoSpace):
					d.left.Add(mib)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := taken.Load() / mib; n > 40 {
		t.Errorf("%d MiB were pushed at once beside an upload of 10, want the rest of the share of 50", n)
	}
	for l.Pushes(Holder{Person: "eve", Workspace: "0"}).Take(mib) == nil {
		taken.Add(mib)
		d.left.Add(-mib)
	}
	if n := taken.Load() / mib; n != 40 {
		t.Errorf("%d MiB were pushed beside an upload of 10, want the rest of the share of 50", n)
	}
	if err := l.Open("eve", Holder{Person: "eve"}, 20*mib); err == nil {
		t.Error("an upload has room that pushes took")
	}
	if err := l.Pushes(Holder{Person: "ada", Workspace: "other"}).Take(20 * mib); err != nil {
		t.Error(err)
	}
}

// The pushes of a Workspace count for all of its people.
func TestPushesOfAWorkspace(t *testing.T) {
	d := newDisk(100 * mib)
	l := New(d.free, 0)
	for i, want := range []error{nil, nil, slipway.ErrNoSpace} {
		err := l.Pushes(Holder{Person: fmt.Sprint(i), Workspace: "w"}).Take(30 * mib)
		if !errors.Is(err, want) {
			t.Errorf("person %d: %v, want %v", i, err, want)
		}
		if err == nil {
			d.left.Add(-30 * mib)
		}
	}
	if err := l.Pushes(Holder{Person: "4", Workspace: "v"}).Take(30 * mib); err != nil {
		t.Error(err)
	}
}

func TestPushesCountForADay(t *testing.T) {
	d := newDisk(100 * mib)
	l := New(d.free, 0)
	now := time.Date(2026, 11, 30, 10, 30, 0, 0, time.UTC)
	l.now = func() time.Time { return now }
	p := l.Pushes(Holder{Person: "eve", Workspace: "w"})
	take := func(n int64, want error) {
		t.Helper()
		err := p.Take(n * mib)
		if !errors.Is(err, want) {
			t.Errorf("at %s: %v, want %v", now, err, want)
		}
		if err == nil {
			d.left.Add(-n * mib)
		}
	}
	giveBack := func(n int64) {
		p.Return(n * mib)
		d.left.Add(n * mib)
	}
	take(30, nil)
	now = now.Add(2 * time.Hour)
	take(20, nil)
	take(1, slipway.ErrNoSpace)
	giveBack(10)
	take(10, nil)
	giveBack(25) // of the hours before as well
	take(25, nil)
	now = now.Add(22 * time.Hour)
	take(1, slipway.ErrNoSpace)
	now = now.Add(4 * time.Hour)
	d.left.Store(100 * mib) // the registry is swept
	take(50, nil)
	p.Return(1 << 40)
	if len(l.uploads) != 1 || l.promised != 0 {
		t.Errorf("%d entries, %d promised", len(l.uploads), l.promised)
	}
}

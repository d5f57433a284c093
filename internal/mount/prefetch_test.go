package mount

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// stalled is a Source whose downloads do not get on.
type stalled struct {
	Source
	asked chan struct{} // closed once something was asked for
	once  sync.Once
}

func (s *stalled) Frames(ctx context.Context, _ string, _, _ int64) (io.ReadCloser, error) {
	s.once.Do(func() { close(s.asked) })
	<-ctx.Done()
	return nil, ctx.Err()
}

// What is lent may take long; a deploy does not wait for it.
func TestAMountCallsOffWhatIsLent(t *testing.T) {
	for name, urgent := range map[string]func(ctx context.Context, w *world, next slipway.Manifest) error{
		"a version": func(ctx context.Context, w *world, next slipway.Manifest) error {
			return w.mount.Mount(ctx, next.Version, w.src.with(next), nil)
		},
		"the image": func(_ context.Context, w *world, _ slipway.Manifest) error { return w.mount.UseImage("/dags") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			old := manifestOf(t, w.store, version(1), map[string]string{"a.py": "old"})
			next := manifestOf(t, w.store, version(2), map[string]string{"a.py": "new"})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			src := &stalled{Source: w.src.with(old), asked: make(chan struct{})}
			lent := make(chan error, 1)
			go func() { lent <- w.mount.Prefetch(ctx, old.Version, src) }()
			<-src.asked

			ok(t, urgent(ctx, w, next))
			if err := <-lent; ctx.Err() != nil || !errors.Is(err, ErrPreempted) {
				t.Fatalf("Add: %v, %v; want that it was called off", err, ctx.Err())
			}
			w.checkNoTemp(t)
			ok(t, w.mount.Prefetch(ctx, old.Version, w.src.with(old)))
			checkSame(t, readTree(t, w.path(1, "")), map[string]string{"a.py": "old"})
		})
	}
}

func TestNothingIsLentWhileAMountWaits(t *testing.T) {
	w := newWorld(t)
	old := manifestOf(t, w.store, version(1), map[string]string{"a.py": "old"})
	done := w.mount.prefetches.preempt(version(2))
	if err := w.mount.Prefetch(t.Context(), old.Version, w.src.with(old)); !errors.Is(err, ErrPreempted) {
		t.Errorf("Add: %v, want that it was called off", err)
	}
	err := errors.New("the disk is full")
	done(&err)
	ok(t, w.mount.Prefetch(t.Context(), old.Version, w.src.with(old)))
}

// What cannot be mounted is tried for ever, and must not keep from its runs what
// is lent meanwhile.
func TestATryAgainCallsNothingOff(t *testing.T) {
	w := newWorld(t)
	failed := errors.New("the disk is full")
	for _, again := range []slipway.Version{version(2), version(2), version(3)} {
		done := w.mount.prefetches.preempt(again)
		ctx, end := w.mount.prefetches.begin(t.Context())
		calledOff := errors.Is(context.Cause(ctx), ErrPreempted)
		end()
		if first := w.mount.prefetches.failed != again; calledOff != first {
			t.Errorf("%s calls off: %v, want %v", again, calledOff, first)
		}
		done(&failed)
	}
}

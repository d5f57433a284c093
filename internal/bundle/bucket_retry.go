package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"slipway/internal/slipway"
)

var errTimeout = errors.New("nothing came or went for too long")

// bounded returns ctx, cancelled also when the bucket's own context ends.
func (b *bucket) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// watch cancels a request after a time without progress.
type watch struct {
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	timer  *time.Timer
	after  time.Duration
}

func (b *bucket) watched(ctx context.Context) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watch{ctx, cancel, time.AfterFunc(b.patience, func() { cancel(errTimeout) }), b.patience}
}

func (w *watch) touch()         { w.timer.Reset(w.after) }
func (w *watch) pause()         { w.timer.Stop() }
func (w *watch) timedOut() bool { return errors.Is(context.Cause(w.ctx), errTimeout) }
func (w *watch) stop()          { w.timer.Stop(); w.cancel(nil) }

// do calls fn until success, or until another try would not help. fn must be
// safe to repeat.
func (b *bucket) do(ctx context.Context, fn func(ctx context.Context, w *watch) error) error {
	ctx, stop := b.bounded(ctx)
	defer stop()
	for try := 1; ; try++ {
		err := b.once(ctx, fn)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			b.state.note(nil)
			return err
		}
		if try == b.tries || permanent(err) || !b.wait(ctx, try) {
			return b.failed(ctx, err)
		}
	}
}

func (b *bucket) once(ctx context.Context, fn func(ctx context.Context, w *watch) error) error {
	in, w := b.watched(ctx)
	defer w.stop()
	err := fn(in, w)
	switch {
	case err == nil:
		return nil
	case w.timedOut():
		return errors.Join(errTimeout, err)
	case gcerrors.Code(err) == gcerrors.NotFound && !refused(err) && b.exists(in, err):
		return fmt.Errorf("%w in the bucket %s: %w", fs.ErrNotExist, b.name, err)
	}
	return err
}

// exists reports whether the bucket exists: the drivers return NotFound for an
// object, a bucket and a host alike.
func (b *bucket) exists(ctx context.Context, err error) bool {
	if unknownHost(err) {
		return false
	}
	there, err := b.blobs.IsAccessible(ctx)
	return err == nil && there
}

// wait waits before the next try; false: ctx has ended.
func (b *bucket) wait(ctx context.Context, try int) bool {
	pause := b.pause << (try - 1)
	next := time.NewTimer(pause/2 + rand.N(pause))
	defer next.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-next.C:
		return true
	}
}

// bucketState is the outcome of the last request to the bucket.
type bucketState struct {
	mu  sync.Mutex
	err error
	at  time.Time // zero before the first request
}

func (s *bucketState) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.at = err, time.Now()
}

// last returns the outcome, if not older than an age.
func (s *bucketState) last(age time.Duration) (err error, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err, !s.at.IsZero() && time.Since(s.at) < age
}

// failed explains err, and notes the sentence unless only the caller has gone.
func (b *bucket) failed(ctx context.Context, err error) error {
	err = b.explain(ctx, err)
	if slipway.Explained(err) {
		b.state.note(err)
	}
	return err
}

// stateAge is up to which age the last request tells whether the bucket answers.
const stateAge = 10 * time.Second

// reachable returns nil if the bucket answers, else a sentence for people. The
// last request tells, or else one more.
func (b *bucket) reachable(ctx context.Context) error {
	if err, fresh := b.state.last(stateAge); fresh {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.probeWait)
	defer cancel()
	in, stop := b.bounded(ctx)
	defer stop()
	err := b.once(in, func(ctx context.Context, _ *watch) error {
		_, _, err := b.blobs.ListPage(ctx, blob.FirstPageToken, 1, &blob.ListOptions{Prefix: ownerFile})
		return err
	})
	switch {
	case err == nil:
		b.state.note(nil)
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = errTimeout
	}
	return b.failed(context.WithoutCancel(ctx), err)
}

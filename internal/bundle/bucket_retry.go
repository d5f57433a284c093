package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
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
			return err
		}
		if try == b.tries || permanent(err) || !b.wait(ctx, try) {
			return b.explain(ctx, err)
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
	case gcerrors.Code(err) == gcerrors.NotFound && b.reachable(in, err):
		return fmt.Errorf("%w in the bucket %s: %w", fs.ErrNotExist, b.name, err)
	}
	return err
}

// reachable reports whether the bucket exists: the drivers return NotFound
// for an object, a bucket and a host alike.
func (b *bucket) reachable(ctx context.Context, err error) bool {
	if unknownHost(err) {
		return false
	}
	there, err := b.blobs.IsAccessible(ctx)
	return err == nil && there
}

// unknownHost reports whether the bucket's host was not found. The failure
// may be temporary.
func unknownHost(err error) bool {
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
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

// permanent reports whether the same would come of another try.
func permanent(err error) bool {
	if unknownHost(err) {
		return false
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.PermissionDenied, gcerrors.InvalidArgument, gcerrors.Unimplemented, gcerrors.FailedPrecondition:
		return true
	}
	return refused(err)
}

// refused reports whether the bucket does not let us in.
func refused(err error) bool {
	status := 0
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		status = e.HTTPStatusCode()
	}
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		status = e.StatusCode
	}
	return status == http.StatusUnauthorized || status == http.StatusForbidden || gcerrors.Code(err) == gcerrors.PermissionDenied
}

// explain turns err into a sentence for people, with err as the cause for the
// log.
func (b *bucket) explain(ctx context.Context, err error) error {
	text := "The bucket %s cannot be reached. Try again in a few minutes; if that does not help, ask the administrator to look at it."
	switch {
	case b.ctx.Err() != nil:
		text = "The portal stops, and with it the work on the bucket %s."
	case ctx.Err() != nil:
		return ctx.Err() // the caller has gone
	case errors.Is(err, errTimeout):
		text = "The bucket %s does not answer. Try again in a few minutes; if that does not help, ask the administrator to look at it."
	case refused(err):
		text = "The bucket %s refuses access. Ask the administrator to check its credentials."
	case gcerrors.Code(err) == gcerrors.NotFound && !unknownHost(err):
		text = "There is no bucket %s. Ask the administrator to look at it."
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		text = "The connection to the bucket %s broke off. Try again in a few minutes; if that does not help, ask the administrator to look at it."
	}
	return errors.Join(slipway.Errorf(slipway.Unavailable, text, b.name), err)
}

package mount

import (
	"context"
	"errors"
	"sync"

	"slipway/internal/slipway"
)

// ErrPreempted is returned by Prefetch when Mount or UseImage goes first. The
// files added before are removed; Prefetch may be called again at once.
var ErrPreempted = errors.New("called off, as something else is to be mounted")

// prefetcher is the state of the running Prefetch.
type prefetcher struct {
	mu     sync.Mutex
	urgent int // number of waiting or running urgent calls
	cancel context.CancelCauseFunc
	failed slipway.Version // version of the last failed mount
}

// begin returns a context, cancelled by the next urgent call.
func (l *prefetcher) begin(ctx context.Context) (context.Context, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	if l.cancel = cancel; l.urgent > 0 {
		cancel(ErrPreempted)
	}
	return ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cancel = nil
		cancel(nil)
	}
}

// preempt cancels the running Prefetch, and lets none begin until done is called
// with the outcome. The retry of a failed mount does not preempt.
func (l *prefetcher) preempt(v slipway.Version) (done func(*error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	urgent := 0
	if v == "" || v != l.failed {
		urgent = 1
	}
	if l.urgent += urgent; urgent > 0 && l.cancel != nil {
		l.cancel(ErrPreempted)
	}
	return func(err *error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.urgent -= urgent
		if l.failed = ""; *err != nil {
			l.failed = v
		}
	}
}

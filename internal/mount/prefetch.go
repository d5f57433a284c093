package mount

import (
	"context"
	"errors"
	"sync"

	"slipway/internal/slipway"
)

// ErrPreempted is why Add ended early: something is to become current, which
// goes first. What was added so far is gone; it can be tried again at once.
var ErrPreempted = errors.New("called off, as something else is to be mounted")

// prefetcher is the Add that is at work, if one is.
type prefetcher struct {
	mu     sync.Mutex
	urgent int // how many wait for it to end, or are at work themselves
	cancel context.CancelCauseFunc
	failed slipway.Version // that was to become current, and could not
}

// begin returns a context that ends when something urgent comes.
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

// preempt ends the Add that is at work, and lets none begin until done is
// called, with how it went. A version that could not be mounted is tried again
// and again: that waits its turn.
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

package inbound

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// errSlow is the error of a body that came too slowly.
var errSlow = slipway.Errorf(slipway.TooSlow, "The rest of this request did not come in time: the portal waits up to a minute for 64 KiB. Send it again.")

// body is the body of a request, read at a least speed.
type body struct {
	control *http.ResponseController
	conn    *Conn

	mu    sync.Mutex
	from  io.ReadCloser
	in    pace
	began bool
	err   error // the first error; io.EOF at the end
}

// newBody returns the body of r.
func newBody(w http.ResponseWriter, r *http.Request, wait time.Duration) *body {
	return &body{control: http.NewResponseController(w), conn: connOf(r.Context()), from: r.Body, in: newPace(wait)}
}

// Read implements io.Reader. Only the time of waiting for the client counts, and
// not the time between two reads.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	b.began = true
	start := time.Now()
	_ = b.control.SetReadDeadline(start.Add(b.in.left)) // not supported in some tests
	b.conn.note(func(s *standing) { s.lacking = true })
	n, err := b.from.Read(p)
	b.conn.note(func(s *standing) { s.lacking = false })
	b.in.count(n, time.Since(start))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.err = errors.Join(errSlow, err)
		return n, b.err // the deadline stays: net/http would read on before the answer
	}
	_ = b.control.SetReadDeadline(time.Time{})
	b.err = err
	return n, err
}

// abandon lets net/http read no more of the body.
func (b *body) abandon() { _ = b.control.SetReadDeadline(time.Now()) }

// Close implements io.Closer.
func (b *body) Close() error { return b.from.Close() }

// unread reports whether bytes may still come.
func (b *body) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err == nil
}

// untouched reports whether no byte was read.
func (b *body) untouched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.began
}

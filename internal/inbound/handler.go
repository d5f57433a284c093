package inbound

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// dropping bounds the rest of a body that is read and dropped before an early
// answer.
type dropping struct {
	bytes int64
	time  time.Duration
}

// What is dropped for a client with a good credential, whose refused upload may be
// a large one, and for anybody else.
var (
	droppedForKnown    = dropping{4 << 30, 10 * time.Minute}
	droppedForStranger = dropping{64 << 20, 2 * time.Minute}
)

// Times of a request with "Expect: 100-continue", whose client waits for the word
// before it sends the body. curl waits for a second; Caddy passes the header on,
// and does not wait.
const (
	patience   = 900 * time.Millisecond
	impatience = 200 * time.Millisecond
)

// Handler returns h behind the least speed for bodies: each portion may take up
// to wait. An answer before the end of the body is held back until
// the rest was read and dropped: many clients and proxies write a whole request
// before they read, and take an answer in between for a broken connection.
func Handler(h http.Handler, wait time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connOf(r.Context()).enter(working) // until the server has sent the answer
		v := &visitor{conn: connOf(r.Context())}
		r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)) // net/http looks at the body of its own request
		if r.Body == nil || r.Body == http.NoBody {
			h.ServeHTTP(w, r)
			return
		}
		b := newBody(w, r, wait)
		early := &response{ResponseWriter: w, body: b, request: r, began: time.Now()}
		r.Body = b
		h.ServeHTTP(early, r)
		early.settle() // an empty answer is written after the handler
	})
}

// visitor is the sender of a request.
type visitor struct {
	conn  *Conn
	known atomic.Bool
}

type visitorKey struct{}

// Known notes that the request of ctx came with a good credential. Its body makes
// no room for other connections, and more of the body is read before a refusal.
func Known(ctx context.Context) {
	if v, ok := ctx.Value(visitorKey{}).(*visitor); ok {
		v.known.Store(true)
		v.conn.note(func(s *standing) { s.known = true })
	}
}

// IsKnown reports whether the request of ctx came with a good credential.
func IsKnown(ctx context.Context) bool {
	v, ok := ctx.Value(visitorKey{}).(*visitor)
	return ok && v.known.Load()
}

// response is an answer that waits for the rest of the request.
type response struct {
	http.ResponseWriter
	body    *body
	request *http.Request
	began   time.Time
	settled bool
}

// Unwrap lets http.ResponseController find the methods of the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.settle()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.settle()
	return w.ResponseWriter.Write(p)
}

// FlushError is for http.ResponseController.
func (w *response) FlushError() error {
	w.settle()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// settle reads and drops the rest of the body, once.
func (w *response) settle() {
	if w.settled {
		return
	}
	w.settled = true
	if !w.body.unread() || w.waitsForWord() {
		return
	}
	most := droppedForStranger
	if IsKnown(w.request.Context()) {
		most = droppedForKnown
	}
	if w.request.ContentLength > most.bytes {
		w.body.abandon()
		return
	}
	deadline := time.Now().Add(most.time)
	buf := make([]byte, 32<<10)
	for n := int64(0); n < most.bytes && time.Now().Before(deadline); {
		m, err := w.body.Read(buf)
		if n += int64(m); err != nil {
			return // the end, or a client that is gone or too slow
		}
	}
	w.body.abandon()
}

// waitsForWord reports whether the client sends no body before the portal asks
// for it: the answer can go out at once, and spares the upload.
func (w *response) waitsForWord() bool {
	if w.request.Header.Get("Expect") == "" || !w.request.ProtoAtLeast(1, 1) || !w.body.untouched() {
		return false
	}
	return time.Since(w.began) < patience && !w.body.conn.comes(impatience)
}

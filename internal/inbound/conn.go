package inbound

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Conn is a connection that knows whether the portal waits for the client.
type Conn struct {
	net.Conn
	listener *Listener
	network  string
	proxy    bool   // a proxy, which connects for everybody
	ahead    []byte // a byte that was read ahead

	mu    sync.Mutex
	state standing

	sending sync.Mutex // held during a Write
	out     pace
}

type connKey struct{}

// Guard puts the bounds of this package around a server: for bodies and answers,
// and for the connections of a Listener. Each portion may take up to wait.
func Guard(s *http.Server, wait time.Duration) {
	s.Handler = Handler(s.Handler, wait)
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if conn, ok := c.(*Conn); ok && state == http.StateIdle { // the answer was sent
			conn.enter(resting)
		}
	}
}

// connOf returns the connection of a request, nil without a Listener.
func connOf(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// note changes the standing. A nil Conn ignores the call.
func (c *Conn) note(change func(*standing)) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.state)
}

// enter begins a stage.
func (c *Conn) enter(next stage) {
	c.note(func(s *standing) { *s = standing{stage: next, since: time.Now(), untaken: s.untaken} })
}

// standing returns the present standing.
func (c *Conn) standing() standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 && len(p) > 0 {
		p[0], c.ahead = c.ahead[0], nil
		return 1, nil
	}
	return c.Conn.Read(p)
}

// comes reports whether a byte comes within d, and keeps the byte for Read.
// Nothing else may be reading.
func (c *Conn) comes(d time.Duration) bool {
	if c == nil {
		return false
	}
	one := make([]byte, 1)
	_ = c.SetReadDeadline(time.Now().Add(d)) // without a deadline, the end of the connection is awaited
	n, _ := c.Conn.Read(one)
	_ = c.SetReadDeadline(time.Time{})
	c.ahead = one[:n]
	return n > 0
}

// Write implements net.Conn. A client has to take a portion within the wait,
// however small the pieces of the answer are.
func (c *Conn) Write(p []byte) (written int, err error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	for {
		part := p[:min(len(p), c.out.lacks)]
		start := time.Now()
		if err := c.SetWriteDeadline(start.Add(c.out.left)); err != nil {
			return written, err
		}
		c.note(func(s *standing) { s.untaken = start })
		n, err := c.Conn.Write(part)
		c.note(func(s *standing) { s.untaken = time.Time{} })
		c.out.count(n, time.Since(start))
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// CloseWrite ends the sending half: net/http lets a client read the answer
// before the other half is closed.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.listener.remove(c)
	return c.Conn.Close()
}

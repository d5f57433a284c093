package inbound

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// Conn is a connection that knows whether the portal waits for the client.
type Conn struct {
	net.Conn
	listener *Listener
	network  string
	proxy    bool         // a proxy, which connects for everybody
	heard    atomic.Int64 // time of the last byte from the client, in Unix nanoseconds
	busy     atomic.Bool  // a request is in work, and its body does not lack
	ahead    []byte       // a byte that was read ahead
}

type connKey struct{}

// WithConn puts a connection into the context of its requests: the ConnContext
// of an http.Server.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection of a request, nil without a Listener.
func connOf(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// setBusy notes whether a request is in work. A nil Conn ignores the call.
func (c *Conn) setBusy(busy bool) {
	if c != nil {
		c.busy.Store(busy)
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 && len(p) > 0 {
		p[0], c.ahead = c.ahead[0], nil
		return 1, nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
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

// Write implements net.Conn. A client has to take a portion within the wait.
func (c *Conn) Write(p []byte) (written int, err error) {
	for {
		part := p[:min(len(p), portion)]
		if err := c.SetWriteDeadline(time.Now().Add(c.listener.cfg.Wait)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(part)
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

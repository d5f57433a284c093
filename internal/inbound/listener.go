package inbound

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Config limits the connections of a Listener.
type Config struct {
	Most        int                    // connections at once
	FromNetwork int                    // connections at once from one network
	Network     func(ip string) string // the addresses of one client
	Proxies     []netip.Prefix         // without the limit of a network: a proxy connects for everybody
	Wait        time.Duration          // for a portion of an answer to be taken; 0 for Wait
}

// Listener accepts a bounded number of connections. At a limit, a connection whose
// client keeps the portal waiting makes room for the new one, in the order of the
// ranks, and within a rank the one that began first. Requests in work and uploads
// with a good credential are never ended for that: the new one is closed.
type Listener struct {
	net.Listener
	cfg Config
	log *slog.Logger

	mu       sync.Mutex
	open     map[*Conn]bool
	networks map[string]int       // number of open connections
	logged   map[string]time.Time // time of the last line by message
}

// NewListener returns a Listener that accepts from l.
func NewListener(l net.Listener, cfg Config, log *slog.Logger) *Listener {
	if cfg.Wait <= 0 {
		cfg.Wait = Wait
	}
	return &Listener{Listener: l, cfg: cfg, log: log, open: map[*Conn]bool{}, networks: map[string]int{}, logged: map[string]time.Time{}}
}

// Accept returns the next connection. A failure is logged as an error: without
// descriptors, for one, nobody else is served either.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			l.say(slog.LevelError, "no connection could be accepted", "err", err)
			l.makeRoom(func(*Conn) bool { return true }) // too many open files, most likely
			return nil, err                              // net/http tries again after a pause
		}
		conn := l.newConn(c)
		if l.admit(conn) {
			return conn, nil
		}
		l.say(slog.LevelWarn, "connections are refused: all that are open have requests in work", "from", conn.network)
		_ = c.Close() // the client sees the end either way
	}
}

func (l *Listener) newConn(c net.Conn) *Conn {
	conn := &Conn{Conn: c, listener: l, out: newPace(l.cfg.Wait), state: standing{since: time.Now()}}
	if t, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		a := t.AddrPort().Addr().Unmap()
		conn.network = l.cfg.Network(a.String())
		conn.proxy = slices.ContainsFunc(l.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return conn
}

// admit adds a connection within the limits, and reports success.
func (l *Listener) admit(c *Conn) bool {
	same := func(other *Conn) bool { return other.network == c.network }
	if l.full(c) && !l.makeRoom(same) {
		return false
	}
	if l.count() >= l.cfg.Most && !l.makeRoom(func(*Conn) bool { return true }) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = true
	l.networks[c.network]++
	return true
}

func (l *Listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// full reports whether the network of c has as many connections as one may have.
func (l *Listener) full(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !c.proxy && l.networks[c.network] >= l.cfg.FromNetwork
}

// makeRoom closes the first connection, among those of a choice, by rank. It
// reports false if all of them are kept.
func (l *Listener) makeRoom(among func(*Conn) bool) bool {
	var first *Conn
	var of standing
	now := time.Now()
	l.mu.Lock()
	for c := range l.open {
		if !among(c) {
			continue
		}
		if s := c.standing(); s.rank(now) != kept && (first == nil || s.before(of, now) < 0) {
			first, of = c, s
		}
	}
	l.mu.Unlock()
	if first == nil {
		return false
	}
	l.say(slog.LevelWarn, "silent connections make room for new ones", "from", first.network)
	_ = first.Close() // the client sees the end either way
	return true
}

// sayEvery is the time between two lines with one message: an attack must not
// fill the disk with its log.
const sayEvery = 10 * time.Second

// say logs a message, at most once in sayEvery.
func (l *Listener) say(level slog.Level, message string, args ...any) {
	l.mu.Lock()
	now := time.Now()
	again := now.Sub(l.logged[message]) < sayEvery
	if !again {
		l.logged[message] = now
	}
	l.mu.Unlock()
	if !again {
		l.log.Log(context.Background(), level, message, args...)
	}
}

// remove forgets a closed connection.
func (l *Listener) remove(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open[c] {
		return
	}
	delete(l.open, c)
	if l.networks[c.network]--; l.networks[c.network] <= 0 {
		delete(l.networks, c.network)
	}
}

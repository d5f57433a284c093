package web

import (
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/views"
)

// clients counts the requests in work by the network of the client, also behind
// a proxy.
type clients struct {
	most int // requests at once; 0 for any number

	mu   sync.Mutex
	open map[string]int
}

// newClients returns a count of no requests. Without proxies, each connection has
// one request, and the limit of connections is enough.
func newClients(cfg Config) *clients {
	n := &clients{open: map[string]int{}}
	if len(cfg.TrustedProxies) > 0 {
		n.most = cfg.FromNetwork
	}
	return n
}

// begin counts a request, and reports false above the limit.
func (n *clients) begin(network string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.most > 0 && n.open[network] >= n.most {
		return false
	}
	n.open[network]++
	return true
}

// end takes a request from the count.
func (n *clients) end(network string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open[network]--; n.open[network] <= 0 {
		delete(n.open, network)
	}
}

// maxUnnamed is the number of senders that the log names.
const maxUnnamed = 10

// unnamed are the senders of X-Forwarded-For outside of --trusted-proxies that the
// log has named, once each.
type unnamed struct {
	mu   sync.Mutex
	seen map[netip.Addr]bool
}

// isNew notes a sender, and reports whether the log has to name it.
func (u *unnamed) isNew(sender netip.Addr) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen[sender] || len(u.seen) >= maxUnnamed {
		return false
	}
	if u.seen == nil {
		u.seen = map[netip.Addr]bool{}
	}
	u.seen[sender] = true
	return true
}

// peerOf returns the address that a request came from, which may be a proxy's.
func peerOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}

// isTrusted reports whether an address is one of proxies.
func isTrusted(proxies []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// isForwarded reports whether a proxy says that r is somebody else's request.
func isForwarded(r *http.Request) bool {
	return slices.ContainsFunc([]string{echo.HeaderXForwardedFor, echo.HeaderXRealIP, "Forwarded", "Via"}, func(name string) bool { return r.Header.Get(name) != "" })
}

// isNear reports whether the client is on this machine or in a private network, as
// far as that is known: a proxy without trust may ask for anybody.
func (s *Server) isNear(c echo.Context) bool {
	r := c.Request()
	if isForwarded(r) && (r.Header.Get(echo.HeaderXForwardedFor) == "" || !isTrusted(s.cfg.TrustedProxies, peerOf(r))) {
		return false
	}
	a, err := netip.ParseAddr(c.RealIP())
	return err == nil && (a.Unmap().IsLoopback() || a.Unmap().IsPrivate() || a.Unmap().IsLinkLocalUnicast())
}

// warnOfProxy logs the sender of an X-Forwarded-For that is not believed: behind an
// unnamed proxy all people are one network.
func (s *Server) warnOfProxy(r *http.Request) {
	if peer := peerOf(r); r.Header.Get(echo.HeaderXForwardedFor) != "" && !isTrusted(s.cfg.TrustedProxies, peer) && s.unnamed.isNew(peer) {
		s.log.Warn("X-Forwarded-For is not believed: its sender is not in --trusted-proxies. If that is your proxy, name it there; else all people behind it share the limits of one network", "sender", peer)
	}
}

// shared refuses a request from a network with as many requests in work as one
// network may have.
func (s *Server) shared(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.warnOfProxy(c.Request())
		network := auth.Network(c.RealIP())
		if !s.clients.begin(network) {
			return auth.Later(slipway.Errorf(slipway.TooMany, views.TooManyRequests, s.clients.most), time.Second)
		}
		defer s.clients.end(network)
		return next(c)
	}
}

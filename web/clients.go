package web

import (
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

// shared refuses a request from a network with as many requests in work as one
// network may have.
func (s *Server) shared(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		network := auth.Network(c.RealIP())
		if !s.clients.begin(network) {
			return auth.Later(slipway.Errorf(slipway.TooMany, views.TooManyRequests, s.clients.most), time.Second)
		}
		defer s.clients.end(network)
		return next(c)
	}
}

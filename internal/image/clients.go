package image

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/slipway"
)

// registries are the hosts that may have private addresses.
type registries struct {
	hosts    []string // "registry.corp", "registry.corp:5000"
	prefixes []netip.Prefix
}

// parseRegistries parses the values of --registries.
func parseRegistries(names []string) (r registries, err error) {
	for _, name := range names {
		if p, err := netip.ParsePrefix(name); err == nil {
			r.prefixes = append(r.prefixes, p.Masked())
			continue
		}
		host, err := slipway.CheckRegistry(name)
		if err != nil { // the name alone stands for all ports: "registry"
			host, err = slipway.CheckRegistry(name + ":1")
			host = strings.TrimSuffix(host, ":1")
		}
		if err != nil || host != strings.ToLower(name) {
			return r, fmt.Errorf("--registries names %q, which is no host; one looks like registry.example.com, 10.1.2.3:5000 or 10.0.0.0/8", name)
		}
		r.hosts = append(r.hosts, host)
	}
	return r, nil
}

// names reports whether a reference's host, with or without port, is listed,
// or is an address in a listed prefix.
func (r registries) names(hostport string) bool {
	hostport = strings.ToLower(hostport)
	bare := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		bare = h
	}
	if slices.Contains(r.hosts, hostport) || slices.Contains(r.hosts, bare) {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(bare, "[]"))
	return err == nil && r.holds(ip)
}

// namesHere reports whether a registry on this machine is listed with its
// port. No other port of this machine is contacted.
func (r registries) namesHere(hostport string) bool {
	h, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return false
	}
	ip, notIP := netip.ParseAddr(h)
	here := h == "localhost" || notIP == nil && ip.IsLoopback()
	return here && slices.Contains(r.hosts, strings.ToLower(hostport))
}

func (r registries) holds(ip netip.Addr) bool {
	return slices.ContainsFunc(r.prefixes, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

// Timeouts against slow registries of others.
const (
	dialTimeout   = 10 * time.Second
	headerTimeout = 30 * time.Second
	idleTimeout   = 30 * time.Second
)

// clients are the ways to other registries.
type clients struct {
	named     registries
	transport http.RoundTripper
	loopback  netip.Addr // this machine's address in tests with local registries; else invalid
}

func newClients(named registries) *clients {
	c := &clients{named: named}
	c.transport = &http.Transport{
		DialContext: c.dial, ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout,
		ResponseHeaderTimeout: headerTimeout, IdleConnTimeout: idleTimeout, MaxIdleConnsPerHost: 4,
	}
	return c
}

// dial connects to addr. The resolved address is checked on every connection,
// for redirects too: a name may resolve differently each time.
func (c *clients) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	named := c.named.names(addr)
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: idleTimeout, Control: func(_, at string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(at)
		if err != nil {
			return fmt.Errorf("address %q: %w", at, err)
		}
		return c.checkAddress(addr, to.Addr().Unmap(), named)
	}}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &idleTimeoutConn{Conn: conn}, nil
}

// stallTimeout is how long a registry may say nothing in the middle of an
// answer.
const stallTimeout = time.Minute

// idleTimeoutConn is a connection with a timeout for every read.
type idleTimeoutConn struct{ net.Conn }

// Read implements net.Conn.
func (p *idleTimeoutConn) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(stallTimeout)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// addressError refuses to connect to an address. The text is for the log:
// people with access to a Deployment are not told addresses of the network.
type addressError struct {
	host string // and port
	ip   netip.Addr
	here bool // this machine or its link; else a private network
}

// Error implements error.
func (e *addressError) Error() string {
	return fmt.Sprintf("%s has the address %s, which is not named by --registries", e.host, e.ip)
}

// sentence is the refusal for people, about an image of a registry. Another
// host than the registry's, of a redirect or a token, is in the log only.
func (e *addressError) sentence(registry string) error {
	bare, _, err := net.SplitHostPort(e.host)
	own := strings.EqualFold(e.host, registry) || err == nil && strings.EqualFold(bare, strings.Trim(registry, "[]")) // of an IPv6 address
	switch {
	case !own && e.here:
		return slipway.Errorf(slipway.Invalid, "%s leads on to this machine or its own network link. Images are never fetched from there. Push it to Slipway's own registry, or upload an archive of it.", registry)
	case !own:
		return slipway.Errorf(slipway.Invalid, "%s leads on to a host with a private address. An administrator finds the host in the portal's log, and allows it with --registries.", registry)
	case e.here:
		return slipway.Errorf(slipway.Invalid, "%s leads to this machine or its own network link. Images are never fetched from there. Push it to Slipway's own registry, or upload an archive of it.", registry)
	}
	return slipway.Errorf(slipway.Invalid, "%s has a private address. An administrator allows such a registry with --registries.", registry)
}

// checkAddress refuses addresses of this machine or of private networks.
func (c *clients) checkAddress(host string, ip netip.Addr, named bool) error {
	switch {
	case ip == c.loopback || ip.IsLoopback() && c.named.namesHere(host):
		return nil
	case ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.Zone() != "":
		return &addressError{host: host, ip: ip, here: true}
	case private(ip) && !named && !c.named.holds(ip):
		return &addressError{host: host, ip: ip}
	}
	return nil
}

// private reports whether ip belongs to a private network, or may embed an
// address of one: translation (RFC 6052, 8215) and tunnels.
func private(ip netip.Addr) bool {
	return ip.IsPrivate() || slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}

var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

// plain reports whether a registry may be contacted without TLS: only one
// listed by an administrator.
func (c *clients) plain(host string) bool { return c.loopback.IsValid() || c.named.names(host) }

// repo returns a repository of another registry.
func (c *clients) repo(text string, login Login) (*remoteRepo, error) {
	var options []name.Option
	if c.plain(slipway.RegistryHost(text)) {
		options = append(options, name.Insecure) // HTTPS is tried first
	}
	repository, err := name.NewRepository(text, options...)
	if err != nil {
		return nil, slipway.Errorf(slipway.Invalid, "%q is no name of a repository: %v.", clipped(text), err)
	}
	auth := authn.Anonymous
	if login != (Login{}) {
		auth = authn.FromConfig(authn.AuthConfig{Username: login.User, Password: login.Password})
	}
	puller, err := remote.NewPuller(remote.WithTransport(c.transport), remote.WithAuth(auth), remote.WithUserAgent("slipway"),
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Steps: 2}), remote.WithRetryStatusCodes())
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", repository, err)
	}
	return &remoteRepo{repository: repository, puller: puller, login: login}, nil
}

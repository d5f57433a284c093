package image

import (
	"net/netip"
	"time"
)

// AllowLoopback lets s reach registries on this machine: those of tests.
func (s *Store) AllowLoopback() { s.AllowLoopbackOf(netip.MustParseAddr("127.0.0.1")) }

// AllowLoopbackOf does so for one address.
func (s *Store) AllowLoopbackOf(ip netip.Addr) { s.clients.loopback = ip }

// SetGrace makes Sweep remove what was not used for d.
func (s *Store) SetGrace(d time.Duration) { s.grace, s.driver.every = d, 0 }

// BlobFile returns the name of a blob's file.
func (s *Store) BlobFile(hex string) string { return s.driver.file(blobPath(hex)) }

// Judge says whether an address may be dialled, of a host that is named or not.
func (s *Store) Judge(host string, ip netip.Addr) error {
	return s.clients.checkAddress(host, ip, s.clients.named.names(host))
}

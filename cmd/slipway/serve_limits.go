package main

import (
	"net/netip"
	"syscall"

	"slipway/internal/auth"
	"slipway/internal/inbound"
)

// Numbers of connections at once: the least that --max-connections may be, and the
// most for metrics and for the health of an agent.
const (
	minConnections = 10
	maxOther       = 100
)

// connectionLimits returns the limits for at most so many connections, and for no
// more than half of the files that the process may open: a request may need files
// beside its connection.
func connectionLimits(most int, proxies []netip.Prefix) inbound.Config {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		most = int(min(uint64(most), max(files.Cur/2, minConnections)))
	}
	return inbound.Config{Most: most, FromNetwork: most / 2, Network: auth.Network, Proxies: proxies}
}

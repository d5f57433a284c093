package auth

import (
	"net/netip"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// Allowed wrong passwords in a row, and the pause until one more is allowed:
// for one account from one network, and for all accounts from one network.
const (
	AccountTries = 10
	AccountPause = time.Minute
	AddressTries = 50
	AddressPause = 10 * time.Second
)

// throttleKeys limits the accounts or addresses held in memory.
const throttleKeys = 10_000

// Throttle limits password guessing. Each key has a number of tries, refilled
// one by one. Take a try before checking a password, so that concurrent guesses
// gain nothing; restore the try after a correct password.
type Throttle struct {
	tries int
	pause time.Duration

	mu   sync.Mutex
	used map[string]tries
}

// tries is the number of used tries at a point in time.
type tries struct {
	n  float64
	at time.Time
}

// NewThrottle returns a Throttle of n tries, each of which comes back after pause.
func NewThrottle(n int, pause time.Duration) *Throttle {
	return &Throttle{tries: n, pause: pause, used: map[string]tries{}}
}

// Take uses one of key's tries, or returns a WaitError if none is left.
func (t *Throttle) Take(key string, now time.Time) error { return t.take(key, 1, now) }

// take uses n tries of key.
func (t *Throttle) take(key string, n float64, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.at(key, now)
	if over := left.n + n - float64(t.tries); over > 0 {
		wait := max(time.Duration(over*float64(t.pause)).Round(time.Second), time.Second)
		return &WaitError{
			error: slipway.Errorf(slipway.TooMany, "Too many attempts. Try again in %s.", wait),
			After: wait,
		}
	}
	t.used[key] = tries{n: left.n + n, at: now}
	t.shrink(now)
	return nil
}

// Restore returns one try to key, after a correct password. Tries used before
// stay used.
func (t *Throttle) Restore(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.at(key, now)
	t.used[key] = tries{n: max(0, left.n-1), at: now}
}

// Forget returns all tries to key.
func (t *Throttle) Forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.used, key)
}

// Network returns the address range that one attacker controls: the address
// itself for IPv4, the /64 network for IPv6.
func Network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Unmap().Is4() {
		return ip
	}
	p, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return ip
	}
	return p.String()
}

// at returns the tries used by key, minus the tries refilled until now.
func (t *Throttle) at(key string, now time.Time) tries {
	u := t.used[key]
	back := float64(now.Sub(u.at)) / float64(t.pause)
	return tries{n: max(0, u.n-back), at: now}
}

// shrink bounds memory: above the limit, drop keys with all tries refilled,
// then arbitrary keys until half of the limit is reached.
func (t *Throttle) shrink(now time.Time) {
	if len(t.used) <= throttleKeys {
		return
	}
	for key := range t.used {
		if t.at(key, now).n == 0 {
			delete(t.used, key)
		}
	}
	for key := range t.used {
		if len(t.used) <= throttleKeys/2 {
			return
		}
		delete(t.used, key)
	}
}

// counter is a number that several requests add to.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
}

// take returns the number and begins again at 0.
func (c *counter) take() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, c.n = c.n, 0
	return n
}

// WaitError refuses a try until After has passed.
type WaitError struct {
	error
	After time.Duration
}

func (e *WaitError) Unwrap() error { return e.error }

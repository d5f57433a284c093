package auth

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// Allowed wrong passwords in a row, and the pause until one more is allowed: for
// one account from one network, and for all accounts from one network, which is
// slowed afterwards.
const (
	AccountTries = 10
	AccountPause = time.Minute
	AddressTries = 50
	AddressPause = 10 * time.Second
)

// throttleKeys limits the accounts or networks held in memory.
const throttleKeys = 20_000

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

// use is a number of tries of a key; a part of one for a network with more tries
// than others.
type use struct {
	key string
	n   float64
}

// Take uses one of key's tries, or returns a WaitError if none is left.
func (t *Throttle) Take(key string, now time.Time) error { return t.take(now, use{key, 1}) }

// take uses tries of several keys, or none at all if one key has too few.
func (t *Throttle) take(now time.Time, all ...use) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	over := 0.0
	for _, u := range all {
		over = max(over, t.at(u.key, now).n+u.n-float64(t.tries))
	}
	if over > 0 {
		return newWaitError(max(time.Duration(over*float64(t.pause)).Round(time.Second), time.Second))
	}
	for _, u := range all {
		t.used[u.key] = tries{n: t.at(u.key, now).n + u.n, at: now}
	}
	t.shrink(now)
	return nil
}

// Restore returns one try to key, after a correct password. Tries used before
// stay used.
func (t *Throttle) Restore(key string, now time.Time) { t.restore(now, use{key, 1}) }

// restore returns tries.
func (t *Throttle) restore(now time.Time, u use) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used[u.key] = tries{n: max(0, t.at(u.key, now).n-u.n), at: now}
}

// usedUp reports whether a use would be refused.
func (t *Throttle) usedUp(now time.Time, u use) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at(u.key, now).n+u.n > float64(t.tries)
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

// Range is a range of addresses that one attacker may hold, and how many times the
// tries of an address it has.
type Range struct {
	Name  string
	Tries float64
}

// wider is the length of a range's prefix in bits, and the tries of the range.
type wider struct {
	bits  int
	tries float64
}

// The ranges around a client's own network. A line of IPv6 is a /56 or /48, a
// provider has a /32; hosts are rented by the /24 of IPv4.
var (
	around4 = []wider{{24, 8}}
	around6 = []wider{{56, 2}, {48, 4}, {32, 16}}
)

// Around returns the ranges around Network(ip), the widest one last.
func Around(ip string) (all []Range) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil
	}
	addr, lengths := addr.Unmap().WithZone(""), around6
	if addr.Is4() {
		lengths = around4
	}
	for _, w := range lengths {
		if p, err := addr.Prefix(w.bits); err == nil {
			all = append(all, Range{p.String(), w.tries})
		}
	}
	return all
}

// at returns the tries used by key, minus the tries refilled until now.
func (t *Throttle) at(key string, now time.Time) tries {
	u := t.used[key]
	back := float64(now.Sub(u.at)) / float64(t.pause)
	return tries{n: max(0, u.n-back), at: now}
}

// shrink bounds memory: above the limit, only the half with the most used tries
// stays. Whoever fills the memory from many addresses makes it forget nobody who
// guesses.
func (t *Throttle) shrink(now time.Time) {
	if len(t.used) <= throttleKeys {
		return
	}
	keys := slices.SortedFunc(maps.Keys(t.used), func(a, b string) int { return cmp.Compare(t.at(a, now).n, t.at(b, now).n) })
	for _, key := range keys[:len(keys)-throttleKeys/2] {
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

// newWaitError returns the refusal of a try until after has passed.
func newWaitError(after time.Duration) error {
	return Later(slipway.Errorf(slipway.TooMany, "Too many attempts. Try again in %s.", after), after)
}

// Later returns err as the refusal of a try until after has passed.
func Later(err error, after time.Duration) error { return &WaitError{error: err, After: after} }

func (e *WaitError) Unwrap() error { return e.error }

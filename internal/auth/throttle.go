package auth

import (
	"net/netip"
	"sync"
	"time"

	"slipway/internal/slipway"
)

// How many wrong passwords may follow each other, and how long until another
// one may.
const (
	AccountTries = 10
	AccountPause = time.Minute
	AddressTries = 50
	AddressPause = 10 * time.Second
)

// throttleKeys is how many accounts or addresses are remembered at most.
const throttleKeys = 10_000

// Throttle slows down whoever guesses. Each key has tries that come back one
// by one; a try is taken before the password is checked, so that many at once
// gain nothing, and given back when it was right.
type Throttle struct {
	tries int
	pause time.Duration

	mu   sync.Mutex
	used map[string]tries
}

// tries are those that were used up at some moment.
type tries struct {
	n  float64
	at time.Time
}

func NewThrottle(n int, pause time.Duration) *Throttle {
	return &Throttle{tries: n, pause: pause, used: map[string]tries{}}
}

// Take uses up one of key's tries, or says when there will be one.
func (t *Throttle) Take(key string, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.at(key, now)
	if over := left.n + 1 - float64(t.tries); over > 0 {
		wait := max(time.Duration(over*float64(t.pause)).Round(time.Second), time.Second)
		return &WaitError{
			error: slipway.Errorf(slipway.TooMany, "Too many attempts. Try again in %s.", wait),
			After: wait,
		}
	}
	t.used[key] = tries{n: left.n + 1, at: now}
	t.shrink(now)
	return nil
}

// Restore returns one try to key: it was right. Those before it stay used.
func (t *Throttle) Restore(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.at(key, now)
	t.used[key] = tries{n: max(0, left.n-1), at: now}
}

// Forget returns every try to key.
func (t *Throttle) Forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.used, key)
}

// Network returns what one person has of addresses: with IPv6 that is a whole
// network, whose addresses cost them nothing.
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

// at returns what key has used up, less what came back since.
func (t *Throttle) at(key string, now time.Time) tries {
	u := t.used[key]
	back := float64(now.Sub(u.at)) / float64(t.pause)
	return tries{n: max(0, u.n-back), at: now}
}

// shrink forgets keys that have all their tries again, and if that is not
// enough any others: memory stays bounded, whoever asks.
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

// WaitError is a refusal that says when to try again.
type WaitError struct {
	error
	After time.Duration
}

func (e *WaitError) Unwrap() error { return e.error }

package auth

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// Limits of wrong passwords from everywhere to one account. Beyond AlarmTries,
// each network has a few tries only: alarmCost of its AccountTries a try.
const (
	AlarmTries = 100
	alarmPause = time.Minute
	alarmCost  = 5
)

// Attempt is a sign-in before the check of the password.
type Attempt struct {
	Account string // fingerprint of the address, also of an unknown account
	Network string
	Around  []Range // the ranges that hold Network
	Browser string  // of a remembered browser, see Browsers; "" for others
}

// SignIns limits guessing at passwords. Tries count by account and network
// together, so that nobody keeps an account signed out from elsewhere, and a
// network with many wrong passwords is slowed, for the sake of others in it.
// Remembered browsers have tries of their own.
type SignIns struct {
	pairs, networks, accounts, browsers *Throttle
	lanes                               lanes
}

// NewSignIns returns SignIns without a failed one.
func NewSignIns() *SignIns {
	return &SignIns{
		pairs: NewThrottle(AccountTries, AccountPause), networks: NewThrottle(AddressTries, AddressPause),
		accounts: NewThrottle(AlarmTries, alarmPause), browsers: NewThrottle(AccountTries, AccountPause),
		lanes: lanes{of: map[string]*lane{}},
	}
}

func (a Attempt) pair() string { return a.Account + " " + a.Network }

// networks are the uses of a try in the networks of a, the narrowest one first.
func (a Attempt) networks() []use {
	all := []use{{a.Network, 1}}
	for _, r := range a.Around {
		all = append(all, use{r.Name, 1 / r.Tries})
	}
	return all
}

// pairs are the uses of tries at the account in the networks of a.
func (a Attempt) pairs(cost float64) (all []use) {
	for _, u := range a.networks() {
		all = append(all, use{a.Account + " " + u.key, cost * u.n})
	}
	return all
}

// Take uses a try of a, or returns a WaitError if none is left. A try costs more
// once the account, or a network, has seen many wrong passwords.
func (s *SignIns) Take(a Attempt, now time.Time) error {
	if a.Browser != "" {
		return s.browsers.Take(a.Browser, now)
	}
	cost := 1.0
	if s.accounts.Take(a.Account, now) != nil {
		cost = alarmCost
	}
	for _, u := range a.networks() {
		if s.networks.take(now, u) != nil {
			cost = alarmCost
		}
	}
	return s.pairs.take(now, a.pairs(cost)...)
}

// Enter waits until the password of a may be checked; leave ends the check. Only
// networks with many wrong passwords wait, each in a lane of its own.
func (s *SignIns) Enter(ctx context.Context, a Attempt, now time.Time) (leave func(), err error) {
	if a.Browser == "" {
		for _, u := range slices.Backward(a.networks()) { // the whole of a range has one lane
			if s.networks.usedUp(now, u) {
				return s.lanes.enter(ctx, u.key)
			}
		}
	}
	return func() {}, nil
}

// Succeed returns tries after a correct password.
func (s *SignIns) Succeed(a Attempt, now time.Time) {
	if a.Browser != "" {
		s.browsers.Forget(a.Browser)
		return
	}
	for _, u := range a.pairs(1)[1:] {
		s.pairs.restore(now, u)
	}
	s.pairs.Forget(a.pair())
	for _, u := range a.networks() {
		s.networks.restore(now, u)
	}
	s.accounts.Restore(a.Account, now)
}

// Limits of a lane: passwords checked at once, and together with those that wait.
const (
	laneWidth  = 2
	laneLength = 20
)

// lanes are the checks of passwords for networks with many wrong ones.
type lanes struct {
	mu sync.Mutex
	of map[string]*lane
}

// lane is a row of checks for one network.
type lane struct {
	free chan struct{} // a value for each check in work
	n    int           // checks in work or waiting
}

// enter waits for a place in the lane of a network. It returns a WaitError where
// too many wait already.
func (l *lanes) enter(ctx context.Context, network string) (leave func(), err error) {
	l.mu.Lock()
	one := l.of[network]
	if one == nil {
		one = &lane{free: make(chan struct{}, laneWidth)}
		l.of[network] = one
	}
	if one.n >= laneLength {
		l.mu.Unlock()
		return nil, newWaitError(time.Second)
	}
	one.n++
	l.mu.Unlock()
	select {
	case one.free <- struct{}{}:
		return func() {
			<-one.free
			l.drop(network)
		}, nil
	case <-ctx.Done():
		l.drop(network)
		return nil, fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
}

// drop takes a check from the count of a network.
func (l *lanes) drop(network string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[network].n--; l.of[network].n == 0 {
		delete(l.of, network)
	}
}

// Limits of failed sign-ins in the audit log: each account and network once in
// journalPause, and all together journalBurst, refilled every journalRefill. An
// attacker cannot fill the disk by failing.
const (
	journalPause  = time.Hour
	journalBurst  = 1000
	journalRefill = time.Minute
)

// Journal records sign-ins in the audit log.
type Journal struct {
	pairs, all *Throttle
	missed     counter
}

// NewJournal returns an empty Journal.
func NewJournal() *Journal {
	return &Journal{pairs: NewThrottle(1, journalPause), all: NewThrottle(journalBurst, journalRefill)}
}

// SignedIn records a sign-in of a user, in the audit log of the Organization and
// of each Workspace of the user. how is the detail, as in "By password.".
func (j *Journal) SignedIn(tx *store.Tx, by slipway.Actor, u slipway.User, how string) error {
	return auditAccount(tx, by, "account.signin", u, func(slipway.WorkspaceID) string { return how })
}

// Notes reports whether the failed sign-in a is to be recorded. Other failed ones
// are counted for the next record.
func (j *Journal) Notes(a Attempt, now time.Time) bool {
	if j.pairs.Take(a.pair(), now) == nil && j.all.Take("", now) == nil {
		return true
	}
	j.missed.add(1)
	return false
}

// Failed records a failed sign-in that Notes agreed to; u is zero for an unknown
// account, whose address may be a password in the wrong field and is not
// recorded.
func (j *Journal) Failed(tx *store.Tx, by slipway.Actor, u slipway.User, why string) error {
	if n := j.missed.take(); n > 0 {
		why += fmt.Sprintf(" %d failed sign-ins since the last record are not listed.", n)
	}
	if u.ID == "" {
		return tx.Audit(by, slipway.Event{Action: "account.signin-failed", Detail: why})
	}
	return auditAccount(tx, by, "account.signin-failed", u, func(slipway.WorkspaceID) string { return why })
}

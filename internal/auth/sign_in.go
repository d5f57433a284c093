package auth

import (
	"fmt"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
)

// Limits of wrong passwords from everywhere to one account. Beyond AlarmTries,
// each network has a few tries only: alarmCost of its AccountTries a try.
const (
	AlarmTries = 100
	alarmPause = 10 * time.Second
	alarmCost  = 5
)

// Attempt is a sign-in before the check of the password.
type Attempt struct {
	Account string // fingerprint of the address, also of an unknown account
	Network string
	Browser string // of a remembered browser, see Browsers; "" for others
}

// SignIns limits guessing at passwords. Tries count by account and network
// together, so that nobody keeps an account signed out from elsewhere.
// Remembered browsers have tries of their own.
type SignIns struct {
	pairs, networks, accounts, browsers *Throttle
}

// NewSignIns returns SignIns without a failed one.
func NewSignIns() *SignIns {
	return &SignIns{
		pairs: NewThrottle(AccountTries, AccountPause), networks: NewThrottle(AddressTries, AddressPause),
		accounts: NewThrottle(AlarmTries, alarmPause), browsers: NewThrottle(AccountTries, AccountPause),
	}
}

func (a Attempt) pair() string { return a.Account + " " + a.Network }

// Take uses a try of a, or returns a WaitError if none is left.
func (s *SignIns) Take(a Attempt, now time.Time) error {
	if a.Browser != "" {
		return s.browsers.Take(a.Browser, now)
	}
	if err := s.networks.Take(a.Network, now); err != nil {
		return err
	}
	cost := 1.0
	if s.accounts.Take(a.Account, now) != nil {
		cost = alarmCost
	}
	return s.pairs.take(a.pair(), cost, now)
}

// Succeed returns tries after a correct password.
func (s *SignIns) Succeed(a Attempt, now time.Time) {
	if a.Browser != "" {
		s.browsers.Forget(a.Browser)
		return
	}
	s.pairs.Forget(a.pair())
	s.networks.Restore(a.Network, now)
	s.accounts.Restore(a.Account, now)
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

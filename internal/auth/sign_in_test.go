package auth

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// However much an attacker fails, and from however many networks, the owner of
// the account signs in from a network of their own.
func TestNobodyKeepsAnAccountSignedOut(t *testing.T) {
	for _, networks := range []int{1, 10, 1000} {
		s := NewSignIns()
		for i := range 3000 {
			_ = s.Take(Attempt{Account: "ada", Network: fmt.Sprint(i % networks)}, noon)
		}
		if err := s.Take(Attempt{Account: "ada", Network: "home"}, noon); err != nil {
			t.Errorf("%d networks: %v", networks, err)
		}
		if err := s.Take(Attempt{Account: "ada", Network: "home"}, noon); err != nil {
			t.Errorf("%d networks, after a typing mistake: %v", networks, err)
		}
	}
}

func TestGuessesOfOneNetworkAreFew(t *testing.T) {
	for name, tt := range map[string]struct {
		alarm bool
		want  int
	}{"usual": {want: AccountTries}, "many guesses from everywhere": {alarm: true, want: AccountTries / alarmCost}} {
		t.Run(name, func(t *testing.T) {
			s := NewSignIns()
			for i := 0; tt.alarm && i < 2*AlarmTries; i++ {
				_ = s.Take(Attempt{Account: "ada", Network: fmt.Sprint(i)}, noon)
			}
			taken := 0
			for s.Take(Attempt{Account: "ada", Network: "n"}, noon) == nil {
				taken++
			}
			if taken != tt.want {
				t.Errorf("%d tries, want %d", taken, tt.want)
			}
			if err := s.Take(Attempt{Account: "ada", Network: "n"}, noon.Add(alarmCost*AccountPause)); err != nil {
				t.Errorf("later: %v", err)
			}
		})
	}
}

// However many addresses of one range an attacker has, the range has few guesses at
// one account, and others have theirs.
func TestGuessesOfOneRangeAreFew(t *testing.T) {
	for name, tt := range map[string]struct {
		ip        func(i int) string
		most, day int // guesses in one go, and within a day
	}{
		"/64 after /64 of a /56": {func(i int) string { return fmt.Sprintf("2001:db8:1:%x::%x", i%256, i%9999) }, 2 * AccountTries, 2000},
		"/64 after /64 of a /48": {func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i%65536) }, 4 * AccountTries, 2600},
		"/48 after /48 of a /32": {func(i int) string { return fmt.Sprintf("2001:db8:%x:1::1", i%65536) }, 16 * AccountTries, 7000},
		"a /24 of IPv4":          {func(i int) string { return fmt.Sprintf("192.0.2.%d", i%256) }, 8 * AccountTries, 3800},
		"the same, as IPv6":      {func(i int) string { return fmt.Sprintf("::ffff:192.0.2.%d", i%256) }, 8 * AccountTries, 3800},
	} {
		t.Run(name, func(t *testing.T) {
			s, n := NewSignIns(), 0
			guess := func(now time.Time) {
				ip := tt.ip(n)
				if n++; s.Take(Attempt{Account: "ada", Network: Network(ip), Around: Around(ip)}, now) == nil {
					tt.most, tt.day = tt.most-1, tt.day-1
				}
			}
			for range 3000 {
				guess(noon)
			}
			if tt.most < 0 {
				t.Errorf("%d guesses too many in one go", -tt.most)
			}
			for i := range 24 * 60 * 12 {
				guess(noon.Add(time.Duration(i) * 5 * time.Second))
			}
			if tt.day < 0 {
				t.Errorf("%d guesses too many in a day", -tt.day)
			}
			for _, home := range []string{"198.51.100.7", "2001:db9::7"} {
				if err := s.Take(Attempt{Account: "ada", Network: Network(home), Around: Around(home)}, noon.Add(24*time.Hour)); err != nil {
					t.Errorf("from %s: %v", home, err)
				}
			}
		})
	}
}

// Wrong passwords for other accounts slow a network, and close the sign-in for
// nobody in the network: everybody has a try and a typing mistake.
func TestBusyNetworkIsSlowed(t *testing.T) {
	for name, ip := range map[string]func(i int) string{
		"one address":     func(int) string { return "192.0.2.7" },
		"many of a range": func(i int) string { return fmt.Sprintf("2001:db8:1:%x::1", i%65536) },
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSignIns()
			attempt := func(i int, account string) Attempt {
				return Attempt{Account: account, Network: Network(ip(i)), Around: Around(ip(i))}
			}
			for i := range 5000 {
				_ = s.Take(attempt(i, fmt.Sprint("nobody", i)), noon)
			}
			taken := 0
			for s.Take(attempt(0, "ada"), noon) == nil {
				taken++
			}
			if taken != AccountTries/alarmCost {
				t.Errorf("%d tries, want %d", taken, AccountTries/alarmCost)
			}
			var leaves []func()
			for i := range laneLength + 5 {
				ctx, cancel := context.WithCancel(t.Context())
				if i >= laneWidth {
					cancel() // nobody leaves meanwhile
				}
				if leave, err := s.Enter(ctx, attempt(i, "ada"), noon); err == nil {
					leaves = append(leaves, leave)
				}
				cancel()
			}
			if len(leaves) != laneWidth {
				t.Errorf("%d are checked at once, want %d", len(leaves), laneWidth)
			}
			for _, leave := range leaves {
				leave()
			}
			if n := len(s.lanes.of); n != 0 {
				t.Errorf("%d lanes stay", n)
			}
			if leave, err := s.Enter(t.Context(), Attempt{Account: "ada", Network: "elsewhere"}, noon); err != nil {
				t.Error(err)
			} else {
				leave()
			}
		})
	}
}

// A full lane refuses at once: connections do not pile up.
func TestFullLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lanes{of: map[string]*lane{}}
		ctx, cancel := context.WithCancel(t.Context())
		for range laneLength {
			go func() {
				if leave, err := l.enter(ctx, "n"); err == nil {
					<-ctx.Done()
					leave()
				}
			}()
		}
		synctest.Wait()
		if _, err := l.enter(ctx, "n"); !errors.Is(err, slipway.ErrTooMany) {
			t.Errorf("error %v", err)
		}
		if leave, err := l.enter(ctx, "other"); err != nil {
			t.Error(err)
		} else {
			leave()
		}
		cancel()
		synctest.Wait()
		if len(l.of) != 0 {
			t.Errorf("%d lanes stay", len(l.of))
		}
	})
}

// A remembered browser is exempt from the guesses of its network, and has no more
// tries than others.
func TestRememberedBrowserHasTriesOfItsOwn(t *testing.T) {
	s, known := NewSignIns(), Attempt{Account: "ada", Network: "office", Browser: "b"}
	for i := range 1000 {
		_ = s.Take(Attempt{Account: fmt.Sprint(i % 2), Network: "office"}, noon)
		_ = s.Take(Attempt{Account: "ada", Network: "office"}, noon)
	}
	for i := range AccountTries {
		if err := s.Take(known, noon); err != nil {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if s.Take(known, noon) == nil {
		t.Error("a browser has tries without end")
	}
	s.Succeed(known, noon)
	if err := s.Take(known, noon); err != nil {
		t.Errorf("after signing in: %v", err)
	}
}

// An attacker who fails from everywhere, for a day, fills no audit log.
func TestFailedSignInsAreBounded(t *testing.T) {
	j, noted, tried := NewJournal(), 0, 0
	for minute := range 24 * 60 {
		for i := range 100 {
			tried++
			if j.Notes(Attempt{Account: fmt.Sprint("a", i), Network: fmt.Sprint(minute, i)}, noon.Add(time.Duration(minute)*time.Minute)) {
				noted++
			}
		}
	}
	if most := journalBurst + 24*60; noted > most || noted < journalBurst {
		t.Errorf("%d of %d are recorded, want %d at most", noted, tried, most)
	}
	if missed := j.missed.take(); missed != tried-noted {
		t.Errorf("%d are counted, want %d", missed, tried-noted)
	}
}

// One network that guesses at one account is one record an hour.
func TestOneRecordAnHour(t *testing.T) {
	j, noted := NewJournal(), 0
	for second := range 2 * 3600 {
		if j.Notes(Attempt{Account: "ada", Network: "n"}, noon.Add(time.Duration(second)*time.Second)) {
			noted++
		}
	}
	if noted != 2 {
		t.Errorf("%d records in two hours, want 2", noted)
	}
}

func TestSignInsAreAudited(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	j := NewJournal()
	storetest.Update(t, st, func(tx *store.Tx) error {
		u, err := tx.WorkingUser(w.Eve.User)
		if err != nil {
			return err
		}
		by := slipway.Actor{Name: "Somebody", IP: "192.0.2.7"}
		j.missed.add(7)
		if err := j.Failed(tx, by, u, "Wrong password."); err != nil {
			return err
		}
		if err := j.Failed(tx, by, slipway.User{}, "There is no such account."); err != nil {
			return err
		}
		return j.SignedIn(tx, w.Eve, u, "By password.")
	})
	storetest.View(t, st, func(tx *store.Tx) error {
		for of, want := range map[slipway.WorkspaceID][]string{
			w.Workspace.ID: {"account.signin eve@example.com By password.", "account.signin-failed eve@example.com Wrong password. 7 failed sign-ins since the last record are not listed."},
			"":             {"account.signin eve@example.com By password.", "account.signin-failed  There is no such account.", "account.signin-failed eve@example.com Wrong password. 7 failed sign-ins since the last record are not listed."},
		} {
			trail, err := tx.AuditTrail(of, 0, len(want))
			if err != nil {
				return err
			}
			for i, e := range trail {
				if got := e.Action + " " + e.Target + " " + e.Detail; got != want[i] {
					t.Errorf("%q: %q, want %q", of, got, want[i])
				}
			}
		}
		return nil
	})
}

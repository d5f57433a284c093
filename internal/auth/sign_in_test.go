package auth

import (
	"fmt"
	"testing"
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

package auth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// A sign-in is whole or nothing: without its record in the audit log, nobody is
// signed in, and nothing else of it is kept.
func TestNobodyIsSignedInByHalf(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	s := &Sessions{Store: st, Cookies: NewCookies(nil)}
	fault := errors.New("no audit log")
	for name, fails := range map[string]bool{"kept": false, "not kept": true} {
		t.Run(name, func(t *testing.T) {
			r, answer := httptest.NewRequest(http.MethodPost, "/signin", nil), httptest.NewRecorder()
			sess, err := s.Get(r, "session")
			if err != nil {
				t.Fatal(err)
			}
			u, err := s.Start(r, answer, sess, func(tx *store.Tx) (slipway.User, error) {
				u, err := tx.WorkingUser(w.Eve.User)
				if err == nil {
					err = tx.RenameUser(u.ID, name)
				}
				if err == nil && fails {
					err = fault
				}
				return u, err
			})
			if errors.Is(err, fault) != fails || u.ID != w.Eve.User {
				t.Errorf("%s, %v", u.ID, err)
			}
			_, signedIn := sess.Values[UserKey]
			if cookies := answer.Result().Cookies(); (len(cookies) == 0) != fails || signedIn == fails {
				t.Errorf("cookies %v, signed in: %v", cookies, signedIn)
			}
			storetest.View(t, st, func(tx *store.Tx) error {
				u, err := tx.WorkingUser(w.Eve.User)
				if (u.Name == name) == fails {
					t.Errorf("the name is %s", u.Name)
				}
				return err
			})
		})
	}
}

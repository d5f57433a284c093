package web

import (
	"net/http"
	"strings"
	"testing"

	"slipway/store"
	"slipway/store/storetest"
)

func TestSignOutEverywhere(t *testing.T) {
	a := newApp(t)
	here, there, other := a.as(t, a.Ada), a.as(t, a.Ada), a.as(t, a.Eve)
	want(t, here.get("/account"), http.StatusOK, "2 browsers")
	goesTo(t, here.post("/account/sessions/end"), "/signin")
	want(t, here.get("/account"), http.StatusSeeOther)
	want(t, there.get("/account"), http.StatusSeeOther)
	want(t, other.get("/account"), http.StatusOK)
}

func TestChangePassword(t *testing.T) {
	const next = "another horse battery"
	for name, tt := range map[string]struct {
		current, password string
		want              int
		says              string
	}{
		"right":         {current: storetest.Password, password: next, want: http.StatusSeeOther},
		"wrong current": {current: "wrong horse battery", password: next, want: http.StatusUnprocessableEntity, says: "The current password is wrong."},
		"too short":     {current: storetest.Password, password: "short", want: http.StatusUnprocessableEntity, says: "at least 10 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			b, there := a.as(t, a.Ada), a.as(t, a.Ada)

			w := b.post("/account/password", "current", tt.current, "password", tt.password)

			want(t, w, tt.want, tt.says)
			changed := tt.want == http.StatusSeeOther
			if got := a.browser(t).signIn("ada@example.com", next).Code == http.StatusSeeOther; got != changed {
				t.Errorf("the new password works: %v", got)
			}
			if got := there.get("/account").Code == http.StatusSeeOther; got != changed {
				t.Errorf("signed out elsewhere: %v", got)
			}
			want(t, b.get("/account"), http.StatusOK)
		})
	}
}

func TestRenameAccount(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Ada)
	goesTo(t, b.post("/account", "name", " Countess "), "/account")
	want(t, b.get("/account"), http.StatusOK, `value="Countess"`, "Your name is Countess now.")
	want(t, b.post("/account", "name", " "), http.StatusUnprocessableEntity, "An account needs a name.")
}

func TestPasswordIsHashedAnew(t *testing.T) {
	a := newApp(t)
	hash := func() (h string) {
		storetest.View(t, a.store, func(tx *store.Tx) (err error) {
			h, err = tx.Password(a.Ada.User)
			return err
		})
		return h
	}
	b := a.browser(t)
	b.signIn("ada@example.com", storetest.Password) // with the cheap hash of storetest
	if got := hash(); !strings.HasPrefix(got, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("hash %q after signing in", got)
	}
	before := hash()
	want(t, a.browser(t).signIn("ada@example.com", storetest.Password), http.StatusSeeOther)
	if hash() != before {
		t.Error("a hash of today's costs was made anew")
	}
	want(t, b.get("/account"), http.StatusOK)
}

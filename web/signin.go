package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// showSignIn serves GET /signin.
func (s *Server) showSignIn(c echo.Context) error {
	if known, err := s.recognise(c); err != nil || known {
		if err != nil {
			return err
		}
		return seeOther(c, localPath(c.QueryParam("next")))
	}
	var accounts bool
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		n, err := tx.CountUsers()
		accounts = n > 0
		return err
	})
	if err != nil {
		return err
	}
	if !accounts {
		return render(c, http.StatusOK, views.FirstRunPage(s.bareFrame(c, "Welcome to Slipway")))
	}
	return render(c, http.StatusOK, views.SignInPage(s.signInForm(c, nil)))
}

// signInForm is the sign-in form with the sent address and the reason of a
// refusal; nil for none.
func (s *Server) signInForm(c echo.Context, refusal error) views.SignIn {
	form := views.SignIn{
		Page: s.bareFrame(c, "Sign in"), Next: localPath(c.FormValue("next")), Email: c.FormValue("email"),
	}
	form.Page.Done = s.cookies.Take(c, doneCookie)
	if refusal != nil {
		_, form.Error = slipway.Explain(refusal)
	}
	return form
}

// signIn serves POST /signin.
func (s *Server) signIn(c echo.Context) error {
	u, err := s.authenticate(c, c.FormValue("email"), c.FormValue("password"))
	if status, _ := explain(err); status == http.StatusUnauthorized || status == http.StatusTooManyRequests {
		c.Set(errorKey, err)
		tellWait(c, err)
		return render(c, status, views.SignInPage(s.signInForm(c, err)))
	}
	if err != nil {
		return err
	}
	err = s.startSession(c, func(tx *store.Tx) (slipway.User, error) {
		return u, s.journal.SignedIn(tx, actor(c, u), u, views.SignedInByPassword)
	})
	if err != nil {
		return err
	}
	return seeOther(c, localPath(c.FormValue("next")))
}

// authenticate returns the account of email and password. A wrong password, an
// unknown account and a disabled account get the same answer after the same
// time.
func (s *Server) authenticate(c echo.Context, email, password string) (slipway.User, error) {
	wrong := slipway.Errorf(slipway.Unauthorized, views.WrongSignIn)
	clean, err := slipway.CheckEmail(email)
	if err != nil {
		clean = email // no account has this address, but the answer must be the same
	}
	ctx := c.Request().Context()
	u, hash, err := s.account(ctx, clean)
	if err != nil {
		return slipway.User{}, err
	}
	a, err := s.attempt(c, clean, u)
	if err != nil {
		return slipway.User{}, err
	}
	if err := s.signIns.Take(a, s.store.Now()); err != nil {
		s.noteFailure(c, a, u, views.TooManyTries)
		return slipway.User{}, err
	}
	ok, stale, err := s.checkPassword(ctx, a, hash, password)
	if err != nil {
		return slipway.User{}, err
	}
	if !ok || u.Disabled() {
		s.noteFailure(c, a, u, views.FailureReason(u.ID != "", u.Disabled()))
		return slipway.User{}, wrong
	}
	s.signIns.Succeed(a, s.store.Now())
	if stale {
		s.rehash(ctx, u, password)
	}
	return u, nil
}

// checkPassword checks a password when it is the turn of a's network.
func (s *Server) checkPassword(ctx context.Context, a auth.Attempt, hash, password string) (ok, stale bool, err error) {
	leave, err := s.signIns.Enter(ctx, a, s.store.Now())
	if err != nil {
		return false, false, err
	}
	defer leave()
	return s.passwords.Check(ctx, hash, password)
}

// attempt describes a sign-in to the account u of email for the limits. A browser
// with a session, or with an earlier sign-in, has tries of its own.
func (s *Server) attempt(c echo.Context, email string, u slipway.User) (a auth.Attempt, err error) {
	a = auth.Attempt{Account: auth.Fingerprint(email), Network: auth.Network(c.RealIP()), Around: auth.Around(c.RealIP())}
	if u.ID != "" && userOf(c).ID == u.ID {
		a.Browser = "session " + string(u.ID)
		return a, nil
	}
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		key, err := tx.Setting(auth.BrowserKey)
		if err == nil && key != nil {
			a.Browser = auth.Remembered(key, s.cookies.Read(c, browserCookie), u.ID, tx.Now)
		}
		return err
	})
	return a, err
}

// noteFailure records a failed sign-in in the audit log, within the limits of the
// journal. Without a record, the answer stays the same.
func (s *Server) noteFailure(c echo.Context, a auth.Attempt, u slipway.User, why string) {
	if !s.journal.Notes(a, s.store.Now()) {
		return
	}
	by := slipway.Actor{Name: views.Somebody, Via: slipway.Portal, IP: c.RealIP()}
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) error { return s.journal.Failed(tx, by, u, why) })
	if err != nil {
		s.log.Warn("a failed sign-in is not in the audit log", "err", err)
	}
}

// browserCookie is the name of the cookie of a browser that signed in before.
const browserCookie = "browser"

// account returns the user with an email address and the password hash; both
// are zero for an unknown address.
func (s *Server) account(ctx context.Context, email string) (u slipway.User, hash string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		u, err = tx.UserByEmail(email)
		if errors.Is(err, slipway.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		hash, err = tx.Password(u.ID)
		return err
	})
	return u, hash, err
}

// rehash stores the hash of the password at the present costs. A failure is
// only logged, because the old hash still works.
func (s *Server) rehash(ctx context.Context, u slipway.User, password string) {
	hash, err := s.passwords.Hash(ctx, password)
	if err == nil {
		err = s.store.Update(ctx, func(tx *store.Tx) error { return tx.RehashPassword(u.ID, hash) })
	}
	if err != nil {
		s.log.Warn("a password could not be hashed anew", "user", u.ID, "err", err)
	}
}

// signOut serves POST /signout.
func (s *Server) signOut(c echo.Context) error {
	if err := s.endSession(c); err != nil {
		return err
	}
	return s.done(c, "/signin", views.DoneSignedOut)
}

// signInPath is the address of the sign-in page that leads to path afterwards.
func signInPath(path string) string {
	return "/signin?" + url.Values{"next": {path}}.Encode()
}

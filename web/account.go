package web

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// showAccount serves GET /account: name, password and sessions of the caller.
func (s *Server) showAccount(c echo.Context) error {
	var page views.Account
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		if page.Page, err = s.frame(c, tx, "Your account"); err != nil {
			return err
		}
		page.Sessions, err = tx.CountSessions(userOf(c).ID)
		return err
	})
	if err != nil {
		return err
	}
	page.Name = userOf(c).Name
	return render(c, http.StatusOK, views.AccountPage(page))
}

// renameAccount serves POST /account: a new name for the caller.
func (s *Server) renameAccount(c echo.Context) error {
	name, err := slipway.CheckName("An account", c.FormValue("name"))
	if err != nil {
		return err
	}
	err = s.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		if _, err := tx.WorkingUser(userOf(c).ID); err != nil {
			return err
		}
		if err := tx.RenameUser(userOf(c).ID, name); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Action: "account.rename", Target: userOf(c).Email, Detail: "Now " + name + "."})
	})
	if err != nil {
		return err
	}
	return s.done(c, "/account", views.DoneRenamed, name)
}

// changePassword serves POST /account/password. Every session ends, and the
// browser gets a new one.
func (s *Server) changePassword(c echo.Context) error {
	u, ctx := userOf(c), c.Request().Context()
	_, err := s.authenticate(c, u.Email, c.FormValue("current"))
	if errors.Is(err, slipway.ErrUnauthorized) {
		return slipway.Errorf(slipway.Invalid, views.WrongPassword)
	}
	if err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, c.FormValue("password"))
	if err != nil {
		return err
	}
	err = s.startSession(c, func(tx *store.Tx) (slipway.User, error) {
		if _, err := tx.WorkingUser(u.ID); err != nil {
			return u, err
		}
		if err := tx.SetPassword(u.ID, hash); err != nil {
			return u, err
		}
		return u, tx.Audit(actorOf(c), slipway.Event{Action: "account.password", Target: u.Email})
	})
	if err != nil {
		return err
	}
	s.engine.Recheck()
	return s.done(c, "/account", views.DonePassword)
}

// signOutEverywhere serves POST /account/sessions/end. Open pages of the account
// check the session again, and end.
func (s *Server) signOutEverywhere(c echo.Context) error {
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		if err := tx.EndSessions(userOf(c).ID); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Action: "account.signout-everywhere", Target: userOf(c).Email})
	})
	if err != nil {
		return err
	}
	s.engine.Recheck()
	if err := s.endSession(c); err != nil {
		return err
	}
	return s.done(c, "/signin", views.DoneSignedOutAll)
}

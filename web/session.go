package web

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gorilla/sessions"
	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/inbound"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// sessionName is the name under which a request caches the session.
const sessionName = "session"

// userOf returns the signed-in user, or the zero User.
func userOf(c echo.Context) slipway.User {
	u, _ := c.Get(auth.UserKey).(slipway.User)
	return u
}

// userKnown reports whether the request has a signed-in user.
func userKnown(c echo.Context) bool { return userOf(c).ID != "" }

// actorOf returns the signed-in user as an actor, for rules and the audit log.
func actorOf(c echo.Context) slipway.Actor { return actor(c, userOf(c)) }

// actor returns u as the actor of the request, for a user that is not signed in
// yet.
func actor(c echo.Context, u slipway.User) slipway.Actor {
	return slipway.Actor{User: u.ID, Name: u.Title(), Via: slipway.Portal, IP: c.RealIP()}
}

// requireUser lets only signed-in people pass.
func (s *Server) requireUser(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		known, err := s.recognise(c)
		if err != nil {
			return err
		}
		if !known {
			return slipway.Errorf(slipway.Unauthorized, views.NeedsSignIn)
		}
		return next(c)
	}
}

// recognise reports whether the request has a session, and sets the user for
// userOf.
func (s *Server) recognise(c echo.Context) (bool, error) {
	sess, err := s.sessions.Get(c.Request(), sessionName)
	if err != nil {
		return false, fmt.Errorf("session: %w", err)
	}
	u, ok := sess.Values[auth.UserKey].(slipway.User)
	if ok {
		c.Set(auth.UserKey, u)
		inbound.Known(c.Request().Context())
	}
	return ok, nil
}

// startSession signs somebody in, under a new session id as a defence against
// session fixation. who makes or finds the account, in the transaction of the
// session. The browser gets tries of its own for later sign-ins.
func (s *Server) startSession(c echo.Context, who func(tx *store.Tx) (slipway.User, error)) error {
	sess, err := s.sessions.Get(c.Request(), sessionName)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	var key []byte
	u, err := s.sessions.Start(c.Request(), c.Response(), sess, func(tx *store.Tx) (u slipway.User, err error) {
		if key, err = auth.KeyOf(tx, auth.BrowserKey); err != nil {
			return u, err
		}
		return who(tx)
	})
	if err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	c.Set(auth.UserKey, u)
	text := auth.Remember(key, s.cookies.Read(c, browserCookie), u.ID, s.store.Now())
	s.cookies.Keep(c, browserCookie, text, auth.BrowserLife)
	return nil
}

// endSession signs out.
func (s *Server) endSession(c echo.Context) error {
	sess, err := s.sessions.Get(c.Request(), sessionName)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	sess.Options = &sessions.Options{MaxAge: -1}
	if err := s.sessions.Save(c.Request(), c.Response(), sess); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// localPath returns path if path is an address of this portal, else "/": a link
// must not redirect to another site.
func localPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\") {
		return "/"
	}
	return path
}

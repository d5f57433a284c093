package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/sessions"
	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// How long a session lasts without use, how long at most, and the interval
// between two records of its last use.
const (
	SessionIdle  = 7 * 24 * time.Hour
	SessionLife  = 30 * 24 * time.Hour
	sessionTouch = time.Minute
)

// UserKey is the key of the signed-in slipway.User in a session's values.
const UserKey = "user"

// DoneLife is the lifetime of the cookie with an action's result for the next
// page.
const DoneLife = time.Minute

// Cookies makes the portal's cookies. Over https the prefix __Host- makes the
// browser refuse a cookie set by another host.
type Cookies struct {
	prefix string
	Secure bool
}

// NewCookies returns the Cookies of a portal at u; nil for plain HTTP.
func NewCookies(u *url.URL) Cookies {
	if u != nil && u.Scheme == "https" {
		return Cookies{prefix: "__Host-slipway", Secure: true}
	}
	return Cookies{prefix: "slipway"}
}

// cookie returns a cookie with the portal's attributes; name is "" for the
// session cookie.
func (k Cookies) cookie(name, value string, life time.Duration) http.Cookie {
	if name != "" {
		name = "-" + name
	}
	return http.Cookie{
		Name: k.prefix + name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: k.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// Keep sends a text to a later request of the same browser, in a cookie.
func (k Cookies) Keep(c echo.Context, name, text string, life time.Duration) {
	cookie := k.cookie(name, base64.RawURLEncoding.EncodeToString([]byte(text)), life)
	c.SetCookie(&cookie)
}

// Read returns the text of an earlier Keep; "" if absent.
func (k Cookies) Read(c echo.Context, name string) string {
	sent, err := c.Cookie(k.cookie(name, "", 0).Name)
	if err != nil {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(sent.Value)
	if err != nil {
		return "" // not ours
	}
	return string(text)
}

// Take returns the text of an earlier Keep and deletes the cookie; "" if
// absent.
func (k Cookies) Take(c echo.Context, name string) string {
	if _, err := c.Cookie(k.cookie(name, "", 0).Name); err != nil {
		return ""
	}
	gone := expired(k.cookie(name, "", 0))
	c.SetCookie(&gone)
	return k.Read(c, name)
}

// Sessions is a sessions.Store over the database. The cookie holds a random
// secret, the database its SHA-256: a leaked database opens no session.
type Sessions struct {
	Store   *store.Store
	Cookies Cookies
}

// Get returns the session of r, read once per request.
func (s *Sessions) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New returns the session of r's cookie, or an empty session. New updates the
// session's time of last use, at most once per sessionTouch.
func (s *Sessions) New(r *http.Request, name string) (*sessions.Session, error) {
	sess, stale, err := s.Read(r, name)
	if err == nil && stale {
		err = s.Store.Note(r.Context(), func(tx *store.Tx) error { return tx.TouchSession(sess.ID) })
	}
	return sess, err
}

// Read returns a session like New, without writing. For the live updates of an
// open page, no sign of use. stale means that New would update the time of last
// use.
func (s *Sessions) Read(r *http.Request, name string) (_ *sessions.Session, stale bool, err error) {
	sess := sessions.NewSession(s, name)
	sess.IsNew = true
	sess.Options = &sessions.Options{MaxAge: int(SessionLife / time.Second)}
	cookie, err := r.Cookie(s.Cookies.cookie("", "", 0).Name)
	if err != nil {
		return sess, false, nil
	}
	sess.ID = Fingerprint(cookie.Value)
	err = s.Store.View(r.Context(), func(tx *store.Tx) error {
		row, err := tx.Session(sess.ID)
		if err != nil {
			return err
		}
		if tx.Now.Sub(row.SeenAt) > SessionIdle || tx.Now.Sub(row.CreatedAt) > SessionLife {
			return slipway.Errorf(slipway.Unauthorized, "The session has ended.")
		}
		stale = tx.Now.Sub(row.SeenAt) > sessionTouch
		sess.Values[UserKey], err = tx.WorkingUser(row.User)
		sess.IsNew = false
		return err
	})
	if slipway.Explained(err) && !errors.Is(err, store.ErrLocked) {
		delete(sess.Values, UserKey)
		return sess, false, nil // treat an invalid cookie as no cookie
	}
	return sess, stale, err
}

// Start signs somebody in, and returns the account. who makes or finds it, with
// all other changes of the sign-in, in the transaction that stores the session: all
// is done, or nothing.
func (s *Sessions) Start(r *http.Request, w http.ResponseWriter, sess *sessions.Session, who func(tx *store.Tx) (slipway.User, error)) (u slipway.User, err error) {
	err = s.replace(r, w, sess, func(tx *store.Tx, id string) error {
		if u, err = who(tx); err != nil {
			return err
		}
		return tx.AddSession(id, u.ID)
	})
	if err == nil {
		sess.Values[UserKey] = u
	}
	return u, err
}

// Save stores the session under a new id. A session with a negative MaxAge is
// deleted.
func (s *Sessions) Save(r *http.Request, w http.ResponseWriter, sess *sessions.Session) error {
	u, _ := sess.Values[UserKey].(slipway.User)
	return s.replace(r, w, sess, func(tx *store.Tx, id string) error {
		if sess.Options.MaxAge < 0 {
			return nil
		}
		return tx.AddSession(id, u.ID)
	})
}

// replace ends the session and begins another under a new id, which add stores: a
// defence against session fixation.
func (s *Sessions) replace(r *http.Request, w http.ResponseWriter, sess *sessions.Session, add func(tx *store.Tx, id string) error) error {
	secret := rand.Text() + rand.Text() // 256 bits
	err := s.Store.Update(r.Context(), func(tx *store.Tx) error {
		if err := errors.Join(tx.EndSession(sess.ID), tx.DropSessions(tx.Now.Add(-SessionLife), tx.Now.Add(-SessionIdle))); err != nil {
			return err
		}
		return add(tx, Fingerprint(secret))
	})
	if err != nil {
		return err
	}
	cookie := s.Cookies.cookie("", secret, SessionLife)
	if sess.Options.MaxAge < 0 {
		cookie = expired(cookie)
	}
	http.SetCookie(w, &cookie)
	return nil
}

// expired returns c with an expiry in the past: the browser deletes the cookie.
func expired(c http.Cookie) http.Cookie {
	c.Value, c.MaxAge = "", -1
	return c
}

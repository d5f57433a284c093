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

// How long a session lasts without use, and at all, and how often its use is
// written down.
const (
	SessionIdle  = 7 * 24 * time.Hour
	SessionLife  = 30 * 24 * time.Hour
	sessionTouch = time.Minute
)

// UserKey is the key of the signed-in slipway.User among the values of a session.
const UserKey = "user"

// DoneLife is how long the sentence of an action waits for its page.
const DoneLife = time.Minute

// Cookies are ours, and say how the browser guards them. Over https their
// names promise it that no other host has set them.
type Cookies struct {
	prefix string
	Secure bool
}

func NewCookies(u *url.URL) Cookies {
	if u != nil && u.Scheme == "https" {
		return Cookies{prefix: "__Host-slipway", Secure: true}
	}
	return Cookies{prefix: "slipway"}
}

// cookie returns a cookie of ours; name is "" for the session's.
func (k Cookies) cookie(name, value string, life time.Duration) http.Cookie {
	if name != "" {
		name = "-" + name
	}
	return http.Cookie{
		Name: k.prefix + name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		Secure: k.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// Keep hands a text to a later request of the same browser.
func (k Cookies) Keep(c echo.Context, name, text string, life time.Duration) {
	cookie := k.cookie(name, base64.RawURLEncoding.EncodeToString([]byte(text)), life)
	c.SetCookie(&cookie)
}

// Take returns what keep left, once.
func (k Cookies) Take(c echo.Context, name string) string {
	sent, err := c.Cookie(k.cookie(name, "", 0).Name)
	if err != nil {
		return ""
	}
	gone := expired(k.cookie(name, "", 0))
	c.SetCookie(&gone)
	text, err := base64.RawURLEncoding.DecodeString(sent.Value)
	if err != nil {
		return "" // not ours
	}
	return string(text)
}

// Sessions is the sessions.Store over our database. The cookie holds a
// random id, the database its SHA-256: neither can be made from the other.
type Sessions struct {
	Store   *store.Store
	Cookies Cookies
}

// Get returns the session of r, read once a request.
func (s *Sessions) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New returns the session that r's cookie names, or an empty one, and notes
// that it was used.
func (s *Sessions) New(r *http.Request, name string) (*sessions.Session, error) {
	sess, stale, err := s.Read(r, name)
	if err == nil && stale {
		err = s.Store.Update(r.Context(), func(tx *store.Tx) error { return tx.TouchSession(sess.ID) })
	}
	if kind, _ := slipway.Explain(err); err != nil && kind == slipway.NoSpace {
		err = nil // pages still show while the disk is full: nothing is lost but the time of its last use
	}
	return sess, err
}

// Read is New for a page that is merely open. stale says that the session's
// last use is to be written down if this is one.
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
		kept, err := tx.Session(sess.ID)
		if err != nil {
			return err
		}
		if tx.Now.Sub(kept.SeenAt) > SessionIdle || tx.Now.Sub(kept.CreatedAt) > SessionLife {
			return slipway.Errorf(slipway.Unauthorized, "The session has ended.")
		}
		stale = tx.Now.Sub(kept.SeenAt) > sessionTouch
		sess.Values[UserKey], err = tx.WorkingUser(kept.User)
		sess.IsNew = false
		return err
	})
	if kind, _ := slipway.Explain(err); err != nil && kind != slipway.Internal {
		delete(sess.Values, UserKey)
		return sess, false, nil // a cookie that is not good is as good as none
	}
	return sess, stale, err
}

// Save keeps the session under a new id, so that nobody can have planted it,
// or forgets it where its MaxAge is negative.
func (s *Sessions) Save(r *http.Request, w http.ResponseWriter, sess *sessions.Session) error {
	u, _ := sess.Values[UserKey].(slipway.User)
	secret := rand.Text() + rand.Text() // 256 bits
	err := s.Store.Update(r.Context(), func(tx *store.Tx) error {
		err := errors.Join(tx.EndSession(sess.ID), tx.DropSessions(tx.Now.Add(-SessionLife), tx.Now.Add(-SessionIdle)))
		if err == nil && sess.Options.MaxAge > 0 {
			err = tx.AddSession(Fingerprint(secret), u.ID)
		}
		return err
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

// expired is a cookie that makes the browser forget the one of its name.
func expired(c http.Cookie) http.Cookie {
	c.Value, c.MaxAge = "", -1
	return c
}

package store

import (
	"time"

	"slipway/internal/slipway"
)

// Session is the session of a signed-in browser.
type Session struct {
	User      slipway.UserID
	CreatedAt time.Time
	SeenAt    time.Time // within a minute
}

// errNoSession is the error for an unknown or ended session.
var errNoSession = &slipway.Error{Kind: slipway.Unauthorized, Text: "Sign in to go on."}

// AddSession records a session of a user whose account works. id is the SHA-256
// of the value in the cookie.
func (tx *Tx) AddSession(id string, user slipway.UserID) error {
	n, err := tx.changed("add session", `
		INSERT INTO sessions (id, user, created_at, seen_at) SELECT ?, u.id, ?, ? FROM users u WHERE u.id = ? AND u.disabled_at = 0`,
		id, ms(tx.Now), ms(tx.Now), user)
	if err == nil && n == 0 {
		err = errNoSession
	}
	return err
}

// Session returns a session by id if the account of the user works.
func (tx *Tx) Session(id string) (Session, error) {
	return one(tx, "session", errNoSession,
		func(r row) (s Session, err error) {
			err = r.Scan(&s.User, millis{&s.CreatedAt}, millis{&s.SeenAt})
			return s, err
		},
		`SELECT s.user, s.created_at, s.seen_at FROM sessions s JOIN users u ON u.id = s.user WHERE s.id = ? AND u.disabled_at = 0`, id)
}

// TouchSession records the use of a session.
func (tx *Tx) TouchSession(id string) error {
	return tx.exec("touch session", `UPDATE sessions SET seen_at = ? WHERE id = ?`, ms(tx.Now), id)
}

// CountSessions returns in how many browsers a user is signed in.
func (tx *Tx) CountSessions(user slipway.UserID) (int, error) {
	return tx.count("sessions", `SELECT COUNT(*) FROM sessions WHERE user = ?`, user)
}

// EndSession forgets a session.
func (tx *Tx) EndSession(id string) error {
	return tx.exec("end session", `DELETE FROM sessions WHERE id = ?`, id)
}

// EndSessions deletes every session of a user, and every login of a program on
// the user's behalf.
func (tx *Tx) EndSessions(user slipway.UserID) error {
	if err := tx.EndLogins(user); err != nil {
		return err
	}
	return tx.exec("end sessions", `DELETE FROM sessions WHERE user = ?`, user)
}

// DropSessions deletes the sessions begun before start or last used before
// idle.
func (tx *Tx) DropSessions(start, idle time.Time) error {
	return tx.exec("drop sessions", `DELETE FROM sessions WHERE created_at < ? OR seen_at < ?`, ms(start), ms(idle))
}

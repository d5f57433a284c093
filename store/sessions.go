package store

import (
	"time"

	"slipway"
)

// Session is a browser that somebody signed in with.
type Session struct {
	User      slipway.UserID
	CreatedAt time.Time
	SeenAt    time.Time // within a minute
}

// AddSession records a session. id is the SHA-256 of what the cookie holds.
func (tx *Tx) AddSession(id string, user slipway.UserID) error {
	return tx.exec("add session", `INSERT INTO sessions (id, user, created_at, seen_at) VALUES (?, ?, ?, ?)`,
		id, user, ms(tx.Now), ms(tx.Now))
}

// Session returns a session by id.
func (tx *Tx) Session(id string) (Session, error) {
	return one(tx, "session", slipway.Errorf(slipway.Unauthorized, "Sign in to go on."),
		func(r row) (s Session, err error) {
			err = r.Scan(&s.User, millis{&s.CreatedAt}, millis{&s.SeenAt})
			return s, err
		},
		`SELECT user, created_at, seen_at FROM sessions WHERE id = ?`, id)
}

// TouchSession notes that a session was used.
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

// EndSessions forgets every session of a user, and every login of a program that
// they let act as them.
func (tx *Tx) EndSessions(user slipway.UserID) error {
	if err := tx.EndLogins(user); err != nil {
		return err
	}
	return tx.exec("end sessions", `DELETE FROM sessions WHERE user = ?`, user)
}

// DropSessions forgets sessions that began before start or were not used since
// idle.
func (tx *Tx) DropSessions(start, idle time.Time) error {
	return tx.exec("drop sessions", `DELETE FROM sessions WHERE created_at < ? OR seen_at < ?`, ms(start), ms(idle))
}

package store

import (
	"fmt"

	"slipway/internal/slipway"
)

const userColumns = `id, email, name, admin, created_at, updated_at, disabled_at`

func scanUser(r row) (u slipway.User, err error) {
	err = r.Scan(&u.ID, &u.Email, &u.Name, &u.Admin, millis{&u.CreatedAt}, millis{&u.UpdatedAt}, millis{&u.DisabledAt})
	return u, err
}

// AddUser records u with the hash of a password, and returns u with id and
// time.
func (tx *Tx) AddUser(u slipway.User, password string) (slipway.User, error) {
	u.ID, u.CreatedAt, u.UpdatedAt = slipway.UserID(tx.newID()), tx.Now, tx.Now
	err := tx.exec("add user", `INSERT INTO users (id, email, name, password, admin, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		u.ID, u.Email, u.Name, password, u.Admin, ms(u.CreatedAt), ms(u.UpdatedAt))
	if isUnique(err) {
		return u, slipway.Errorf(slipway.Conflict, "There is an account for %s already. Sign in with it.", u.Email)
	}
	return u, err
}

// User returns a user by id.
func (tx *Tx) User(id slipway.UserID) (slipway.User, error) {
	return one(tx, "user", slipway.Errorf(slipway.NotFound, "There is no such account."), scanUser,
		`SELECT `+userColumns+` FROM users WHERE id = ?`, id)
}

// UserByEmail returns a user by the address for signing in.
func (tx *Tx) UserByEmail(email string) (slipway.User, error) {
	return one(tx, "user by email", slipway.Errorf(slipway.NotFound, "There is no account for %s.", email), scanUser,
		`SELECT `+userColumns+` FROM users WHERE email = ?`, email)
}

// Users returns every user, by address.
func (tx *Tx) Users() ([]slipway.User, error) {
	return list(tx, "users", scanUser, `SELECT `+userColumns+` FROM users ORDER BY email`)
}

// CountUsers returns the number of accounts.
func (tx *Tx) CountUsers() (int, error) {
	return tx.count("users", `SELECT COUNT(*) FROM users`)
}

// Password returns the hash of a user's password.
func (tx *Tx) Password(id slipway.UserID) (string, error) {
	return one(tx, "password", slipway.Errorf(slipway.NotFound, "There is no such account."), scanText,
		`SELECT password FROM users WHERE id = ?`, id)
}

// SetPassword keeps the hash of a new password and ends every session of the
// user.
func (tx *Tx) SetPassword(id slipway.UserID, password string) error {
	n, err := tx.changed("set password", `UPDATE users SET password = ?, updated_at = ? WHERE id = ?`, password, ms(tx.Now), id)
	if err != nil {
		return err
	}
	if n == 0 {
		return slipway.Errorf(slipway.NotFound, "There is no such account.")
	}
	if err := tx.DropPasswordLink(id); err != nil {
		return err
	}
	return tx.EndSessions(id)
}

// RehashPassword keeps another hash of the same password: sessions go on.
func (tx *Tx) RehashPassword(id slipway.UserID, password string) error {
	return tx.exec("rehash password", `UPDATE users SET password = ? WHERE id = ?`, password, id)
}

// RenameUser gives a user another name.
func (tx *Tx) RenameUser(id slipway.UserID, name string) error {
	return tx.exec("rename user", `UPDATE users SET name = ?, updated_at = ? WHERE id = ?`, name, ms(tx.Now), id)
}

func scanText(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

func scanCount(r row) (n int, err error) {
	err = r.Scan(&n)
	return n, err
}

func (tx *Tx) count(what, query string, args ...any) (int, error) {
	return one(tx, what, fmt.Errorf("%s: no row", what), scanCount, query, args...)
}

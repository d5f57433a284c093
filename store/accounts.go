package store

import "slipway"

// RehashPassword keeps another hash of the same password: sessions go on.
func (tx *Tx) RehashPassword(id slipway.UserID, password string) error {
	return tx.exec("rehash password", `UPDATE users SET password = ? WHERE id = ?`, password, id)
}

// RenameUser gives a user another name.
func (tx *Tx) RenameUser(id slipway.UserID, name string) error {
	return tx.exec("rename user", `UPDATE users SET name = ? WHERE id = ?`, name, id)
}

// CountUsers returns how many accounts there are.
func (tx *Tx) CountUsers() (int, error) {
	return tx.count("users", `SELECT COUNT(*) FROM users`)
}

// CountSessions returns in how many browsers a user is signed in.
func (tx *Tx) CountSessions(user slipway.UserID) (int, error) {
	return tx.count("sessions", `SELECT COUNT(*) FROM sessions WHERE user = ?`, user)
}

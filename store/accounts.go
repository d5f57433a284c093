package store

import (
	"time"

	"slipway/internal/slipway"
)

// WorkingUser returns a user by id if the account works. Sessions and logins
// load the user here, because the account may have been disabled since the
// request began.
func (tx *Tx) WorkingUser(id slipway.UserID) (slipway.User, error) {
	return one(tx, "working user", errNoSession, scanUser,
		`SELECT `+userColumns+` FROM users WHERE id = ? AND disabled_at = 0`, id)
}

// CountAdmins counts the Organization admins whose accounts work.
func (tx *Tx) CountAdmins() (int, error) {
	return tx.count("admins", `SELECT COUNT(*) FROM users WHERE admin AND disabled_at = 0`)
}

// DisableUser refuses every later sign-in of an account, ends the user's
// sessions and logins, and removes the invitations by and to the user.
// Memberships stay.
func (tx *Tx) DisableUser(id slipway.UserID) error {
	if err := tx.exec("disable user", `UPDATE users SET disabled_at = ?1, updated_at = ?1 WHERE id = ?2 AND disabled_at = 0`, ms(tx.Now), id); err != nil {
		return err
	}
	if err := tx.EndSessions(id); err != nil {
		return err
	}
	if err := tx.DropPasswordLink(id); err != nil {
		return err
	}
	return tx.DropInvitationsOf(id)
}

// EnableUser undoes DisableUser. Sessions, logins and invitations stay away.
func (tx *Tx) EnableUser(id slipway.UserID) error {
	return tx.exec("enable user", `UPDATE users SET disabled_at = 0, updated_at = ? WHERE id = ?`, ms(tx.Now), id)
}

// RemoveUser deletes an account with all memberships, sessions, logins and
// invitations. Deploys and audit entries keep the user's name.
func (tx *Tx) RemoveUser(id slipway.UserID) error {
	if err := tx.DropInvitationsOf(id); err != nil {
		return err
	}
	return tx.exec("remove user", `DELETE FROM users WHERE id = ?`, id)
}

// OwnedAlone returns the Workspaces, by name, in which a user is the only Owner
// whose account works.
func (tx *Tx) OwnedAlone(user slipway.UserID) ([]slipway.Workspace, error) {
	return list(tx, "workspaces owned alone", scanWorkspace, `
		SELECT w.id, w.name, w.created_at, w.updated_at FROM workspaces w JOIN members m ON m.workspace = w.id
		WHERE m.user = ?1 AND m.role = ?2 AND NOT EXISTS (
			SELECT 1 FROM members o JOIN users u ON u.id = o.user
			WHERE o.workspace = w.id AND o.role = ?2 AND o.user <> ?1 AND u.disabled_at = 0)
		ORDER BY w.name COLLATE NOCASE`, user, slipway.Owner)
}

// Account is a user with what an administrator asks about.
type Account struct {
	slipway.User
	Workspaces int
	Sessions   int
	SeenAt     time.Time // last use of a session that still runs; zero for none
}

// FindAccounts returns a part of the accounts, by address, and the number of all
// with the search in name or address.
func (tx *Tx) FindAccounts(l Listing) ([]Account, int, error) {
	var c conditions
	c.search(l.Search, "u.name", "u.email")
	return listed(tx, "accounts", func(r row) (a Account, err error) {
		err = r.Scan(&a.ID, &a.Email, &a.Name, &a.Admin, millis{&a.CreatedAt}, millis{&a.UpdatedAt}, millis{&a.DisabledAt},
			&a.Workspaces, &a.Sessions, millis{&a.SeenAt})
		return a, err
	}, userColumns+`, (SELECT COUNT(*) FROM members m WHERE m.user = u.id), (SELECT COUNT(*) FROM sessions s WHERE s.user = u.id),
		COALESCE((SELECT MAX(s.seen_at) FROM sessions s WHERE s.user = u.id), 0)`,
		"FROM users u", c, " ORDER BY u.email", l)
}

// AddPasswordLink keeps the link of a user to set a new password, by the
// fingerprint of the secret. An earlier link of the user no longer works.
func (tx *Tx) AddPasswordLink(id string, user slipway.UserID, until time.Time) error {
	if err := tx.DropPasswordLink(user); err != nil {
		return err
	}
	return tx.exec("add password link", `INSERT INTO password_links (id, user, expires_at) VALUES (?, ?, ?)`, id, user, ms(until))
}

// PasswordLinkUser returns the user of a link to set a new password. Only an
// account that works has one.
func (tx *Tx) PasswordLinkUser(id string) (slipway.User, error) {
	gone := slipway.Errorf(slipway.NotFound, "This link has been used, or it is no longer valid. Ask an administrator for a new one.")
	return one(tx, "password link", gone, scanUser, `
		SELECT `+userColumns+` FROM users
		WHERE id = (SELECT user FROM password_links WHERE id = ? AND expires_at > ?) AND disabled_at = 0`, id, ms(tx.Now))
}

// DropPasswordLink deletes the link of a user, if one exists.
func (tx *Tx) DropPasswordLink(user slipway.UserID) error {
	return tx.exec("drop password link", `DELETE FROM password_links WHERE user = ?`, user)
}

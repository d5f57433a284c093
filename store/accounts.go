package store

import "slipway/internal/slipway"

// WorkingUser returns a user by id if their account works, for what a session
// or login asks for: it may have ended since the request began.
func (tx *Tx) WorkingUser(id slipway.UserID) (slipway.User, error) {
	return one(tx, "working user", errNoSession, scanUser,
		`SELECT `+userColumns+` FROM users WHERE id = ? AND disabled_at = 0`, id)
}

// CountAdmins returns how many Organization admins there are whose accounts
// work.
func (tx *Tx) CountAdmins() (int, error) {
	return tx.count("admins", `SELECT COUNT(*) FROM users WHERE admin AND disabled_at = 0`)
}

// DisableUser has an account let nobody in any more. Its memberships stay.
func (tx *Tx) DisableUser(id slipway.UserID) error {
	if err := tx.exec("disable user", `UPDATE users SET disabled_at = ? WHERE id = ? AND disabled_at = 0`, ms(tx.Now), id); err != nil {
		return err
	}
	if err := tx.EndSessions(id); err != nil {
		return err
	}
	return tx.DropInvitationsOf(id)
}

// EnableUser takes DisableUser back. Sessions, logins and invitations stay away.
func (tx *Tx) EnableUser(id slipway.UserID) error {
	return tx.exec("enable user", `UPDATE users SET disabled_at = 0 WHERE id = ?`, id)
}

// RemoveUser forgets an account with its memberships, sessions, logins and
// invitations. What it did keeps its name.
func (tx *Tx) RemoveUser(id slipway.UserID) error {
	if err := tx.DropInvitationsOf(id); err != nil {
		return err
	}
	return tx.exec("remove user", `DELETE FROM users WHERE id = ?`, id)
}

// OwnedAlone returns the Workspaces in which a user is the only Owner whose
// account works, by name.
func (tx *Tx) OwnedAlone(user slipway.UserID) ([]slipway.Workspace, error) {
	return list(tx, "workspaces owned alone", scanWorkspace, `
		SELECT w.id, w.name, w.created_at FROM workspaces w JOIN members m ON m.workspace = w.id
		WHERE m.user = ?1 AND m.role = ?2 AND NOT EXISTS (
			SELECT 1 FROM members o JOIN users u ON u.id = o.user
			WHERE o.workspace = w.id AND o.role = ?2 AND o.user <> ?1 AND u.disabled_at = 0)
		ORDER BY w.name COLLATE NOCASE`, user, slipway.Owner)
}

package store

import (
	"slipway/internal/slipway"
)

func scanWorkspace(r row) (w slipway.Workspace, err error) {
	err = r.Scan(&w.ID, &w.Name, millis{&w.CreatedAt}, millis{&w.UpdatedAt})
	return w, err
}

// roleIn is the SQL expression for the role of a person in the Workspace named
// by column; 0 for a stranger or a disabled account. The only argument is the
// user's id.
func roleIn(column string) string { return roleOf("?", column) }

// roleOf is roleIn for the person named by an expression.
func roleOf(user, column string) string {
	return `COALESCE((SELECT CASE WHEN u.disabled_at > 0 THEN 0 WHEN u.admin THEN 5 ELSE (
		SELECT m.role FROM members m WHERE m.workspace = ` + column + ` AND m.user = u.id) END
		FROM users u WHERE u.id = ` + user + `), 0)`
}

func noWorkspace(id slipway.WorkspaceID) error {
	return slipway.Errorf(slipway.NotFound, "There is no Workspace %s.", id)
}

// AddWorkspace records a Workspace and returns the Workspace with id and time.
func (tx *Tx) AddWorkspace(name string) (slipway.Workspace, error) {
	w := slipway.Workspace{ID: slipway.WorkspaceID(tx.newID()), Name: name, CreatedAt: tx.Now, UpdatedAt: tx.Now}
	err := tx.exec("add workspace", `INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (?, ?, ?, ?)`, w.ID, w.Name, ms(w.CreatedAt), ms(w.UpdatedAt))
	if isUnique(err) {
		return w, slipway.Errorf(slipway.Conflict, "There is a Workspace named %s already. Choose another name.", name)
	}
	return w, err
}

// RenameWorkspace gives a Workspace another name.
func (tx *Tx) RenameWorkspace(id slipway.WorkspaceID, name string) error {
	err := tx.exec("rename workspace", `UPDATE workspaces SET name = ?, updated_at = ? WHERE id = ?`, name, ms(tx.Now), id)
	if isUnique(err) {
		return slipway.Errorf(slipway.Conflict, "There is a Workspace named %s already. Choose another name.", name)
	}
	return err
}

// Workspace returns a Workspace with by's role; NotFound for everybody who is
// not a member.
func (tx *Tx) Workspace(id slipway.WorkspaceID, by slipway.Actor) (slipway.Workspace, slipway.Role, error) {
	var role slipway.Role
	scan := func(r row) (w slipway.Workspace, err error) {
		err = r.Scan(&w.ID, &w.Name, millis{&w.CreatedAt}, millis{&w.UpdatedAt}, &role)
		return w, err
	}
	query, args := `SELECT w.id, w.name, w.created_at, w.updated_at, `+roleIn("w.id")+` FROM workspaces w WHERE w.id = ?`, []any{by.User, id}
	if by.Token != "" {
		query = `SELECT w.id, w.name, w.created_at, w.updated_at, t.role FROM workspaces w JOIN tokens t ON t.workspace = w.id
			WHERE ` + tokenWorks + ` AND t.deployment IS NULL AND w.id = ?`
		args = append(tx.worksArgs(by), id)
	}
	w, err := one(tx, "workspace", noWorkspace(id), scan, query, args...)
	if err == nil && role == slipway.NoRole {
		err = noWorkspace(id)
	}
	if err != nil {
		return slipway.Workspace{}, slipway.NoRole, err
	}
	return w, role, nil
}

// Workspaces returns the Workspaces visible to a person, by name: all of them
// for an admin.
func (tx *Tx) Workspaces(user slipway.UserID) ([]slipway.Workspace, error) {
	return tx.SeenWorkspaces(slipway.Actor{User: user})
}

// tokenWorks is the SQL condition that the API token t of an actor is valid and
// has the presented secret, with the arguments of worksArgs.
const tokenWorks = `t.id = ? AND t.kind = 'api' AND (t.expires_at = 0 OR t.expires_at > ?) AND ? IN ('', t.secret)`

func (tx *Tx) worksArgs(by slipway.Actor) []any { return []any{by.Token, ms(tx.Now), by.Secret} }

// SeenWorkspaces returns the Workspaces visible to by, by name; for a token of
// one Deployment, the Workspace of the Deployment.
func (tx *Tx) SeenWorkspaces(by slipway.Actor) ([]slipway.Workspace, error) {
	all, _, err := tx.FindWorkspaces(by, nil, nil, Listing{Limit: -1})
	return all, err
}

// FindWorkspaces returns a part of the Workspaces visible to by, by name, and the
// number of all that are selected. ids and names select some, none all; l sorts
// by name, createdAt and updatedAt.
func (tx *Tx) FindWorkspaces(by slipway.Actor, ids, names []string, l Listing) ([]slipway.Workspace, int, error) {
	reach, everything, err := tx.Reaches(by)
	if err != nil {
		return nil, 0, err
	}
	var c conditions
	if !everything {
		c.within("w.id", reach)
	}
	c.among("w.id", ids)
	c.among("w.name", names)
	c.search(l.Search, "w.id", "w.name")
	order := l.order(map[string]string{"name": "w.name COLLATE NOCASE", "createdAt": "w.created_at", "updatedAt": "w.updated_at"}, "w.name COLLATE NOCASE, w.id")
	return listed(tx, "seen workspaces", scanWorkspace, "w.id, w.name, w.created_at, w.updated_at", "FROM workspaces w", c, order, l)
}

// SetRole makes a user a member of a Workspace, or gives a member another role.
func (tx *Tx) SetRole(w slipway.WorkspaceID, user slipway.UserID, role slipway.Role) error {
	return tx.exec("set role", `
		INSERT INTO members (workspace, user, role, since) VALUES (?, ?, ?, ?)
		ON CONFLICT (workspace, user) DO UPDATE SET role = excluded.role`, w, user, role, ms(tx.Now))
}

// RemoveMember ends a membership.
func (tx *Tx) RemoveMember(w slipway.WorkspaceID, user slipway.UserID) error {
	return tx.exec("remove member", `DELETE FROM members WHERE workspace = ? AND user = ?`, w, user)
}

const (
	memberFields = `m.workspace, m.role, m.since, u.id, u.email, u.name, u.admin, u.created_at, u.updated_at, u.disabled_at`
	memberTables = `FROM members m JOIN users u ON u.id = m.user`

	memberColumns = memberFields + ` ` + memberTables
)

func scanMember(r row) (m slipway.Membership, err error) {
	err = r.Scan(&m.Workspace, &m.Role, millis{&m.Since},
		&m.User.ID, &m.User.Email, &m.User.Name, &m.User.Admin, millis{&m.User.CreatedAt}, millis{&m.User.UpdatedAt}, millis{&m.User.DisabledAt})
	return m, err
}

// Members returns the members of a Workspace, by address.
func (tx *Tx) Members(w slipway.WorkspaceID) ([]slipway.Membership, error) {
	return list(tx, "members", scanMember, `SELECT `+memberColumns+` WHERE m.workspace = ? ORDER BY u.email`, w)
}

// FindMembers returns a part of the members of a Workspace, by address, and the
// number of all with the search in name or address.
func (tx *Tx) FindMembers(w slipway.WorkspaceID, l Listing) ([]slipway.Membership, int, error) {
	var c conditions
	c.add("m.workspace = ?", w)
	if c.search(l.Search, "u.name", "u.email"); l.Search == "" {
		c.counted = "FROM members m"
	}
	return listed(tx, "found members", scanMember, memberFields, memberTables, c, " ORDER BY u.email", l)
}

// WorkspaceCounts are the numbers about a Workspace in a list.
type WorkspaceCounts struct {
	Members, Deployments int
	Owners               []slipway.Membership
}

// CountIn counts what is in a Workspace.
func (tx *Tx) CountIn(w slipway.WorkspaceID) (n WorkspaceCounts, err error) {
	if n.Members, err = tx.count("members", `SELECT COUNT(*) FROM members WHERE workspace = ?`, w); err != nil {
		return n, err
	}
	if n.Deployments, err = tx.count("deployments", `SELECT COUNT(*) FROM deployments WHERE workspace = ? AND deleted_at = 0`, w); err != nil {
		return n, err
	}
	n.Owners, err = list(tx, "owners", scanMember, `SELECT `+memberColumns+` WHERE m.workspace = ? AND m.role = ? ORDER BY u.email`, w, slipway.Owner)
	return n, err
}

// Memberships returns the memberships of a user.
func (tx *Tx) Memberships(user slipway.UserID) ([]slipway.Membership, error) {
	return list(tx, "memberships", scanMember, `SELECT `+memberColumns+` WHERE m.user = ? ORDER BY m.workspace`, user)
}

// Member returns a user's membership of a Workspace.
func (tx *Tx) Member(w slipway.WorkspaceID, user slipway.UserID) (slipway.Membership, error) {
	return one(tx, "member", slipway.Errorf(slipway.NotFound, "There is no such member in this Workspace."), scanMember,
		`SELECT `+memberColumns+` WHERE m.workspace = ? AND m.user = ?`, w, user)
}

// Owners counts the Owners of a Workspace whose accounts work.
func (tx *Tx) Owners(w slipway.WorkspaceID) (int, error) {
	return tx.count("owners", `
		SELECT COUNT(*) FROM members m JOIN users u ON u.id = m.user
		WHERE m.workspace = ? AND m.role = ? AND u.disabled_at = 0`, w, slipway.Owner)
}

const invitationColumns = `id, workspace, role, email, by, created_at, expires_at`

func scanInvitation(r row) (i slipway.Invitation, err error) {
	err = r.Scan(&i.ID, &i.Workspace, &i.Role, &i.Email, &i.By, millis{&i.CreatedAt}, millis{&i.ExpiresAt})
	return i, err
}

// AddInvitation records an invitation. The caller sets the ID.
func (tx *Tx) AddInvitation(i slipway.Invitation) error {
	return tx.exec("add invitation", `INSERT INTO invitations (`+invitationColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		i.ID, i.Workspace, i.Role, i.Email, i.By, ms(tx.Now), ms(tx.Now.Add(slipway.InvitationLife)))
}

// Invitation returns an open invitation with its Workspace.
func (tx *Tx) Invitation(id string) (i slipway.Invitation, w slipway.Workspace, err error) {
	gone := slipway.Errorf(slipway.NotFound, "This invitation has been used or revoked. Ask for a new one.")
	if i, err = one(tx, "invitation", gone, scanInvitation, `SELECT `+invitationColumns+` FROM invitations WHERE id = ?`, id); err != nil {
		return i, w, err
	}
	if err := i.Open(tx.Now); err != nil {
		return i, w, err
	}
	w, err = one(tx, "workspace of invitation", gone, scanWorkspace, `SELECT id, name, created_at, updated_at FROM workspaces WHERE id = ?`, i.Workspace)
	return i, w, err
}

// Invitations returns the open invitations to a Workspace, newest first.
func (tx *Tx) Invitations(w slipway.WorkspaceID) ([]slipway.Invitation, error) {
	return list(tx, "invitations", scanInvitation, `
		SELECT `+invitationColumns+` FROM invitations
		WHERE workspace = ? AND expires_at > ? ORDER BY created_at DESC, id`, w, ms(tx.Now))
}

// DropInvitationsBy deletes the invitations to a Workspace made by a user.
func (tx *Tx) DropInvitationsBy(w slipway.WorkspaceID, by slipway.UserID) error {
	return tx.exec("drop invitations", `DELETE FROM invitations WHERE workspace = ? AND by = ?`, w, by)
}

// DropInvitationsOf deletes all invitations made by a user or addressed to the
// user's address.
func (tx *Tx) DropInvitationsOf(user slipway.UserID) error {
	return tx.exec("drop invitations of a person", `
		DELETE FROM invitations WHERE by = ?1 OR email <> '' AND email = (SELECT email FROM users WHERE id = ?1)`, user)
}

// DropInvitation deletes an invitation to a Workspace after use or withdrawal.
func (tx *Tx) DropInvitation(w slipway.WorkspaceID, id string) error {
	n, err := tx.changed("drop invitation", `DELETE FROM invitations WHERE id = ? AND workspace = ?`, id, w)
	if err == nil && n == 0 {
		return slipway.Errorf(slipway.NotFound, "This invitation has been used or revoked. Ask for a new one.")
	}
	return err
}

// LoadWorkspace returns a Workspace without a role check, for commands on the
// data folder.
func (tx *Tx) LoadWorkspace(id slipway.WorkspaceID) (slipway.Workspace, error) {
	return one(tx, "load workspace", slipway.Errorf(slipway.NotFound, "There is no Workspace %s.", id), scanWorkspace,
		`SELECT id, name, created_at, updated_at FROM workspaces WHERE id = ?`, id)
}

// CountDeployments counts the Deployments of a Workspace, also those whose
// folders are still being removed.
func (tx *Tx) CountDeployments(w slipway.WorkspaceID) (int, error) {
	return tx.count("deployments of a workspace", `SELECT COUNT(*) FROM deployments WHERE workspace = ?`, w)
}

// DeleteWorkspace deletes a Workspace without Deployments, with its members,
// invitations, tokens and credentials. The audit log stays.
func (tx *Tx) DeleteWorkspace(w slipway.WorkspaceID) error {
	return tx.exec("delete workspace", `DELETE FROM workspaces WHERE id = ?`, w)
}

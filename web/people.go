package web

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// peoplePath is the address of the People page of w.
func peoplePath(w slipway.WorkspaceID) string { return workspacePath(w) + "/people" }

// memberPath is the address of one member, the start of the addresses of the
// member's actions.
func memberPath(m slipway.Membership) string {
	return peoplePath(m.Workspace) + "/" + string(m.User.ID)
}

// showPeople serves GET /workspaces/:workspace/people.
func (s *Server) showPeople(c echo.Context) error {
	page, err := s.people(c, slipway.WorkspaceID(c.Param("workspace")))
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.PeoplePage(page))
}

// people loads the People page.
func (s *Server) people(c echo.Context, id slipway.WorkspaceID) (page views.Team, err error) {
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		var role slipway.Role
		if page.Page, role, err = s.frameIn(c, tx, "People", id, views.People); err != nil {
			return err
		}
		l := listingOf(c)
		members, total, err := tx.FindMembers(id, l)
		if err != nil {
			return err
		}
		page.URL, page.Text, page.Part = peoplePath(id), l.Search, listPart(peoplePath(id), l, total)
		owners, err := tx.Owners(id)
		if err != nil {
			return err
		}
		for _, m := range members {
			var tokens []store.Token
			if role.May(slipway.ManageMembers) == nil { // nobody else changes roles, so the tokens are not needed
				if tokens, err = tx.HeldTokens(m.User.ID, id); err != nil {
					return err
				}
			}
			page.Members = append(page.Members, memberRow(m, userOf(c).ID, role, owners, tokens))
		}
		if role.May(slipway.ManageMembers) != nil {
			return nil
		}
		page.InviteURL, page.Roles = workspacePath(id)+"/invitations", slipway.WorkspaceRoles
		page.Invitations, err = invitationRows(tx, id, page.InviteURL)
		return err
	})
	return page, err
}

// memberRow is the row of m, with the changes that the role mine may make.
// tokens are the tokens of m.
func memberRow(m slipway.Membership, me slipway.UserID, mine slipway.Role, owners int, tokens []store.Token) views.MemberRow {
	row := views.MemberRow{Membership: m, You: m.User.ID == me}
	for _, next := range slipway.WorkspaceRoles {
		if m.SetRole(mine, next, owners) == nil {
			row.Roles = append(row.Roles, next)
		}
	}
	if len(row.Roles) > 1 {
		row.RoleURL = memberPath(m)
		row.AskRole = slices.ContainsFunc(row.Roles, func(next slipway.Role) bool { return len(auth.RoleChange(m, next).Revokes(tokens)) > 0 })
	}
	if row.AskRole {
		row.RoleURL += "/role"
	}
	if m.Remove(me, mine, owners) == nil {
		row.RemoveURL = memberPath(m) + "/remove"
	}
	return row
}

// invitationRows returns the open invitations of a Workspace; base is the start
// of the addresses to revoke one.
func invitationRows(tx *store.Tx, id slipway.WorkspaceID, base string) (rows []views.InvitationRow, err error) {
	all, err := tx.Invitations(id)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		by, err := tx.User(i.By)
		if err != nil {
			return nil, err
		}
		rows = append(rows, views.InvitationRow{Invitation: i, By: by.Title(), RemoveURL: base + "/" + i.ID + "/remove"})
	}
	return rows, nil
}

// member loads a membership, the caller's role and the number of Owners, for
// the rules.
func (s *Server) member(c echo.Context, tx *store.Tx) (m slipway.Membership, mine slipway.Role, owners int, err error) {
	id := slipway.WorkspaceID(c.Param("workspace"))
	if _, mine, err = tx.Workspace(id, actorOf(c)); err != nil {
		return m, mine, 0, err
	}
	if m, err = tx.Member(id, slipway.UserID(c.Param("user"))); err != nil {
		return m, mine, 0, err
	}
	owners, err = tx.Owners(id)
	return m, mine, owners, err
}

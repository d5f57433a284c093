package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway"
	"slipway/store"
	"slipway/views"
)

func peoplePath(w slipway.WorkspaceID) string { return workspacePath(w) + "/people" }

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

// people loads and shapes what the People page shows.
func (s *Server) people(c echo.Context, id slipway.WorkspaceID) (page views.Team, err error) {
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		var role slipway.Role
		if page.Page, role, err = s.frameIn(c, tx, "People", id, views.People); err != nil {
			return err
		}
		members, err := tx.Members(id)
		if err != nil {
			return err
		}
		owners, err := tx.Owners(id)
		if err != nil {
			return err
		}
		for _, m := range members {
			page.Members = append(page.Members, memberRow(m, userOf(c).ID, role, owners))
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

// memberRow offers what the rules allow someone with a role to do with m.
func memberRow(m slipway.Membership, me slipway.UserID, mine slipway.Role, owners int) views.MemberRow {
	row := views.MemberRow{Membership: m, You: m.User.ID == me}
	for _, next := range slipway.WorkspaceRoles {
		if m.SetRole(mine, next, owners) == nil {
			row.Roles = append(row.Roles, next)
		}
	}
	if len(row.Roles) > 1 {
		row.RoleURL = memberPath(m)
	}
	if m.Remove(me, mine, owners) == nil {
		row.RemoveURL = memberPath(m) + "/remove"
	}
	return row
}

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

// member loads one membership with what judging it takes.
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

// setRole serves POST /workspaces/:workspace/people/:user.
func (s *Server) setRole(c echo.Context) error {
	next, err := slipway.RoleOf(c.FormValue("role"))
	if err != nil {
		return err
	}
	var m slipway.Membership
	err = s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		var mine slipway.Role
		var owners int
		if m, mine, owners, err = s.member(c, tx); err != nil {
			return err
		}
		if err := m.SetRole(mine, next, owners); err != nil {
			return err
		}
		if err := tx.SetRole(m.Workspace, m.User.ID, next); err != nil {
			return err
		}
		if next.May(slipway.ManageMembers) != nil { // then no link of theirs may bring the role back
			if err := tx.DropInvitationsBy(m.Workspace, m.User.ID); err != nil {
				return err
			}
		}
		return tx.Audit(actorOf(c), slipway.Event{
			Workspace: m.Workspace, Action: "member.role", Target: m.User.Email, Detail: m.Role.String() + " before, " + next.String() + " now.",
		})
	})
	if err != nil {
		return err
	}
	return s.done(c, peoplePath(m.Workspace), "The role of %s is %s now.", m.User.Title(), next)
}

// showRemoveMember serves GET /workspaces/:workspace/people/:user/remove.
func (s *Server) showRemoveMember(c echo.Context) error {
	var page views.RemoveMember
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		m, mine, owners, err := s.member(c, tx)
		if err != nil {
			return err
		}
		if err := m.Remove(userOf(c).ID, mine, owners); err != nil {
			return err
		}
		page.Page, _, err = s.frameIn(c, tx, "Remove a member", m.Workspace, views.People)
		page.Name, page.You = m.User.Title(), m.User.ID == userOf(c).ID
		page.BackURL, page.RemoveURL = peoplePath(m.Workspace), memberPath(m)+"/remove"
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.RemoveMemberPage(page))
}

// removeMember serves POST /workspaces/:workspace/people/:user/remove.
func (s *Server) removeMember(c echo.Context) error {
	var m slipway.Membership
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		var mine slipway.Role
		var owners int
		if m, mine, owners, err = s.member(c, tx); err != nil {
			return err
		}
		if err := m.Remove(userOf(c).ID, mine, owners); err != nil {
			return err
		}
		if err := tx.RemoveMember(m.Workspace, m.User.ID); err != nil {
			return err
		}
		if err := tx.DropInvitationsBy(m.Workspace, m.User.ID); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Workspace: m.Workspace, Action: "member.remove", Target: m.User.Email})
	})
	if err != nil {
		return err
	}
	if m.User.ID == userOf(c).ID {
		return s.done(c, "/", "You have left the Workspace.")
	}
	return s.done(c, peoplePath(m.Workspace), "%s is no longer in this Workspace.", m.User.Title())
}

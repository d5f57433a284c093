package web

import (
	"net/http"
	"slices"

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
		held, err := tokensByHolder(tx, id)
		if err != nil {
			return err
		}
		for _, m := range members {
			page.Members = append(page.Members, memberRow(m, userOf(c).ID, role, owners, held[m.User.ID]))
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

// tokensByHolder returns the tokens of a Workspace by who holds them.
func tokensByHolder(tx *store.Tx, w slipway.WorkspaceID) (map[slipway.UserID][]store.Token, error) {
	all, err := tx.AllTokens(w, "")
	if err != nil {
		return nil, err
	}
	holders, err := tx.Holders(w)
	held := map[slipway.UserID][]store.Token{}
	for _, h := range holders {
		i := slices.IndexFunc(all, func(t store.Token) bool { return t.ID == h.Token })
		held[h.User] = append(held[h.User], all[i])
	}
	return held, err
}

// memberRow offers what the rules allow someone with a role to do with m, who
// holds some tokens.
func memberRow(m slipway.Membership, me slipway.UserID, mine slipway.Role, owners int, held []store.Token) views.MemberRow {
	row := views.MemberRow{Membership: m, You: m.User.ID == me}
	for _, next := range slipway.WorkspaceRoles {
		if m.SetRole(mine, next, owners) == nil {
			row.Roles = append(row.Roles, next)
		}
	}
	if len(row.Roles) > 1 {
		row.RoleURL = memberPath(m)
		row.AskRole = slices.ContainsFunc(row.Roles, func(next slipway.Role) bool { return len(changed(m, next).takes(held)) > 0 })
	}
	if row.AskRole {
		row.RoleURL += "/role"
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
		row := views.InvitationRow{Invitation: i, By: "a removed account", RemoveURL: base + "/" + i.ID + "/remove"}
		by, err := tx.User(i.By)
		if kind, _ := slipway.Explain(err); err != nil && kind != slipway.NotFound {
			return nil, err
		}
		if err == nil {
			row.By = by.Title()
		}
		rows = append(rows, row)
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

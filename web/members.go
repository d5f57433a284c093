package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// Fields of the form that confirms a smaller role or a removal: one for each
// token on the page, and one for each ticked token.
const (
	shownField  = "shown"
	revokeField = "revoke"
)

// keptTokens returns the tokens to keep: on the page but not ticked. mine is
// the caller's role. Nobody keeps tokens of their own account, and a request
// without the fields keeps none.
func keptTokens(c echo.Context, of slipway.User, mine slipway.Role) (keep []slipway.TokenID) {
	form, err := c.FormParams()
	if err != nil || slipway.MayKeepTokens(mine) != nil || of.ID == userOf(c).ID {
		return nil // readForm has already refused an unreadable form
	}
	for _, id := range form[shownField] {
		if !slices.Contains(form[revokeField], id) {
			keep = append(keep, slipway.TokenID(id))
		}
	}
	return keep
}

// endingTokenRows returns the rows of the tokens that end with l.
func endingTokenRows(tx *store.Tx, l auth.AccessLoss) (rows []views.EndingToken, err error) {
	tokens, err := auth.EndingTokens(tx, l)
	if err != nil {
		return nil, err
	}
	all, err := tx.Deployments(l.Workspace)
	if err != nil {
		return nil, err
	}
	names := map[slipway.DeploymentID]string{"": ""}
	for _, d := range all {
		names[d.ID] = d.Name
	}
	for _, t := range tokens {
		scope, there := names[t.Deployment]
		if !there {
			scope = "a deleted Deployment"
		}
		rows = append(rows, views.EndingToken{
			ID: string(t.ID), Name: t.Name, Short: t.Short, Agents: t.Kind == store.AgentToken, Scope: scope, Role: t.Role,
			LastUsedAt: t.LastUsedAt, By: t.CreatedBy, Theirs: t.ByUser == l.User.ID, ByToken: t.ByToken != "", Expired: t.Grant().Expired(tx.Now),
		})
	}
	return rows, nil
}

// changeAccess calls record to change or end a membership, and revokes the
// tokens of l. The person's own invitations are deleted if the next role may not
// invite, and so are open invitations of the person to a role above the next one.
// At the end, e is audited. counts is a sentence with the numbers of revoked and
// kept tokens.
func changeAccess(c echo.Context, tx *store.Tx, mine slipway.Role, l auth.AccessLoss, record func() error, e slipway.Event) (counts string, err error) {
	if err := record(); err != nil {
		return "", err
	}
	ended, err := auth.EndTokens(tx, actorOf(c), l, keptTokens(c, l.User, mine))
	if err != nil {
		return "", err
	}
	if l.Next.May(slipway.ManageMembers) != nil { // an invitation made by the person could bring the role back
		if err := tx.DropInvitationsBy(l.Workspace, l.User.ID); err != nil {
			return "", err
		}
	}
	if err := dropInvitationsFor(tx, l); err != nil {
		return "", err
	}
	if len(ended) > 0 {
		counts = auth.CountTokens(ended)
		e.Detail = strings.TrimSpace(e.Detail + " " + counts)
	}
	e.Workspace, e.Target = l.Workspace, l.User.Email
	return counts, tx.Audit(actorOf(c), e)
}

// dropInvitationsFor deletes open invitations to l's address above the next
// role: accepting one would undo the change.
func dropInvitationsFor(tx *store.Tx, l auth.AccessLoss) error {
	all, err := tx.Invitations(l.Workspace)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Email != l.User.Email || !i.TakenBack(l.Before, l.Next) {
			continue
		}
		if err := tx.DropInvitation(l.Workspace, i.ID); err != nil {
			return err
		}
	}
	return nil
}

// openLinks counts the open invitations without an address.
func openLinks(tx *store.Tx, w slipway.WorkspaceID) (n int, err error) {
	all, err := tx.Invitations(w)
	if err != nil {
		return 0, err
	}
	for _, i := range all {
		if i.Email == "" {
			n++
		}
	}
	return n, nil
}

// showSetRole serves GET /workspaces/:workspace/people/:user/role?role=: the
// effects of a smaller role, for confirmation.
func (s *Server) showSetRole(c echo.Context) error {
	next, wrong := slipway.RoleOf(c.QueryParam("role"))
	page := views.ChangeRole{Next: next}
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		m, mine, owners, err := s.member(c, tx)
		if err != nil {
			return err
		}
		if err := mine.May(slipway.ManageMembers); err != nil { // the refusal for a missing permission comes first
			return err
		}
		if wrong != nil {
			return wrong
		}
		if err := m.AskRole(mine, next, owners); err != nil {
			return err
		}
		if page.Tokens, err = endingTokenRows(tx, auth.RoleChange(m, next)); err != nil {
			return err
		}
		page.Page, _, err = s.frameIn(c, tx, "Change a role", m.Workspace, views.People)
		page.Name, page.You, page.Admin, page.Role = m.User.Title(), m.User.ID == userOf(c).ID, m.User.Admin, m.Role
		page.Invites = m.Role.May(slipway.ManageMembers) == nil && next.May(slipway.ManageMembers) != nil
		page.BackURL, page.URL = peoplePath(m.Workspace), memberPath(m)
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.ChangeRolePage(page))
}

// setRole serves POST /workspaces/:workspace/people/:user. A smaller role revokes
// tokens of the person.
func (s *Server) setRole(c echo.Context) error {
	next, err := slipway.RoleOf(c.FormValue("role"))
	if err != nil {
		return err
	}
	var m slipway.Membership
	var counts string
	err = s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		var mine slipway.Role
		var owners int
		if m, mine, owners, err = s.member(c, tx); err != nil {
			return err
		}
		if err := m.SetRole(mine, next, owners); err != nil {
			return err
		}
		e := slipway.Event{Action: "member.role", Detail: m.Role.String() + " before, " + next.String() + " now."}
		counts, err = changeAccess(c, tx, mine, auth.RoleChange(m, next), func() error { return tx.SetRole(m.Workspace, m.User.ID, next) }, e)
		return err
	})
	if err != nil {
		return err
	}
	s.engine.Recheck()
	return s.done(c, peoplePath(m.Workspace), "%s", strings.TrimSpace(fmt.Sprintf(views.DoneRole, m.User.Title(), next)+" "+counts))
}

// showRemoveMember serves GET /workspaces/:workspace/people/:user/remove: the
// effects of a removal, for confirmation.
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
		if page.Tokens, err = endingTokenRows(tx, auth.Removal(m)); err != nil {
			return err
		}
		if page.OpenLinks, err = openLinks(tx, m.Workspace); err != nil {
			return err
		}
		page.MayKeep = slipway.MayKeepTokens(mine) == nil && m.User.ID != userOf(c).ID
		page.Page, _, err = s.frameIn(c, tx, "Remove a member", m.Workspace, views.People)
		page.Name, page.You, page.Admin = m.User.Title(), m.User.ID == userOf(c).ID, m.User.Admin
		page.BackURL, page.RemoveURL = peoplePath(m.Workspace), memberPath(m)+"/remove"
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.RemoveMemberPage(page))
}

// removeMember serves POST /workspaces/:workspace/people/:user/remove, also for
// members who leave.
func (s *Server) removeMember(c echo.Context) error {
	var m slipway.Membership
	var counts string
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		var mine slipway.Role
		var owners int
		if m, mine, owners, err = s.member(c, tx); err != nil {
			return err
		}
		if err := m.Remove(userOf(c).ID, mine, owners); err != nil {
			return err
		}
		record := func() error { return tx.RemoveMember(m.Workspace, m.User.ID) }
		counts, err = changeAccess(c, tx, mine, auth.Removal(m), record, slipway.Event{Action: "member.remove"})
		return err
	})
	if err != nil {
		return err
	}
	s.engine.Recheck()
	if m.User.ID == userOf(c).ID {
		return s.done(c, "/", views.DoneLeft)
	}
	return s.done(c, peoplePath(m.Workspace), "%s", strings.TrimSpace(fmt.Sprintf(views.DoneRemoved, m.User.Title())+" "+counts))
}

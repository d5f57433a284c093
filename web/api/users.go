package api

import (
	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// listUsers serves GET …/users: the members of one Workspace, or of all that
// the caller is a member of.
func (s *Server) listUsers(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var all []member
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		all, err = membersSeen(tx, caller(c), slipway.WorkspaceID(c.QueryParam("workspaceId")))
		return err
	})
	if err != nil {
		return err
	}
	return listed(c, "users", all, member.object)
}

// member is a person with their roles in the Workspaces that are looked at.
type member struct {
	slipway.User
	roles []slipway.Membership
}

func (m member) object() object {
	roles := []object{}
	for _, r := range m.roles {
		roles = append(roles, object{"workspaceId": r.Workspace, "role": roleName(workspaceScope, r.Role)})
	}
	organization := "ORGANIZATION_MEMBER"
	if m.Admin {
		organization = "ORGANIZATION_OWNER"
	}
	return object{
		"id": m.ID, "username": m.Email, "fullName": m.Title(), "status": m.status(), "avatarUrl": "",
		"createdAt": timeText(m.CreatedAt), "updatedAt": timeText(m.CreatedAt), "organizationRole": organization, "workspaceRoles": roles,
	}
}

// status is of the account, in the API's word.
func (m member) status() string {
	if m.Disabled() {
		return "INACTIVE"
	}
	return "ACTIVE"
}

// membersSeen returns the members of a Workspace, or of all that by sees; a
// token of one Deployment sees no Workspace.
func membersSeen(tx *store.Tx, by slipway.Actor, only slipway.WorkspaceID) (all []member, err error) {
	wanted := []slipway.Workspace{{ID: only}}
	if only == "" {
		if wanted, err = tx.SeenWorkspaces(by); err != nil {
			return nil, err
		}
	}
	at := map[slipway.UserID]int{}
	for _, w := range wanted {
		if _, _, err := tx.Workspace(w.ID, by); err != nil {
			if kind, _ := slipway.Explain(err); kind == slipway.NotFound && only == "" {
				continue
			}
			return nil, err
		}
		members, err := tx.Members(w.ID)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			i, known := at[m.User.ID]
			if !known {
				i, at[m.User.ID] = len(all), len(all)
				all = append(all, member{User: m.User})
			}
			all[i].roles = append(all[i].roles, m)
		}
	}
	return all, nil
}

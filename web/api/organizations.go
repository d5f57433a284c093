package api

import (
	"cmp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// organizationObject is the one Organization, the installation. With any other
// product the CLI would add files of its own to a project.
func organizationObject(struct{}) object {
	return object{"id": slipway.OrganizationID, "name": "Slipway", "product": "HOSTED"}
}

// inOrganization refuses an address of another Organization.
func inOrganization(c echo.Context) error {
	if id := c.Param("org"); id != slipway.OrganizationID {
		return slipway.Errorf(slipway.NotFound, "There is no Organization %q here. The only one is %s.", id, slipway.OrganizationID)
	}
	return nil
}

// organizations serves the organization, its Workspaces and its people.
type organizations struct {
	*core
}

// listOrganizations serves GET /v1/organizations.
func (o *organizations) listOrganizations(c echo.Context) error {
	return answerPage(c, "organizations", []struct{}{{}}, organizationObject)
}

// showOrganization serves GET /v1/organizations/:org.
func (o *organizations) showOrganization(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	return ok(c, organizationObject(struct{}{}))
}

func workspaceObject(w slipway.Workspace) object {
	return object{
		"id": w.ID, "name": w.Name, "organizationId": slipway.OrganizationID, "organizationName": "Slipway",
		"createdAt": timeText(w.CreatedAt), "updatedAt": timeText(w.CreatedAt),
	}
}

// listWorkspaces serves GET …/workspaces.
func (o *organizations) listWorkspaces(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var all []slipway.Workspace
	err := o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		all, err = tx.SeenWorkspaces(caller(c))
		return err
	})
	if err != nil {
		return err
	}
	if err := sorted(c, all, map[string]func(a, b slipway.Workspace) int{
		"name":      func(a, b slipway.Workspace) int { return compareNames(a.Name, b.Name) },
		"createdAt": func(a, b slipway.Workspace) int { return a.CreatedAt.Compare(b.CreatedAt) },
	}); err != nil {
		return err
	}
	return answerPage(c, "workspaces", all, workspaceObject)
}

// showWorkspace serves GET …/workspaces/:workspace.
func (o *organizations) showWorkspace(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var w slipway.Workspace
	err := o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		w, _, err = tx.Workspace(slipway.WorkspaceID(c.Param("workspace")), caller(c))
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, workspaceObject(w))
}

// sorted puts all in the order that a request asks for, "sorts=name:asc"; more
// than one count one after the other.
func sorted[T any](c echo.Context, all []T, by map[string]func(a, b T) int) error {
	for _, wish := range slices.Backward(c.QueryParams()["sorts"]) {
		field, order, _ := strings.Cut(wish, ":")
		compare := by[field]
		if compare == nil || order != "" && order != "asc" && order != "desc" {
			return slipway.Errorf(slipway.Invalid, "sorts cannot be %q. It is a field and asc or desc, like name:asc.", wish)
		}
		slices.SortStableFunc(all, func(a, b T) int {
			if order == "desc" {
				return compare(b, a)
			}
			return compare(a, b)
		})
	}
	return nil
}

func compareNames(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }

// showSelf serves GET /v1/users/self. An API token is nobody's self, but it may
// ask what it is.
func (o *organizations) showSelf(c echo.Context) error {
	by := caller(c)
	if by.Token != "" {
		return ok(c, object{"id": by.Token, "username": by.Name, "fullName": by.Title(), "status": "ACTIVE"})
	}
	var u slipway.User
	err := o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		u, err = tx.User(by.User)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, object{
		"id": u.ID, "username": u.Email, "fullName": u.Title(), "status": "ACTIVE", "avatarUrl": "",
		"createdAt": timeText(u.CreatedAt), "updatedAt": timeText(u.CreatedAt),
	})
}

// listUsers serves GET …/users: the members of one Workspace, or of all that
// the caller is a member of.
func (o *organizations) listUsers(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var all []member
	err := o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		all, err = membersSeen(tx, caller(c), slipway.WorkspaceID(c.QueryParam("workspaceId")))
		return err
	})
	if err != nil {
		return err
	}
	return answerPage(c, "users", all, member.object)
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

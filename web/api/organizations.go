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

// listOrganizations serves GET /v1/organizations.
func (s *Server) listOrganizations(c echo.Context) error {
	return listed(c, "organizations", []struct{}{{}}, organizationObject)
}

// showOrganization serves GET /v1/organizations/:org.
func (s *Server) showOrganization(c echo.Context) error {
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
func (s *Server) listWorkspaces(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var all []slipway.Workspace
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
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
	return listed(c, "workspaces", all, workspaceObject)
}

// showWorkspace serves GET …/workspaces/:workspace.
func (s *Server) showWorkspace(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var w slipway.Workspace
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
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
func (s *Server) showSelf(c echo.Context) error {
	by := caller(c)
	if by.Token != "" {
		return ok(c, object{"id": by.Token, "username": by.Name, "fullName": by.Title(), "status": "ACTIVE"})
	}
	var u slipway.User
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
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

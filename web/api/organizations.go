package api

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// organizationObject returns the one Organization, the installation. The product
// must be HOSTED: for other products the CLI adds own files to a project.
func organizationObject(struct{}) object {
	return object{"id": slipway.OrganizationID, "name": "Slipway", "product": "HOSTED"}
}

// checkOrganization returns NotFound for an address of another Organization.
func checkOrganization(c echo.Context) error {
	if id := c.Param("org"); id != slipway.OrganizationID {
		return slipway.Errorf(slipway.NotFound, "There is no Organization %q here. The only one is %s.", id, slipway.OrganizationID)
	}
	return nil
}

// organizations serves the Organization, the Workspaces and the people.
type organizations struct {
	*core
}

// listOrganizations serves GET /v1/organizations.
func (o *organizations) listOrganizations(c echo.Context) error {
	if _, err := filtersOf(c); err != nil {
		return err
	}
	return answerPage(c, "organizations", []struct{}{{}}, organizationObject)
}

// showOrganization serves GET /v1/organizations/:org.
func (o *organizations) showOrganization(c echo.Context) error {
	return ok(c, organizationObject(struct{}{}))
}

// workspaceObject returns a Workspace in JSON.
func workspaceObject(w slipway.Workspace) object {
	return object{
		"id": w.ID, "name": w.Name, "organizationId": slipway.OrganizationID, "organizationName": "Slipway",
		"createdAt": timeText(w.CreatedAt), "updatedAt": timeText(w.UpdatedAt),
	}
}

// listWorkspaces serves GET …/workspaces: the Workspaces visible to the caller.
func (o *organizations) listWorkspaces(c echo.Context) error {
	f, err := filtersOf(c, "workspaceIds", "names", "search", "sorts")
	if err != nil {
		return err
	}
	l, err := listingOf(c, "name", "createdAt", "updatedAt")
	if err != nil {
		return err
	}
	var all []slipway.Workspace
	var total int
	err = o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		all, total, err = tx.FindWorkspaces(Caller(c), f.values("workspaceIds"), f.values("names"), l)
		return err
	})
	if err != nil {
		return err
	}
	return answerListed(c, "workspaces", all, total, l, workspaceObject)
}

// showWorkspace serves GET …/workspaces/:workspace.
func (o *organizations) showWorkspace(c echo.Context) error {
	var w slipway.Workspace
	err := o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		w, _, err = tx.Workspace(slipway.WorkspaceID(c.Param("workspace")), Caller(c))
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, workspaceObject(w))
}

// sortByQuery sorts all by the request's "sorts=name:asc". With several sorts,
// the first one decides, and the next ones order equal items. by has the fields.
func sortByQuery[T any](c echo.Context, all []T, by map[string]func(a, b T) int) error {
	for _, sort := range slices.Backward(c.QueryParams()["sorts"]) {
		field, order, _ := strings.Cut(sort, ":")
		compare := by[field]
		if compare == nil || order != "" && order != "asc" && order != "desc" {
			return badSort(sort)
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

// badSort is the refusal of a sort in a query.
func badSort(sort string) error {
	return slipway.Errorf(slipway.Invalid, "sorts cannot be %q. It is a field and asc or desc, like name:asc.", sort)
}

// compareNames orders names without regard to case.
func compareNames(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }

// showSelf serves GET /v1/users/self: the person of the request, or the API token
// in the same fields.
func (o *organizations) showSelf(c echo.Context) error {
	by := Caller(c)
	if by.Token != "" {
		return ok(c, object{"id": by.Token, "username": by.Name, "fullName": by.Title(), "status": "ACTIVE"})
	}
	u, err := o.person(c)
	if err != nil {
		return err
	}
	return ok(c, object{
		"id": u.ID, "username": u.Email, "fullName": u.Title(), "status": "ACTIVE", "avatarUrl": "",
		"createdAt": timeText(u.CreatedAt), "updatedAt": timeText(u.UpdatedAt),
	})
}

// listUsers serves GET …/users: the members of the Workspace in workspaceId or of
// the Deployment in deploymentId, or of all Workspaces visible to the caller.
func (o *organizations) listUsers(c echo.Context) error {
	f, err := filtersOf(c, "workspaceId", "deploymentId", "search", "sorts")
	if err != nil {
		return err
	}
	var all []member
	err = o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		only := slipway.WorkspaceID(c.QueryParam("workspaceId"))
		if id := slipway.DeploymentID(c.QueryParam("deploymentId")); id != "" {
			d, _, err := tx.Deployment(id, Caller(c))
			if err != nil {
				return err
			}
			if only != "" && only != d.Workspace {
				return nil // no Deployment is in two Workspaces
			}
			only = d.Workspace
		}
		all, err = visibleMembers(tx, Caller(c), only)
		return err
	})
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(m member) bool { return !f.search(string(m.ID), m.Email, m.Name) })
	if err := sortByQuery(c, all, map[string]func(a, b member) int{
		"username":  func(a, b member) int { return compareNames(a.Email, b.Email) },
		"fullName":  func(a, b member) int { return compareNames(a.Title(), b.Title()) },
		"createdAt": func(a, b member) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"updatedAt": func(a, b member) int { return a.UpdatedAt.Compare(b.UpdatedAt) },
	}); err != nil {
		return err
	}
	return answerPage(c, "users", all, member.object)
}

// member is a person with the roles in the listed Workspaces.
type member struct {
	slipway.User
	roles []slipway.Membership
}

// object returns the member in JSON.
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
		"createdAt": timeText(m.CreatedAt), "updatedAt": timeText(m.UpdatedAt), "organizationRole": organization, "workspaceRoles": roles,
	}
}

// status returns the state of the account in the API's words.
func (m member) status() string {
	if m.Disabled() {
		return "INACTIVE"
	}
	return "ACTIVE"
}

// visibleMembers returns the members of Workspace only, or of all Workspaces of by
// if only is empty. A token of one Deployment has no access to the Workspace: the
// list is then empty, or NotFound for only.
func visibleMembers(tx *store.Tx, by slipway.Actor, only slipway.WorkspaceID) (all []member, err error) {
	workspaces := []slipway.Workspace{{ID: only}}
	if only == "" {
		if workspaces, err = tx.SeenWorkspaces(by); err != nil {
			return nil, err
		}
	}
	index := map[slipway.UserID]int{}
	for _, w := range workspaces {
		if _, _, err := tx.Workspace(w.ID, by); err != nil {
			if errors.Is(err, slipway.ErrNotFound) && only == "" {
				continue
			}
			return nil, err
		}
		members, err := tx.Members(w.ID)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			i, known := index[m.User.ID]
			if !known {
				i, index[m.User.ID] = len(all), len(all)
				all = append(all, member{User: m.User})
			}
			all[i].roles = append(all[i].roles, m)
		}
	}
	return all, nil
}

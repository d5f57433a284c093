package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// home serves GET /: a redirect to the first Workspace of the caller.
func (s *Server) home(c echo.Context) error {
	var page views.Frame
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		page, err = s.frame(c, tx, "Workspaces")
		return err
	})
	switch {
	case err != nil:
		return err
	case len(page.Workspaces) > 0:
		s.keepDone(c, page.Done)
		return seeOther(c, workspacePath(page.Workspaces[0].ID))
	case page.Admin:
		s.keepDone(c, page.Done)
		return seeOther(c, "/workspaces")
	}
	return render(c, http.StatusOK, views.NoWorkspacePage(page))
}

// administrator returns nil if the caller is an Organization admin.
func administrator(c echo.Context) error {
	role := slipway.Member
	if userOf(c).Admin {
		role = slipway.Admin
	}
	return role.May(slipway.ManageWorkspaces)
}

// showWorkspaces serves GET /workspaces: all Workspaces, for admins.
func (s *Server) showWorkspaces(c echo.Context) error {
	if err := administrator(c); err != nil {
		return err
	}
	var page views.Workspaces
	l := listingOf(c)
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		if page.Page, err = s.frame(c, tx, views.AdminTitle(views.AdminWorkspaces)); err != nil {
			return err
		}
		all, total, err := tx.FindWorkspaces(actorOf(c), nil, nil, l)
		if err != nil {
			return err
		}
		page.Text, page.Part = l.Search, listPart("/workspaces", l, total)
		for _, w := range all {
			row, err := workspaceRow(tx, w, userOf(c).ID)
			if err != nil {
				return err
			}
			page.Rows = append(page.Rows, row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.WorkspacesPage(page))
}

// workspaceRow counts the members and Deployments of w, and offers me to become
// an Owner.
func workspaceRow(tx *store.Tx, w slipway.Workspace, me slipway.UserID) (row views.WorkspaceRow, err error) {
	n, err := tx.CountIn(w.ID)
	if err != nil {
		return row, err
	}
	row = views.WorkspaceRow{
		Name: w.Name, URL: workspacePath(w.ID), PeopleURL: peoplePath(w.ID), OwnURL: workspacePath(w.ID) + "/own",
		Deployments: n.Deployments, Members: n.Members,
	}
	if n.Deployments == 0 {
		row.DeleteURL = workspacePath(w.ID) + "/delete"
	}
	for _, m := range n.Owners {
		row.Owners = append(row.Owners, m.User.Title())
		if m.User.ID == me {
			row.OwnURL = ""
		}
	}
	return row, nil
}

// addWorkspace serves POST /workspaces. The admin does not become a member.
func (s *Server) addWorkspace(c echo.Context) error {
	name, err := slipway.CheckName("A Workspace", c.FormValue("name"))
	if err == nil {
		err = administrator(c)
	}
	if err != nil {
		return err
	}
	var w slipway.Workspace
	err = s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		if _, err := tx.WorkingUser(userOf(c).ID); err != nil {
			return err
		}
		if w, err = tx.AddWorkspace(name); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Workspace: w.ID, Action: "workspace.create", Target: w.Name})
	})
	if err != nil {
		return err
	}
	return s.done(c, peoplePath(w.ID), views.DoneWorkspace, w.Name)
}

// renameWorkspace serves POST /workspaces/:workspace, for admins.
func (s *Server) renameWorkspace(c echo.Context) error {
	id := slipway.WorkspaceID(c.Param("workspace"))
	var name string
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		w, role, err := tx.Workspace(id, actorOf(c))
		if err != nil {
			return err
		}
		if err := role.May(slipway.ManageWorkspaces); err != nil {
			return err
		}
		if name, err = slipway.CheckName("A Workspace", c.FormValue("name")); err != nil {
			return err
		}
		if err := tx.RenameWorkspace(id, name); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Workspace: id, Action: "workspace.rename", Target: w.Name, Detail: "Now " + name + "."})
	})
	if err != nil {
		return err
	}
	return s.done(c, "/workspaces", views.DoneWorkspaceRenamed, name)
}

// ownWorkspace serves POST /workspaces/:workspace/own: an admin becomes an
// Owner.
func (s *Server) ownWorkspace(c echo.Context) error {
	id, u := slipway.WorkspaceID(c.Param("workspace")), userOf(c)
	var w slipway.Workspace
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		var role slipway.Role
		if w, role, err = tx.Workspace(id, actorOf(c)); err != nil {
			return err
		}
		if err := role.May(slipway.ManageWorkspaces); err != nil {
			return err
		}
		if err := tx.SetRole(id, u.ID, slipway.Owner); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Workspace: id, Action: "member.role", Target: u.Email, Detail: "Owner."})
	})
	if err != nil {
		return err
	}
	return s.done(c, "/workspaces", views.DoneOwner, w.Name)
}

package web

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// invite serves POST /workspaces/:workspace/invitations. The answer shows the
// link once; the link is not stored.
func (s *Server) invite(c echo.Context) error {
	secret := rand.Text()
	i, err := s.addInvitation(c, secret)
	if err != nil {
		return err
	}
	page, err := s.people(c, i.Workspace)
	if err != nil {
		return err
	}
	page.Link = s.address(c, "/invitations/"+secret)
	return render(c, http.StatusOK, views.PeoplePage(page))
}

// addInvitation stores an invitation by the fingerprint of secret. The role must
// include ManageMembers.
func (s *Server) addInvitation(c echo.Context, secret string) (i slipway.Invitation, err error) {
	i = slipway.Invitation{
		ID: auth.Fingerprint(secret), Workspace: slipway.WorkspaceID(c.Param("workspace")), By: userOf(c).ID,
		Email: strings.TrimSpace(c.FormValue("email")),
	}
	return i, s.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		_, role, err := tx.Workspace(i.Workspace, actorOf(c))
		if err != nil {
			return err
		}
		if err := role.May(slipway.ManageMembers); err != nil {
			return err
		}
		if i.Role, err = slipway.RoleOf(c.FormValue("role")); err != nil {
			return err
		}
		if i.Email != "" {
			if i.Email, err = slipway.CheckEmail(i.Email); err != nil {
				return err
			}
		}
		if err := tx.AddInvitation(i); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Workspace: i.Workspace, Action: "invitation.create", Target: i.Email, Detail: "As " + i.Role.String() + "."})
	})
}

// removeInvitation serves POST /workspaces/:workspace/invitations/:invitation/remove.
func (s *Server) removeInvitation(c echo.Context) error {
	id := slipway.WorkspaceID(c.Param("workspace"))
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		_, role, err := tx.Workspace(id, actorOf(c))
		if err != nil {
			return err
		}
		if err := role.May(slipway.ManageMembers); err != nil {
			return err
		}
		if err := tx.DropInvitation(id, c.Param("invitation")); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Workspace: id, Action: "invitation.remove"})
	})
	if err != nil {
		return err
	}
	return s.done(c, peoplePath(id), views.DoneInvitation)
}

// showInvitation serves GET /invitations/:secret: the form to join, without a
// session or with one.
func (s *Server) showInvitation(c echo.Context) error {
	if _, err := s.recognise(c); err != nil {
		return err
	}
	return s.invitationForm(c, http.StatusOK, nil)
}

// invitationForm shows an open invitation, with the reason of a refusal; nil for
// none.
func (s *Server) invitationForm(c echo.Context, status int, refusal error) error {
	i, w, err := s.invitation(c)
	if err != nil {
		return err
	}
	form := views.Invitation{
		Page: s.bareFrame(c, "Join "+w.Name), Workspace: w.Name, Role: i.Role, URL: c.Request().URL.Path,
		SignInURL: signInPath(c.Request().URL.Path), Email: i.Email, Name: c.FormValue("name"),
	}
	form.Bound = i.Email != ""
	if userKnown(c) {
		if err := i.For(userOf(c).Email); err != nil {
			_, form.NotYours = slipway.Explain(err)
		}
	}
	if refusal != nil {
		_, form.Error = slipway.Explain(refusal)
		form.Email = cmp.Or(i.Email, c.FormValue("email"))
	}
	return render(c, status, views.InvitationPage(form))
}

// invitation loads the invitation of the link's secret.
func (s *Server) invitation(c echo.Context) (i slipway.Invitation, w slipway.Workspace, err error) {
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		i, w, err = tx.Invitation(auth.Fingerprint(c.Param("secret")))
		return err
	})
	return i, w, err
}

// acceptInvitation serves POST /invitations/:secret. A signed-in user joins at
// once, anybody else makes an account first.
func (s *Server) acceptInvitation(c echo.Context) error {
	known, err := s.recognise(c)
	if err != nil {
		return err
	}
	if !known {
		return s.joinAnew(c)
	}
	var w slipway.Workspace
	err = s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		u, err := tx.WorkingUser(userOf(c).ID)
		if err != nil {
			return err
		}
		w, err = join(c, tx, u)
		return err
	})
	if err != nil {
		return err
	}
	return s.done(c, workspacePath(w.ID), "Welcome to %s.", w.Name)
}

// joinAnew makes an account and joins. A refused form is shown again.
func (s *Server) joinAnew(c echo.Context) error {
	i, _, err := s.invitation(c)
	if err != nil {
		return err // fail before the costly hash
	}
	if err := i.For(strings.TrimSpace(c.FormValue("email"))); err != nil {
		c.Set(errorKey, err)
		status, _ := explain(err)
		return s.invitationForm(c, status, err)
	}
	u, hash, err := s.newAccount(c)
	var w slipway.Workspace
	if err == nil {
		err = s.startSession(c, func(tx *store.Tx) (slipway.User, error) {
			added, err := tx.AddUser(u, hash)
			if err != nil {
				return added, err
			}
			w, err = join(c, tx, added)
			return added, err
		})
	}
	if correctable(err) != "" {
		c.Set(errorKey, err)
		status, _ := explain(err)
		return s.invitationForm(c, status, err)
	}
	if err != nil {
		return err
	}
	return s.done(c, workspacePath(w.ID), "Welcome to %s.", w.Name)
}

// newAccount reads the fields of a new account and hashes the password.
func (s *Server) newAccount(c echo.Context) (u slipway.User, hash string, err error) {
	if u.Email, err = slipway.CheckEmail(c.FormValue("email")); err != nil {
		return u, "", err
	}
	if u.Name, err = slipway.CheckName("An account", c.FormValue("name")); err != nil {
		return u, "", err
	}
	hash, err = s.passwords.Hash(c.Request().Context(), c.FormValue("password"))
	return u, hash, err
}

// join gives u the role of the invitation and deletes the invitation.
func join(c echo.Context, tx *store.Tx, u slipway.User) (slipway.Workspace, error) {
	i, w, err := tx.Invitation(auth.Fingerprint(c.Param("secret")))
	if err != nil {
		return w, err
	}
	m, err := tx.Member(w.ID, u.ID)
	if err != nil && !errors.Is(err, slipway.ErrNotFound) {
		return w, err
	}
	if err := m.Accept(i, u); err != nil {
		return w, err
	}
	if err := tx.DropInvitation(w.ID, i.ID); err != nil {
		return w, err
	}
	if err := tx.SetRole(w.ID, u.ID, i.Role); err != nil {
		return w, err
	}
	return w, tx.Audit(actor(c, u), slipway.Event{Workspace: w.ID, Action: "member.join", Target: u.Email, Detail: "As " + i.Role.String() + "."})
}

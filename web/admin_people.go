package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// accountsPath is the address of the list of accounts.
const accountsPath = "/admin/people"

// accountPath is the address of the account of a user, for administrators.
func accountPath(u slipway.UserID) string { return accountsPath + "/" + string(u) }

// accountID returns the user's id in the address.
func accountID(c echo.Context) slipway.UserID { return slipway.UserID(c.Param("user")) }

// showAccounts serves GET /admin/people: the accounts with a text in name or
// address.
func (s *Server) showAccounts(c echo.Context) error {
	l := listingOf(c)
	p := views.AccountsPage{Text: l.Search}
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		if p.Page, err = s.adminFrame(c, tx, views.AdminPeople); err != nil {
			return err
		}
		all, total, err := tx.FindAccounts(l)
		p.Part = listPart(accountsPath, l, total)
		for _, a := range all {
			p.Rows = append(p.Rows, views.AccountRow{
				User: a.User, URL: accountPath(a.ID), You: a.ID == userOf(c).ID, Workspaces: a.Workspaces, Sessions: a.Sessions, SeenAt: a.SeenAt,
			})
		}
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.InstallationPeople(p))
}

// showAccountOf serves GET /admin/people/:user.
func (s *Server) showAccountOf(c echo.Context) error {
	return s.accountPage(c, http.StatusOK, func(*views.AccountPageOf) {})
}

// accountPage renders the page of an account after edit, which adds a new link,
// or a refusal.
func (s *Server) accountPage(c echo.Context, status int, edit func(*views.AccountPageOf)) error {
	var p views.AccountPageOf
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		if p.Page, err = s.adminFrame(c, tx, views.AdminPeople); err != nil {
			return err
		}
		if p.User, err = tx.User(accountID(c)); err != nil {
			return err
		}
		return fillAccount(tx, &p, userOf(c).ID)
	})
	if err != nil {
		return err
	}
	edit(&p)
	return render(c, status, views.InstallationAccount(p))
}

// fillAccount adds to the page of p.User what an admin may do, and what would
// end.
func fillAccount(tx *store.Tx, p *views.AccountPageOf, me slipway.UserID) error {
	u := p.User
	p.You, p.URL = u.ID == me, accountPath(u.ID)
	if err := u.LinkPassword(me); err != nil {
		_, p.LinkRefusal = slipway.Explain(err)
	}
	admins, err := tx.CountAdmins()
	if err != nil {
		return err
	}
	if err := u.Disable(me, admins); err != nil {
		_, p.EndRefusal = slipway.Explain(err)
	}
	names := map[slipway.WorkspaceID]string{}
	for _, w := range p.Page.Workspaces {
		names[w.ID] = w.Name
	}
	memberships, err := tx.Memberships(u.ID)
	if err != nil {
		return err
	}
	for _, m := range memberships {
		p.Memberships = append(p.Memberships, views.AccountMembership{Workspace: names[m.Workspace], URL: peoplePath(m.Workspace), Role: m.Role})
	}
	end, err := auth.EndingOf(tx, u)
	p.Sessions = end.Sessions
	for _, t := range end.Tokens {
		p.Tokens = append(p.Tokens, views.EndingToken{Name: t.Name, Agents: t.Kind == store.AgentToken})
	}
	for _, w := range end.Ownerless {
		p.Ownerless = append(p.Ownerless, w.Name)
	}
	return err
}

// asAdmin runs an action of an administrator whose account still works.
func (s *Server) asAdmin(c echo.Context, act func(*store.Tx) error) error {
	if err := administrator(c); err != nil {
		return err
	}
	return s.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		u, err := tx.WorkingUser(userOf(c).ID)
		if err != nil {
			return err
		}
		if !u.Admin {
			return slipway.Member.May(slipway.ManageWorkspaces)
		}
		return act(tx)
	})
}

// linkPassword serves POST /admin/people/:user/password. The answer shows the
// link once.
func (s *Server) linkPassword(c echo.Context) error {
	var secret string
	err := s.asAdmin(c, func(tx *store.Tx) (err error) {
		secret, _, err = auth.LinkPassword(tx, actorOf(c), accountID(c))
		return err
	})
	if err != nil {
		return err
	}
	return s.accountPage(c, http.StatusOK, func(p *views.AccountPageOf) { p.Link = s.address(c, "/password/"+secret) })
}

// endSessionsOf serves POST /admin/people/:user/sessions/end.
func (s *Server) endSessionsOf(c echo.Context) error {
	var u slipway.User
	err := s.asAdmin(c, func(tx *store.Tx) (err error) {
		u, err = auth.EndSessions(tx, actorOf(c), accountID(c))
		return err
	})
	if err != nil {
		return err
	}
	s.engine.Recheck()
	return s.done(c, accountPath(u.ID), views.DoneSessionsEnded, u.Title())
}

// disableAccount serves POST /admin/people/:user/disable.
func (s *Server) disableAccount(c echo.Context) error {
	var ended auth.EndedAccount
	err := s.asAdmin(c, func(tx *store.Tx) error {
		u, err := tx.User(accountID(c))
		if err != nil {
			return err
		}
		admins, err := tx.CountAdmins()
		if err != nil {
			return err
		}
		if err := u.Disable(userOf(c).ID, admins); err != nil {
			return err
		}
		if c.FormValue("sure") == "" {
			return slipway.Errorf(slipway.Invalid, views.TickDisable, u.Email)
		}
		ended, err = auth.DisableAccount(tx, actorOf(c), u.Email, nil)
		return err
	})
	if text := correctable(err); text != "" {
		c.Set(errorKey, err)
		status, _ := explain(err)
		return s.accountPage(c, status, func(p *views.AccountPageOf) { p.Error = text })
	}
	if err != nil {
		return err
	}
	s.engine.Recheck()
	return s.done(c, accountPath(ended.User.ID), views.DoneDisabled, ended.User.Title(), ended.Counts())
}

// enableAccount serves POST /admin/people/:user/enable.
func (s *Server) enableAccount(c echo.Context) error {
	var u slipway.User
	err := s.asAdmin(c, func(tx *store.Tx) (err error) {
		if u, err = tx.User(accountID(c)); err != nil {
			return err
		}
		u, err = auth.EnableAccount(tx, actorOf(c), u.Email)
		return err
	})
	if err != nil {
		return err
	}
	return s.done(c, accountPath(u.ID), views.DoneEnabled, u.Title())
}

// showNewPassword serves GET /password/:secret: the form for the holder of a
// link.
func (s *Server) showNewPassword(c echo.Context) error {
	return s.newPasswordForm(c, http.StatusOK, "")
}

// newPasswordForm shows the form with the reason of a refusal; "" for none.
func (s *Server) newPasswordForm(c echo.Context, status int, refusal string) error {
	var u slipway.User
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		u, err = tx.PasswordLinkUser(auth.Fingerprint(c.Param("secret")))
		return err
	})
	if err != nil {
		return err
	}
	return render(c, status, views.SetPasswordPage(views.NewPasswordPage{
		Page: s.bareFrame(c, views.TitleNewPassword), Email: u.Email, URL: c.Request().URL.Path, Error: refusal,
	}))
}

// setNewPassword serves POST /password/:secret.
func (s *Server) setNewPassword(c echo.Context) error {
	ctx := c.Request().Context()
	err := s.store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.PasswordLinkUser(auth.Fingerprint(c.Param("secret"))) // before the costly hash
		return err
	})
	if err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, c.FormValue("password"))
	if text := correctable(err); text != "" {
		c.Set(errorKey, err)
		return s.newPasswordForm(c, http.StatusUnprocessableEntity, text)
	}
	if err != nil {
		return err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		_, err := auth.ResetPassword(tx, actorOf(c), c.Param("secret"), hash)
		return err
	})
	if err != nil {
		return err
	}
	s.engine.Recheck()
	return s.done(c, "/signin", views.DoneNewPassword)
}

// showDeleteWorkspace serves GET /workspaces/:workspace/delete.
func (s *Server) showDeleteWorkspace(c echo.Context) error {
	return s.deleteWorkspaceForm(c, http.StatusOK, "")
}

// deleteWorkspaceForm shows what would be lost, or why the Workspace stays.
func (s *Server) deleteWorkspaceForm(c echo.Context, status int, refusal string) error {
	p := views.DeleteWorkspace{Typed: c.FormValue("typed"), Error: refusal}
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		w, role, err := tx.Workspace(workspaceID(c), actorOf(c))
		if err == nil {
			err = role.May(slipway.ManageWorkspaces)
		}
		if err != nil {
			return err
		}
		p.Name, p.URL = w.Name, workspacePath(w.ID)
		n, err := tx.CountDeployments(w.ID)
		if err != nil {
			return err
		}
		if err := w.Delete(role, n, w.Name); err != nil {
			_, p.Refusal = slipway.Explain(err)
		}
		members, err := tx.Members(w.ID)
		if err != nil {
			return err
		}
		tokens, err := tx.Tokens(w.ID)
		if err != nil {
			return err
		}
		p.Members, p.Tokens = len(members), len(tokens)
		p.Page, err = s.adminFrame(c, tx, views.AdminWorkspaces)
		return err
	})
	if err != nil {
		return err
	}
	return render(c, status, views.DeleteWorkspacePage(p))
}

// deleteWorkspace serves POST /workspaces/:workspace/delete.
func (s *Server) deleteWorkspace(c echo.Context) error {
	var w slipway.Workspace
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		var role slipway.Role
		if w, role, err = tx.Workspace(workspaceID(c), actorOf(c)); err != nil {
			return err
		}
		n, err := tx.CountDeployments(w.ID)
		if err != nil {
			return err
		}
		if err := w.Delete(role, n, c.FormValue("typed")); err != nil {
			return err
		}
		if err := tx.DeleteWorkspace(w.ID); err != nil {
			return err
		}
		return tx.Audit(actorOf(c), slipway.Event{Action: "workspace.delete", Target: w.Name, Detail: string(w.ID)})
	})
	if kind, text := slipway.Explain(err); err != nil && kind == slipway.Invalid {
		c.Set(errorKey, err)
		return s.deleteWorkspaceForm(c, http.StatusUnprocessableEntity, text)
	}
	if err != nil {
		return err
	}
	s.engine.Recheck()
	return s.done(c, "/workspaces", views.DoneWorkspaceDeleted, w.Name)
}

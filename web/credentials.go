package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// registriesPath is the address of the Registries page of w.
func registriesPath(w slipway.WorkspaceID) string { return workspacePath(w) + "/registries" }

// showRegistries serves GET /workspaces/:workspace/registries.
func (s *Server) showRegistries(c echo.Context) error {
	return s.registriesPage(c, http.StatusOK, func(*views.RegistriesPage) {})
}

// registriesPage renders the page after edit, which adds a refused input and
// the reason. No password is shown again.
func (s *Server) registriesPage(c echo.Context, status int, edit func(*views.RegistriesPage)) error {
	var page views.RegistriesPage
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		frame, role, err := s.frameIn(c, tx, "Registries", workspaceID(c), views.Registries)
		if err != nil {
			return err
		}
		page = views.RegistriesPage{Page: frame, Action: registriesPath(workspaceID(c))}
		if err := role.May(slipway.ManageDeployments); err != nil {
			_, page.Refusal = slipway.Explain(err)
			return nil
		}
		logins, err := tx.RegistryLogins(workspaceID(c))
		if err != nil {
			return err
		}
		for _, l := range logins {
			page.Rows = append(page.Rows, views.RegistryRow{Host: l.Host, User: l.User, By: l.By, At: views.Moment{At: l.At, Now: tx.Now}})
		}
		return nil
	})
	if err != nil {
		return err
	}
	edit(&page)
	return render(c, status, views.RegistriesList(page))
}

// setRegistry serves POST /workspaces/:workspace/registries.
func (s *Server) setRegistry(c echo.Context) error {
	host, login := c.FormValue("host"), image.Login{User: c.FormValue("user"), Password: c.FormValue("password")}
	err := s.engine.SetRegistryLogin(c.Request().Context(), workspaceID(c), actorOf(c), host, login)
	if text := correctable(err); text != "" {
		status, _ := explain(err)
		return s.registriesPage(c, status, func(p *views.RegistriesPage) { p.Error, p.Host, p.User = text, host, login.User })
	}
	if err != nil {
		return err
	}
	return s.done(c, registriesPath(workspaceID(c)), views.DoneCredentials, host)
}

// dropRegistry serves POST /workspaces/:workspace/registries/remove.
func (s *Server) dropRegistry(c echo.Context) error {
	host := c.FormValue("host")
	if err := s.engine.DropRegistryLogin(c.Request().Context(), workspaceID(c), actorOf(c), host); err != nil {
		return err
	}
	return s.done(c, registriesPath(workspaceID(c)), views.DoneNoCredentials, host)
}

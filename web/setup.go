package web

import (
	"crypto/subtle"
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// checkSetup returns nil if the secret of the link is right and no account
// exists yet.
func (s *Server) checkSetup(c echo.Context) error {
	given, want := auth.Fingerprint(c.Param("secret")), auth.Fingerprint(s.cfg.SetupSecret)
	if s.cfg.SetupSecret == "" || subtle.ConstantTimeCompare([]byte(given), []byte(want)) != 1 {
		return slipway.Errorf(slipway.NotFound, views.NoSetup)
	}
	return s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		n, err := tx.CountUsers()
		if err == nil && n > 0 {
			err = auth.ErrFounded
		}
		return err
	})
}

// showSetup serves GET /setup/:secret: the form for the first account, Workspace
// and Deployment.
func (s *Server) showSetup(c echo.Context) error {
	if err := s.checkSetup(c); err != nil {
		return err
	}
	return render(c, http.StatusOK, views.SetupPage(views.Setup{
		Page: s.bareFrame(c, "Set up Slipway"), URL: c.Request().URL.Path, Local: true,
	}))
}

// setUp serves POST /setup/:secret. A refused form is shown again.
func (s *Server) setUp(c echo.Context) error {
	if err := s.checkSetup(c); err != nil {
		return err
	}
	f := auth.Founding{
		Email: c.FormValue("email"), Name: c.FormValue("name"),
		Workspace: c.FormValue("workspace"), Deployment: c.FormValue("deployment"), Local: c.FormValue("where") != "elsewhere",
	}
	all, err := s.found(c, f)
	if kind, text := slipway.Explain(err); kind == slipway.Invalid {
		c.Set(errorKey, err)
		return render(c, http.StatusUnprocessableEntity, views.SetupPage(views.Setup{
			Page: s.bareFrame(c, "Set up Slipway"), URL: c.Request().URL.Path, Error: text,
			Email: f.Email, Name: f.Name, Workspace: f.Workspace, Deployment: f.Deployment, Local: f.Local,
		}))
	}
	if err != nil {
		return err
	}
	return s.done(c, "/deployments/"+string(all.Deployment.ID), views.DoneSetUp)
}

// found stores the first user, Workspace and Deployment, signs the user in, and
// starts the worker of the Deployment.
func (s *Server) found(c echo.Context, f auth.Founding) (all auth.Founded, err error) {
	if _, err := f.Check(); err != nil {
		return all, err
	}
	hash, err := s.passwords.Hash(c.Request().Context(), c.FormValue("password"))
	if err != nil {
		return all, err
	}
	err = s.startSession(c, func(tx *store.Tx) (_ slipway.User, err error) {
		all, err = auth.Found(tx, f, hash, slipway.Actor{Via: slipway.Portal, IP: c.RealIP()})
		return all.User, err
	})
	if err == nil {
		s.engine.StartWorker(all.Deployment)
	}
	return all, err
}

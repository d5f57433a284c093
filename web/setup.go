package web

import (
	"context"
	"crypto/subtle"
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// Founding is what an installation begins with.
type Founding struct {
	Email, Name string // of the first person, who becomes admin and Owner
	Workspace   string
	Deployment  string
	Here        bool // mount the Deployment on this machine
}

// Founded is what became of a Founding.
type Founded struct {
	User       slipway.User
	Workspace  slipway.Workspace
	Deployment slipway.Deployment
}

var errFounded = slipway.Errorf(slipway.Conflict, "Slipway has been set up already. Sign in.")

// check returns f cleaned, or says what is wrong with it.
func (f Founding) check() (_ Founding, err error) {
	if f.Email, err = slipway.CheckEmail(f.Email); err != nil {
		return f, err
	}
	if f.Name, err = slipway.CheckName("An account", f.Name); err != nil {
		return f, err
	}
	if f.Workspace, err = slipway.CheckName("A Workspace", f.Workspace); err != nil {
		return f, err
	}
	f.Deployment, err = slipway.CheckName("A Deployment", f.Deployment)
	return f, err
}

// Found sets up an empty installation with the hash of the first person's
// password. by says from where; who it is becomes known here. Of two at once
// one wins.
func Found(tx *store.Tx, f Founding, hash string, by slipway.Actor) (all Founded, err error) {
	if f, err = f.check(); err != nil {
		return all, err
	}
	if n, err := tx.CountUsers(); err != nil || n > 0 {
		if err == nil {
			err = errFounded
		}
		return all, err
	}
	if all.User, err = tx.AddUser(slipway.User{Email: f.Email, Name: f.Name, Admin: true}, hash); err != nil {
		return all, err
	}
	by.User, by.Name = all.User.ID, all.User.Title()
	if all.Workspace, err = tx.AddWorkspace(f.Workspace); err != nil {
		return all, err
	}
	if err := tx.SetRole(all.Workspace.ID, all.User.ID, slipway.Owner); err != nil {
		return all, err
	}
	d, err := slipway.NewDeployment(all.Workspace.ID, f.Deployment, f.Here)
	if err != nil {
		return all, err
	}
	d.Creator = by.Title()
	if all.Deployment, err = tx.AddDeployment(d); err != nil {
		return all, err
	}
	return all, tx.Audit(by, slipway.Event{
		Workspace: all.Workspace.ID, Deployment: all.Deployment.ID, Action: "installation.setup", Target: f.Workspace,
		Detail: "First account " + f.Email + ", first Deployment " + f.Deployment + ".",
	})
}

// checkSetup returns nil if the link's secret sets up this installation.
func (s *Server) checkSetup(c echo.Context) error {
	given, want := fingerprint(c.Param("secret")), fingerprint(s.cfg.SetupSecret)
	if s.cfg.SetupSecret == "" || subtle.ConstantTimeCompare([]byte(given), []byte(want)) != 1 {
		return slipway.Errorf(slipway.NotFound, "This set-up link does not work: it has been used, or Slipway was started again since. Slipway prints the link that works when it starts.")
	}
	return s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		n, err := tx.CountUsers()
		if err == nil && n > 0 {
			err = errFounded
		}
		return err
	})
}

// showSetup serves GET /setup/:secret.
func (s *Server) showSetup(c echo.Context) error {
	if err := s.checkSetup(c); err != nil {
		return err
	}
	return render(c, http.StatusOK, views.SetupPage(views.Setup{
		Page: s.bareFrame(c, "Set up Slipway"), URL: c.Request().URL.Path, Here: true,
	}))
}

// setUp serves POST /setup/:secret. A form that is not good is shown again.
func (s *Server) setUp(c echo.Context) error {
	if err := s.checkSetup(c); err != nil {
		return err
	}
	f := Founding{
		Email: c.FormValue("email"), Name: c.FormValue("name"),
		Workspace: c.FormValue("workspace"), Deployment: c.FormValue("deployment"), Here: c.FormValue("where") != "elsewhere",
	}
	all, err := s.found(c.Request().Context(), f, c.FormValue("password"), c.RealIP())
	if kind, text := slipway.Explain(err); kind == slipway.Invalid {
		c.Set(errorKey, err)
		return render(c, http.StatusUnprocessableEntity, views.SetupPage(views.Setup{
			Page: s.bareFrame(c, "Set up Slipway"), URL: c.Request().URL.Path, Error: text,
			Email: f.Email, Name: f.Name, Workspace: f.Workspace, Deployment: f.Deployment, Here: f.Here,
		}))
	}
	if err != nil {
		return err
	}
	if err := s.startSession(c, all.User); err != nil {
		return err
	}
	return s.done(c, "/deployments/"+string(all.Deployment.ID), "Slipway is set up. Deploy your first DAGs below.")
}

func (s *Server) found(ctx context.Context, f Founding, password, ip string) (all Founded, err error) {
	if _, err := f.check(); err != nil {
		return all, err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return all, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) (err error) {
		all, err = Found(tx, f, hash, slipway.Actor{Via: slipway.Portal, IP: ip})
		return err
	})
	if err == nil {
		s.engine.StartWorker(all.Deployment)
	}
	return all, err
}

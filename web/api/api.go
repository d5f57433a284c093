// Package api is the JSON API: the operations that the astro CLI needs of a
// server, under its paths and in its shapes, and those for scripts and CI.
//
// A handler reads the request (read, page), asks the store or the engine as
// caller(c), and answers with ok(c, value). A handler returns errors, and explain
// turns an error into the JSON of the CLI. Server.operations lists every
// operation with its guard: anyone, or bearer for requests with a token.
package api

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// Config is what the command line says about the API.
type Config struct {
	URL      *url.URL          // where clients find the portal; nil: wherever they came to
	Releases []slipway.Release // of the Runtime, the newest first; beside them every one seen in an image counts
}

// core is common to the handlers of all resources.
type core struct {
	store  *store.Store
	engine *deploy.Engine
	cfg    Config
	log    *slog.Logger
}

// Server answers the requests of the API, resource by resource.
type Server struct {
	*core
	*logins
	*organizations
	*deployments
	*deploys
	*uploads
	*uploadDeploys
	*tokens
	*docs
}

// New returns a server of the API over st and engine.
func New(st *store.Store, engine *deploy.Engine, cfg Config, log *slog.Logger) *Server {
	c := &core{store: st, engine: engine, cfg: cfg, log: log}
	up := &uploads{core: c}
	ds := &deploys{core: c, uploads: up}
	return &Server{
		core: c, logins: &logins{core: c}, organizations: &organizations{core: c}, deployments: &deployments{core: c, deploys: ds},
		deploys: ds, uploads: up, uploadDeploys: &uploadDeploys{core: c, deploys: ds}, tokens: &tokens{core: c}, docs: &docs{core: c},
	}
}

// operation is a route of the API.
type operation struct {
	method, path string
	guard        echo.MiddlewareFunc // who may knock
	handle       echo.HandlerFunc
}

const (
	organization = "/v1/organizations/:org"
	deployment   = organization + "/deployments/:deployment"
	oneDeploy    = deployment + "/deploys/:deploy"
	oneToken     = organization + "/tokens/:token"
)

// operations is the API.
func (s *Server) operations() []operation {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []operation{
		{get, "/v1/organizations", s.bearer, s.listOrganizations},
		{get, organization, s.bearer, s.showOrganization},
		{get, organization + "/workspaces", s.bearer, s.listWorkspaces},
		{get, organization + "/workspaces/:workspace", s.bearer, s.showWorkspace},
		{get, organization + "/deployment-options", s.bearer, s.showOptions},
		{get, "/v1/users/self", s.bearer, s.showSelf},

		{get, organization + "/deployments", s.bearer, s.listDeployments},
		{post, organization + "/deployments", s.bearer, s.createDeployment},
		{get, deployment, s.bearer, s.showDeployment},
		{post, deployment, s.bearer, s.updateDeployment},
		{del, deployment, s.bearer, s.deleteDeployment},

		{get, deployment + "/deploys", s.bearer, s.listDeploys},
		{post, deployment + "/deploys", s.bearer, s.createDeploy},
		{post, "/v1alpha1/organizations/:org/deployments/:deployment/deploys", s.bearer, s.createNamedBundle},
		{get, oneDeploy, s.bearer, s.showDeploy},
		{post, deployment + "/deploys/upload", s.bearer, s.uploadDeploy},
		{post, oneDeploy + "/finalize", s.bearer, s.finalize},
		{post, oneDeploy + "/rollback", s.bearer, s.rollBack},
		{put, "/v1/uploads/:upload", azure, s.putBlob}, // its address is its credential

		{get, organization + "/users", s.bearer, s.listUsers},
		{get, organization + "/tokens", s.bearer, s.listTokens},
		{post, organization + "/tokens", s.bearer, s.createToken},
		{get, oneToken, s.bearer, s.showToken},
		{post, oneToken, s.bearer, s.updateToken},
		{del, oneToken, s.bearer, s.deleteToken},
		{post, oneToken + "/roles", s.bearer, s.setTokenRole},
		{post, oneToken + "/rotate", s.bearer, s.rotateToken},

		{get, "/v1/openapi.yaml", anyone, showOpenAPI},
		{get, "/v1/docs", anyone, s.showDocs},

		{get, "/private/v1alpha1/cli/auth-config", anyone, s.showAuthConfig},
		{get, "/auth/userinfo", s.bearer, s.showUserInfo},
		{post, "/auth/oauth/token", anyone, s.exchange},
	}
}

// Routes adds the API to the portal's.
func (s *Server) Routes(e *echo.Echo) {
	for _, o := range s.operations() {
		e.Add(o.method, o.path, o.handle, s.door, o.guard)
	}
	e.Any("/v1/*", nothingHere, s.door)
	e.Any("/v1alpha1/*", nothingHere, s.door)
	e.Any("/private/*", nothingHere, s.door)
}

func anyone(next echo.HandlerFunc) echo.HandlerFunc { return next }

func nothingHere(echo.Context) error {
	return slipway.Errorf(slipway.NotFound, "There is nothing at this address of the API.")
}

// base returns the portal's address as the client knows it: "https://host".
func (o *core) base(c echo.Context) string {
	if o.cfg.URL != nil {
		return o.cfg.URL.Scheme + "://" + o.cfg.URL.Host
	}
	return c.Scheme() + "://" + c.Request().Host
}

// door stands before every operation: it lets no client of another form of
// answer in, and turns errors into the one that the CLI reads. The error goes
// on to the portal's log.
func (o *core) door(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		err := next(c)
		if err == nil || c.Response().Committed {
			return err
		}
		status, text := explain(err)
		return errors.Join(err, c.JSON(status, failure{Message: text, RequestID: requestID(c), StatusCode: status}))
	}
}

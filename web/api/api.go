// Package api is the JSON API: the operations of the astro CLI, with the paths
// and JSON of the Astro API, and the operations for scripts and CI.
//
// A handler reads the request (readBody, pageOf), asks the store or the engine
// as Caller(c), and answers with ok(c, value). A handler returns errors, and
// jsonErrors turns an error into JSON for the CLI. Server.operations lists every
// operation with its guard: anyone, bearer for requests with a token, or
// inOrganization for requests with a token below an Organization.
package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// Config is the part of the command line about the API.
type Config struct {
	URL      *url.URL                                // of the portal for clients; nil: the address of each request
	Releases []slipway.Release                       // of the Runtime, newest first; releases of known images are added
	ShowDocs func(echo.Context, views.APIDocs) error // shows the description of the API as a page
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
	guard        echo.MiddlewareFunc // authenticates the request
	handle       echo.HandlerFunc
}

// The paths of the operations begin with one of these.
const (
	organizationPath = "/v1/organizations/:org"
	deploymentPath   = organizationPath + "/deployments/:deployment"
	deployPath       = deploymentPath + "/deploys/:deploy"
	tokenPath        = organizationPath + "/tokens/:token"
	uploadPath       = "/v1/uploads/:upload"
)

// operations lists all operations with their guards.
func (s *Server) operations() []operation {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []operation{
		{get, "/v1/organizations", s.bearer, s.listOrganizations},
		{get, organizationPath, s.inOrganization, s.showOrganization},
		{get, organizationPath + "/workspaces", s.inOrganization, s.listWorkspaces},
		{get, organizationPath + "/workspaces/:workspace", s.inOrganization, s.showWorkspace},
		{get, organizationPath + "/deployment-options", s.inOrganization, s.showOptions},
		{get, organizationPath + "/cluster-options", s.inOrganization, s.showClusterOptions},
		{get, "/v1/users/self", s.bearer, s.showSelf},

		{get, organizationPath + "/deployments", s.inOrganization, s.listDeployments},
		{post, organizationPath + "/deployments", s.inOrganization, s.createDeployment},
		{get, deploymentPath, s.inOrganization, s.showDeployment},
		{post, deploymentPath, s.inOrganization, s.updateDeployment},
		{del, deploymentPath, s.inOrganization, s.deleteDeployment},

		{get, deploymentPath + "/deploys", s.inOrganization, s.listDeploys},
		{post, deploymentPath + "/deploys", s.inOrganization, s.createDeploy},
		{post, "/v1alpha1/organizations/:org/deployments/:deployment/deploys", s.inOrganization, s.createNamedBundle},
		{get, deployPath, s.inOrganization, s.showDeploy},
		{post, deploymentPath + "/deploys/upload", s.inOrganization, s.uploadDeploy},
		{post, deployPath + "/finalize", s.inOrganization, s.finalize},
		{post, deployPath + "/rollback", s.inOrganization, s.rollBack},
		{put, uploadPath, azureErrors, s.putBlob}, // the address is the credential, here and below
		{http.MethodHead, uploadPath, azureErrors, s.showBlob},
		{get, uploadPath, azureErrors, s.getBlob},

		{get, organizationPath + "/users", s.inOrganization, s.listUsers},
		{get, organizationPath + "/tokens", s.inOrganization, s.listTokens},
		{post, organizationPath + "/tokens", s.inOrganization, s.createToken},
		{get, tokenPath, s.inOrganization, s.showToken},
		{post, tokenPath, s.bearer, s.updateToken}, // checks the Organization after the body
		{del, tokenPath, s.inOrganization, s.deleteToken},
		{post, tokenPath + "/roles", s.bearer, s.setTokenRole}, // checks the Organization after the body
		{post, tokenPath + "/rotate", s.inOrganization, s.rotateToken},

		{get, "/v1/openapi.yaml", anyone, showOpenAPI},
		{get, "/v1/docs", anyone, s.showDocs},
		{get, "/spec/v1.0", anyone, s.showSpec},

		{get, "/private/v1alpha1/cli/auth-config", anyone, s.showAuthConfig},
		{get, "/auth/userinfo", s.bearer, s.showUserInfo},
		{post, "/auth/oauth/token", anyone, s.exchange},
	}
}

// Routes adds the operations to e. Other addresses below the prefixes of the API
// answer NotFound in JSON.
func (s *Server) Routes(e *echo.Echo) {
	for _, o := range s.operations() {
		e.Add(o.method, o.path, o.handle, s.jsonErrors, o.guard)
	}
	s.missingRoutes(e)
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodDelete} {
		e.Add(method, uploadPath, s.otherVerb, s.jsonErrors, azureErrors)
	}
	e.Any("/v1/*", s.nothingHere, s.jsonErrors)
	e.Any("/v1alpha1/*", s.nothingHere, s.jsonErrors)
	e.Any("/private/*", s.nothingHere, s.jsonErrors)
}

// anyone is the guard of operations without authentication.
func anyone(next echo.HandlerFunc) echo.HandlerFunc { return next }

// nothingHere answers requests to unknown addresses.
func (o *core) nothingHere(c echo.Context) error {
	return slipway.Errorf(slipway.NotFound, "There is nothing at this address of the API for %s. The operations are listed at %s/v1/docs", c.Request().Method, o.portalURL(c))
}

// portalURL returns the portal's address for the client: "https://host".
func (o *core) portalURL(c echo.Context) string {
	if o.cfg.URL != nil {
		return o.cfg.URL.Scheme + "://" + o.cfg.URL.Host
	}
	return c.Scheme() + "://" + c.Request().Host
}

// deployPage returns the address of a deploy's page.
func (o *core) deployPage(c echo.Context, w slipway.Deploy) string {
	return fmt.Sprintf("%s/deployments/%s/deploys/%d", o.portalURL(c), w.Deployment, w.Number)
}

// person returns the account of a caller who is no token.
func (o *core) person(c echo.Context) (u slipway.User, err error) {
	err = o.store.View(c.Request().Context(), func(tx *store.Tx) error {
		u, err = tx.User(Caller(c).User)
		return err
	})
	return u, err
}

// jsonErrors sets Cache-Control: no-store, and answers an error in JSON for the
// CLI. The error is returned for the portal's log.
func (o *core) jsonErrors(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		err := next(c)
		if err == nil || c.Response().Committed {
			return err
		}
		return errors.Join(err, answerJSON(c, err))
	}
}

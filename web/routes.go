package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/static"
)

// group adds routes with the same middleware.
type group struct {
	e      *echo.Echo
	before []echo.MiddlewareFunc
}

// GET adds a route for GET.
func (d group) GET(path string, h echo.HandlerFunc) { d.e.GET(path, h, d.before...) }

// POST adds a route for POST.
func (d group) POST(path string, h echo.HandlerFunc) { d.e.POST(path, h, d.before...) }

// method adds a route for a method other than GET and POST.
func (d group) method(method, path string, h echo.HandlerFunc) { d.e.Add(method, path, h, d.before...) }

// routes adds every page and action of the portal, with the middleware of each.
func (s *Server) routes(e *echo.Echo) {
	e.GET("/static/*", echo.WrapHandler(static.Handler()))
	e.GET("/favicon.ico", s.favicon)
	e.GET("/docs", func(c echo.Context) error { return c.Redirect(http.StatusFound, docsPath) })
	group{e, []echo.MiddlewareFunc{readForm}}.GET("/docs/*", s.showDocs)
	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)

	user := group{e, []echo.MiddlewareFunc{readForm, s.requireUser}}
	s.accountRoutes(e, user)
	s.workspaceRoutes(user)
	s.adminRoutes(user)
	s.deploymentRoutes(user)
	s.deployRoutes(e, user)
	s.api.Routes(e)
	s.registryRoutes(e)
	s.agentRoutes(e)
}

// accountRoutes are the routes for signing in, set-up, invitations and the own
// account.
func (s *Server) accountRoutes(e *echo.Echo, user group) {
	anyone := group{e, []echo.MiddlewareFunc{readForm}}
	anyone.GET("/signin", s.showSignIn)
	anyone.POST("/signin", s.signIn)
	anyone.GET("/setup/:secret", s.showSetup)
	anyone.POST("/setup/:secret", s.setUp)
	anyone.GET("/password/:secret", s.showNewPassword)
	anyone.POST("/password/:secret", s.setNewPassword)
	anyone.GET("/invitations/:secret", s.showInvitation)
	anyone.POST("/invitations/:secret", s.acceptInvitation)

	user.GET("/", s.home)
	user.POST("/signout", s.signOut)
	user.GET("/account", s.showAccount)
	user.POST("/account", s.renameAccount)
	user.POST("/account/password", s.changePassword)
	user.POST("/account/sessions/end", s.signOutEverywhere)
	user.GET("/auth/authorize", s.showAuthorize)
	user.POST("/auth/authorize", s.authorize)
}

// workspaceRoutes are the routes of a Workspace: people, tokens, registries,
// audit log and Deployments.
func (s *Server) workspaceRoutes(user group) {
	user.GET("/workspaces", s.showWorkspaces)
	user.POST("/workspaces", s.addWorkspace)
	user.POST("/workspaces/:workspace", s.renameWorkspace)
	user.POST("/workspaces/:workspace/own", s.ownWorkspace)
	user.GET("/workspaces/:workspace/people", s.showPeople)
	user.POST("/workspaces/:workspace/people/:user", s.setRole)
	user.GET("/workspaces/:workspace/people/:user/role", s.showSetRole)
	user.GET("/workspaces/:workspace/people/:user/remove", s.showRemoveMember)
	user.POST("/workspaces/:workspace/people/:user/remove", s.removeMember)
	user.POST("/workspaces/:workspace/invitations", s.invite)
	user.POST("/workspaces/:workspace/invitations/:invitation/remove", s.removeInvitation)

	user.GET("/workspaces/:workspace/tokens", s.showTokens)
	user.POST("/workspaces/:workspace/tokens", s.addToken)
	user.POST("/workspaces/:workspace/tokens/lines", s.showLines)
	user.GET("/workspaces/:workspace/tokens/:token/rotate", s.askToken(true))
	user.POST("/workspaces/:workspace/tokens/:token/rotate", s.rotateToken)
	user.GET("/workspaces/:workspace/tokens/:token/revoke", s.askToken(false))
	user.POST("/workspaces/:workspace/tokens/:token/revoke", s.revokeToken)

	user.GET("/workspaces/:workspace/registries", s.showRegistries)
	user.POST("/workspaces/:workspace/registries", s.setRegistry)
	user.POST("/workspaces/:workspace/registries/remove", s.dropRegistry)

	user.GET("/workspaces/:workspace/insights", s.showWorkspaceInsights)
	user.GET("/workspaces/:workspace/insights/export", s.exportWorkspaceInsights)

	user.GET("/workspaces/:workspace/audit", s.showAudit)
	user.GET("/workspaces/:workspace/audit/export", s.exportAudit)

	user.GET("/workspaces/:workspace", s.showDeployments)
	user.GET("/workspaces/:workspace/live", s.liveDeployments)
	user.GET("/workspaces/:workspace/deployments/new", s.showNewDeployment)
	user.POST("/workspaces/:workspace/deployments/new", s.addDeployment)
}

// deploymentRoutes are the routes of a Deployment: Overview, settings, agents,
// image and switch.
func (s *Server) deploymentRoutes(user group) {
	user.GET("/deployments/:deployment", s.showDeployment)
	user.GET("/deployments/:deployment/live", s.liveDeployment)
	user.GET("/deployments/:deployment/insights", s.showInsights)
	user.GET("/deployments/:deployment/insights/export", s.exportInsights)
	user.GET("/deployments/:deployment/settings", s.showSettings)
	user.GET("/deployments/:deployment/settings/:section", s.showSettings)
	user.POST("/deployments/:deployment/settings/:section", s.saveSettings)
	user.POST("/deployments/:deployment/delete", s.deleteDeployment)
	user.POST("/deployments/:deployment/agents/tokens", s.addAgentToken)
	user.GET("/deployments/:deployment/agents/tokens/:agent/revoke", s.askAgentToken)
	user.POST("/deployments/:deployment/agents/tokens/:agent/revoke", s.revokeAgentToken)
	user.POST("/deployments/:deployment/agents/forget", s.forgetComponent)
	user.POST("/deployments/:deployment/image", s.registerImage)
	user.POST("/deployments/:deployment/image/runs", s.stateImageRuns)
	user.POST("/deployments/:deployment/apply-command", s.setApplyCommand)
	user.GET("/deployments/:deployment/switch", s.showSwitch)
	user.POST("/deployments/:deployment/switch", s.turnSwitch)
	user.POST("/deployments/:deployment/switch/:id/cancel", s.cancelSwitch)
}

// deployRoutes are the routes of deploys, versions and uploads.
func (s *Server) deployRoutes(e *echo.Echo, user group) {
	user.GET("/deployments/:deployment/deploys", s.showDeploys)
	user.GET("/deployments/:deployment/deploys/:number", s.showDeploy)
	user.POST("/deployments/:deployment/deploys/:number/confirm", s.confirm)
	user.POST("/deployments/:deployment/deploys/:number/cancel", s.cancel)
	user.POST("/deployments/:deployment/deploys/:number/root", s.chooseRoot)
	user.POST("/deployments/:deployment/deploys/:number/landing", s.chooseLanding)
	user.GET("/deployments/:deployment/deploys/:number/patch", s.sendPatch)
	user.GET("/deployments/:deployment/deploys/:number/log", s.sendLog)
	user.GET("/deployments/:deployment/deploys/:number/return", s.showReturn)
	user.POST("/deployments/:deployment/deploys/:number/return", s.returnTo)
	user.GET("/deployments/:deployment/compare", s.showCompare)
	user.GET("/deployments/:deployment/versions", s.showVersions)
	user.GET("/deployments/:deployment/versions/:version", s.showVersion)
	user.GET("/deployments/:deployment/versions/:version/archive", s.sendArchive)
	user.GET("/deployments/:deployment/versions/:version/files/*", s.showVersionFile)
	user.GET("/deployments/:deployment/versions/:version/find", s.findFiles)
	user.GET("/deployments/:deployment/history/*", s.showFileHistory)
	user.GET("/deployments/:deployment/fix/*", s.showFix)

	files := group{e, []echo.MiddlewareFunc{s.requireUser}} // without readForm: the handlers read the body as a stream
	files.POST("/deployments/:deployment/deploys", s.deployForm)
	files.POST("/deployments/:deployment/fix/*", s.fix)

	uploads := group{e, []echo.MiddlewareFunc{s.requireUser, tus}}
	options := group{e, []echo.MiddlewareFunc{tus}}
	options.method(http.MethodOptions, "/uploads", s.tusOptions)
	options.method(http.MethodOptions, "/uploads/:upload", s.tusOptions)
	uploads.POST("/uploads", s.beginUpload)
	uploads.method(http.MethodHead, "/uploads/:upload", s.showUpload)
	uploads.method(http.MethodPatch, "/uploads/:upload", s.appendUpload)
	uploads.method(http.MethodDelete, "/uploads/:upload", s.dropUpload)
}

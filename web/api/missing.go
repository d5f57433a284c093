package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// missingGroup is a group of calls of the Astro API that this portal does not
// have. The sentence says what is used instead; PAGE in it is the address of page.
type missingGroup struct {
	path     string // with all addresses below
	sentence string
	page     func(slipway.Workspace, slipway.DeploymentID) string // path of a page; nil for none
}

// ofWorkspace returns the path of a page of a Workspace, or of the list of them
// where it is not known which is meant.
func ofWorkspace(page string) func(slipway.Workspace, slipway.DeploymentID) string {
	return func(w slipway.Workspace, _ slipway.DeploymentID) string {
		if w.ID == "" {
			return "/workspaces"
		}
		return "/workspaces/" + string(w.ID) + page
	}
}

// ofDeployment returns the path of a page of a Deployment.
func ofDeployment(page string) func(slipway.Workspace, slipway.DeploymentID) string {
	return func(_ slipway.Workspace, id slipway.DeploymentID) string { return "/deployments/" + string(id) + page }
}

// missingGroups lists the groups of calls that do not exist.
func missingGroups() []missingGroup {
	const alphaPath = "/v1alpha1/organizations/:org"
	people, roles := ofWorkspace("/people"), "The roles are Member, Author, Operator and Owner, and cannot be changed. Members get them on the page People: PAGE"
	members := "Members are managed on the page People: PAGE"
	bundles := "A Deployment has one DAG bundle, which deploys change. Its versions are on the page Bundle versions: PAGE"
	return []missingGroup{
		{organizationPath + "/users", members, people},
		{organizationPath + "/invites", members, people},
		{organizationPath + "/teams", "There are no teams in this portal. " + members, people},
		{organizationPath + "/roles", roles, people},
		{organizationPath + "/role-templates", roles, people},
		{"/v1/authorization", roles, people},
		{organizationPath + "/environment-objects", "Connections, Airflow variables and environment objects are not managed by this portal. Set them in Airflow, or in its secrets backend.", nil},
		{organizationPath + "/audit-logs", "The audit log is read on the page Audit log: PAGE", ofWorkspace("/audit")},
		{organizationPath + "/clusters", elsewhere["clusterId"], nil},
		{organizationPath + "/allowed-ip-address-ranges", "This portal keeps no list of addresses. Limit them in the proxy or firewall before it.", nil},
		{organizationPath + "/workspaces", "Workspaces are made and renamed on the page Workspaces: PAGE", func(slipway.Workspace, slipway.DeploymentID) string { return "/workspaces" }},
		{deploymentPath + "/logs", "This portal does not have the logs of Airflow. Read them in Airflow, or where its components run. The log of a deploy is on its page: PAGE", ofDeployment("/deploys")},
		{deploymentPath + "/agent-tokens", "Agent tokens are made on the page Settings: PAGE", ofDeployment("/settings/agents")},
		{deploymentPath + "/hibernation-override", elsewhere["scalingSpec"], nil},
		{deploymentPath + "/bundles", bundles, ofDeployment("/versions")},
		{alphaPath + "/deployments/:deployment/bundles", bundles, ofDeployment("/versions")},
		{alphaPath + "/deployments/:deployment/deploy-git", "This portal does not read git repositories. Let CI deploy; earlier deploys are on the page Deploy history: PAGE", ofDeployment("/deploys")},
		{alphaPath + "/deployments/:deployment/deploys", "Deploys are listed by GET /v1/organizations/…/deploys, and on the page Deploy history: PAGE", ofDeployment("/deploys")},
		{alphaPath + "/workspaces", "This portal has no editor for whole projects. Files are changed one by one on the page Bundle versions of a Deployment, and Workspaces are listed here: PAGE", ofWorkspace("")},
	}
}

// missingRoutes adds the calls of missingGroups to e, but for the operations.
func (s *Server) missingRoutes(e *echo.Echo) {
	taken := map[string]bool{}
	for _, o := range s.operations() {
		taken[o.method+" "+o.path] = true
	}
	for _, g := range missingGroups() {
		guard := s.inOrganization
		if !strings.Contains(g.path, ":org") {
			guard = s.bearer
		}
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			for _, path := range []string{g.path, g.path + "/*"} {
				if !taken[method+" "+path] {
					e.Add(method, path, s.answerMissing(g), s.jsonErrors, guard)
				}
			}
		}
	}
}

// answerMissing answers a call of g with what is used instead, and the address of
// the page for the caller.
func (o *core) answerMissing(g missingGroup) echo.HandlerFunc {
	return func(c echo.Context) error {
		if g.page == nil && c.Param("deployment") == "" {
			return slipway.Errorf(slipway.NotFound, "%s", g.sentence)
		}
		w, err := o.meantWorkspace(c)
		if err != nil {
			return err
		}
		address := ""
		if g.page != nil {
			address = o.portalURL(c) + g.page(w, deploymentID(c))
		}
		return slipway.Errorf(slipway.NotFound, "%s", strings.Replace(g.sentence, "PAGE", address, 1))
	}
}

// meantWorkspace returns the Workspace of a call: of the Deployment in the address,
// or the only one of the caller. Zero is none in particular.
func (o *core) meantWorkspace(c echo.Context) (w slipway.Workspace, err error) {
	err = o.store.View(c.Request().Context(), func(tx *store.Tx) error {
		all, err := tx.SeenWorkspaces(Caller(c))
		if err != nil {
			return err
		}
		if deploymentID(c) == "" {
			if len(all) == 1 {
				w = all[0]
			}
			return nil
		}
		d, _, err := tx.Deployment(deploymentID(c), Caller(c))
		if i := slices.IndexFunc(all, func(w slipway.Workspace) bool { return w.ID == d.Workspace }); i >= 0 {
			w = all[i]
		}
		return err
	})
	return w, err
}

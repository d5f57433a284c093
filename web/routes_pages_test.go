package web

import (
	"net/http"
	"strings"
	"testing"
)

const (
	unready  = http.StatusPreconditionFailed // no header of the tus protocol
	pageless = http.StatusUnauthorized       // without a page to sign in on
)

// pageAccess is who gets which answer at the Deployments' pages.
var pageAccess = []access{
	{"GET /workspaces/:workspace", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /workspaces/:workspace/live", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /workspaces/:workspace/deployments/new", nil, seen, missing, forbidden, forbidden, ok, ok, ok},
	{"POST /workspaces/:workspace/deployments/new", []string{"name", "New"}, seen, missing, forbidden, forbidden, seen, seen, seen},

	{"GET /deployments/:deployment", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/live", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/deploys", nil, seen, missing, ok, ok, ok, ok, ok},
	{"POST /deployments/:deployment/deploys", nil, seen, missing, forbidden, invalid, invalid, invalid, invalid}, // no files
	{"GET /deployments/:deployment/deploys/:number", nil, seen, missing, ok, ok, ok, ok, ok},
	{"POST /deployments/:deployment/deploys/:number/confirm", []string{"description", "x"}, seen, missing, forbidden, seen, seen, seen, seen},
	{"POST /deployments/:deployment/deploys/:number/landing", []string{"name", "x"}, seen, missing, forbidden, invalid, forbidden, forbidden, forbidden}, // the deploy is Eve's, and no name stands elsewhere
	{"POST /deployments/:deployment/deploys/:number/root", []string{"root", "x"}, seen, missing, forbidden, invalid, forbidden, forbidden, forbidden},    // the deploy is Eve's, and there is no such folder
	{"POST /deployments/:deployment/deploys/:number/cancel", nil, seen, missing, forbidden, seen, seen, seen, seen},
	{"GET /deployments/:deployment/deploys/:number/patch", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/deploys/:number/log", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/deploys/:number/return", nil, seen, missing, ok, ok, ok, ok, ok},
	{"POST /deployments/:deployment/deploys/:number/return", nil, seen, missing, forbidden, conflict, conflict, conflict, conflict}, // no base

	{"GET /deployments/:deployment/compare", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/versions", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/versions/:version", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/versions/:version/archive", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/versions/:version/files/*", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/versions/:version/find", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/history/*", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/fix/*", nil, seen, missing, ok, ok, ok, ok, ok},
	{"POST /deployments/:deployment/fix/*", nil, seen, missing, forbidden, invalid, invalid, invalid, invalid}, // no form

	{"GET /deployments/:deployment/insights", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/insights/export", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/settings", nil, seen, missing, ok, ok, ok, ok, ok},
	{"GET /deployments/:deployment/settings/:section", nil, seen, missing, ok, ok, ok, ok, ok},
	{"POST /deployments/:deployment/settings/:section", []string{"platform", "linux/arm64"}, seen, missing, forbidden, forbidden, seen, seen, seen},
	{"POST /deployments/:deployment/delete", []string{"typed", "sales-prod"}, seen, missing, forbidden, forbidden, seen, seen, seen},
	{"POST /deployments/:deployment/image", []string{"ref", "a b"}, seen, missing, forbidden, forbidden, forbidden, invalid, invalid},
	{"POST /deployments/:deployment/image/runs", []string{"digest", "sha256:0"}, seen, missing, forbidden, conflict, conflict, conflict, conflict}, // another image is wanted
	{"POST /deployments/:deployment/apply-command", []string{"command", ""}, seen, missing, forbidden, forbidden, forbidden, forbidden, seen},
	{"GET /deployments/:deployment/switch", nil, seen, missing, forbidden, forbidden, forbidden, ok, ok},
	{"POST /deployments/:deployment/switch", []string{"to", "off", "at_hand", "yes"}, seen, missing, forbidden, forbidden, forbidden, seen, seen},
	{"POST /deployments/:deployment/switch/:id/cancel", nil, seen, missing, forbidden, forbidden, forbidden, conflict, conflict}, // none waits

	{"POST /deployments/:deployment/agents/tokens", []string{"name", "workers"}, seen, missing, forbidden, forbidden, ok, ok, ok},
	{"GET /deployments/:deployment/agents/tokens/:agent/revoke", nil, seen, missing, forbidden, forbidden, missing, missing, missing}, // there is none
	{"POST /deployments/:deployment/agents/tokens/:agent/revoke", nil, seen, missing, forbidden, forbidden, missing, missing, missing},
	{"POST /deployments/:deployment/agents/forget", []string{"component", "worker-9"}, seen, missing, forbidden, forbidden, missing, missing, missing},

	{"OPTIONS /uploads/:upload", nil, 204, 204, 204, 204, 204, 204, 204},
	{"OPTIONS /uploads", nil, 204, 204, 204, 204, 204, 204, 204},
	{"POST /uploads", nil, seen, unready, unready, unready, unready, unready, unready},
	{"HEAD /uploads/:upload", nil, pageless, unready, unready, unready, unready, unready, unready},
	{"PATCH /uploads/:upload", nil, seen, unready, unready, unready, unready, unready, unready},
	{"DELETE /uploads/:upload", nil, seen, unready, unready, unready, unready, unready, unready},
}

// pageParams fills the world up for pageAccess and returns what stands for the
// parameters of its routes: for those that need one a deploy that waits to be
// confirmed, one to return to, or a version with a file "*".
func pageParams(t *testing.T, a *app) []string {
	t.Helper()
	params := []string{":deployment", string(a.Sales.ID), ":section", "images", ":number", "1", ":id", "1"}
	needsVersion, needsFile := strings.Contains(t.Name(), ":version"), strings.Contains(t.Name(), "/*")
	if !needsVersion && !needsFile && !strings.Contains(t.Name(), ":number") {
		return params
	}
	a.run(t)
	w := a.staged(t, a.Eve, map[string]string{"*": "star", "a.py": dag})
	if toReturn := strings.Contains(t.Name(), "/return"); needsVersion || toReturn {
		w = a.confirmed(t, a.Eve, w.Number)
		a.live(t, a.Eve, map[string]string{"a.py": dag + dag})
	} else if needsFile {
		w = a.confirmed(t, a.Eve, w.Number)
	}
	return append(params, ":version", w.Version.Dir())
}

package web

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// auditPath is the address of the audit log of w.
func auditPath(w slipway.WorkspaceID) string { return workspacePath(w) + "/audit" }

// showAudit serves GET /workspaces/:workspace/audit: the events of a Workspace,
// newest first, for roles with ReadAudit.
func (s *Server) showAudit(c echo.Context) error {
	var page views.AuditPage
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		frame, role, err := s.frameIn(c, tx, "Audit log", workspaceID(c), views.AuditLog)
		if err == nil {
			err = role.May(slipway.ReadAudit)
		}
		if err != nil {
			return err
		}
		if page, err = auditPage(tx, workspaceID(c), queryNumber(c, "before")); err != nil {
			return err
		}
		page.Page = frame
		return nil
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.Audit(page))
}

// auditPage returns the events of a Workspace before the one with the id given;
// 0 for the newest.
func auditPage(tx *store.Tx, w slipway.WorkspaceID, before int) (p views.AuditPage, err error) {
	trail, err := tx.AuditTrail(w, int64(before), pageSize+1)
	if err != nil {
		return p, err
	}
	all, err := tx.Deployments(w)
	if err != nil {
		return p, err
	}
	exist := map[slipway.DeploymentID]bool{}
	for _, d := range all {
		exist[d.ID] = true
	}
	if len(trail) > pageSize {
		trail = trail[:pageSize]
		p.Older = pageOf(auditPath(w), "before", int(trail[len(trail)-1].ID))
	}
	if before > 0 {
		p.Newer = auditPath(w)
	}
	for _, e := range trail {
		p.Rows = append(p.Rows, auditRow(e, exist[e.Deployment]))
	}
	return p, nil
}

// auditRow puts e into words. exists says whether the Deployment of e still
// exists and can be linked.
func auditRow(e store.AuditEntry, exists bool) views.AuditRow {
	row := views.AuditRow{At: e.At, By: e.By.Title(), From: string(e.By.Via), Subject: e.Target}
	row.Verb, row.Detail = views.AuditVerb(e.Action, e.Detail)
	if e.By.IP != "" {
		row.From += ", " + e.By.IP
	}
	number, rest, isDeploy := auditedDeploy(e)
	if isDeploy {
		row.Subject, row.Detail = "deploy #"+number+" of "+e.Target, rest
	}
	noun, _, _ := strings.Cut(e.Action, ".")
	switch {
	case e.Target == "": // then there is no word to link
	case noun == "token" && strings.HasPrefix(e.Target, "API "):
		row.URL = tokensPath(e.Workspace)
	case noun == "member" || noun == "invitation":
		row.URL = peoplePath(e.Workspace)
	case noun == "registry":
		row.URL = registriesPath(e.Workspace)
	case !exists:
	case isDeploy:
		row.URL = deploymentPath(e.Deployment) + "/deploys/" + number
	default:
		row.URL = deploymentPath(e.Deployment)
	}
	return row
}

// auditedDeploy returns the number of the deploy in e's detail and the rest of
// the detail: "#5" or "#5, to #2". ok is false for an event about anything
// else.
func auditedDeploy(e store.AuditEntry) (number, rest string, ok bool) {
	if !strings.HasPrefix(e.Action, "deploy.") && e.Action != "switch.prepare" {
		return "", "", false
	}
	number, ok = strings.CutPrefix(e.Detail, "#")
	number, rest, _ = strings.Cut(number, ", ")
	return number, rest, ok
}

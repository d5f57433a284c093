package web

import (
	"net/http"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// adminRoutes are the routes of the installation's pages, for Organization
// admins.
func (s *Server) adminRoutes(user group) {
	user.GET("/admin", s.installationPage(views.AdminOverview, views.InstallationOverview))
	user.GET("/admin/storage", s.installationPage(views.AdminStorage, views.InstallationStorage))
	user.GET("/admin/backups", s.installationPage(views.AdminBackups, views.InstallationBackups))
	user.GET("/admin/agents", s.installationPage(views.AdminAgents, views.InstallationAgents))
	user.GET("/admin/insights", s.showInstallationInsights)
	user.GET("/admin/insights/export", s.exportInstallationInsights)
	user.GET("/admin/audit", s.showInstallationAudit)
	user.GET("/admin/audit/export", s.exportInstallationAudit)
	user.GET("/admin/people", s.showAccounts)
	user.GET("/admin/people/:user", s.showAccountOf)
	user.POST("/admin/people/:user/password", s.linkPassword)
	user.POST("/admin/people/:user/sessions/end", s.endSessionsOf)
	user.POST("/admin/people/:user/disable", s.disableAccount)
	user.POST("/admin/people/:user/enable", s.enableAccount)
	user.GET("/workspaces/:workspace/delete", s.showDeleteWorkspace)
	user.POST("/workspaces/:workspace/delete", s.deleteWorkspace)
}

// adminFrame returns the frame of a section's page, or the refusal for others
// than Organization admins.
func (s *Server) adminFrame(c echo.Context, tx *store.Tx, section string) (views.Frame, error) {
	if err := administrator(c); err != nil {
		return views.Frame{}, err
	}
	return s.frame(c, tx, views.AdminTitle(section))
}

// installationPage serves GET of a section about what runs and what is stored.
func (s *Server) installationPage(section string, view func(views.InstallationPage) templ.Component) echo.HandlerFunc {
	return func(c echo.Context) error {
		var p views.InstallationPage
		err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
			if p.Page, err = s.adminFrame(c, tx, section); err != nil {
				return err
			}
			return s.installation(tx, &p)
		})
		if err != nil {
			return err
		}
		return render(c, http.StatusOK, view(p))
	}
}

// installation fills p but for the frame.
func (s *Server) installation(tx *store.Tx, p *views.InstallationPage) (err error) {
	p.Since = s.since
	if p.Database, err = tx.Size(); err != nil {
		return err
	}
	open, err := tx.CountOpen()
	if err != nil {
		return err
	}
	for _, o := range open {
		switch o.Status {
		case slipway.Deploying:
			p.Running += o.Number
		case slipway.Queued:
			p.Waiting += o.Number
		}
	}
	if err := countPeople(tx, p); err != nil {
		return err
	}
	p.Backup.Command = "slipway backup --data " + s.engine.DataDir() + " slipway-" + tx.Now.Format("2006-01-02") + ".backup"
	last, err := tx.LastBackup()
	if err != nil {
		return err
	}
	if last != nil {
		p.Backup.Known, p.Backup.At, p.Backup.File, p.Backup.Bytes, p.Backup.Took = true, last.At, last.File, last.Bytes, last.Took
	}
	if err := s.workspaceSums(tx, p); err != nil {
		return err
	}
	p.Storage.Dir, p.Storage.Bucket, p.Storage.Database = s.engine.DataDir(), s.engine.Bucket(), p.Database
	p.Storage.Disk, err = s.engine.Disk()
	return err
}

// countPeople counts the accounts, and names the admins.
func countPeople(tx *store.Tx, p *views.InstallationPage) error {
	all, err := tx.Users()
	p.People = len(all)
	for _, u := range all {
		switch {
		case u.Disabled():
			p.Disabled++
		case u.Admin:
			p.Admins = append(p.Admins, u.Title())
		}
	}
	return err
}

// workspaceSums adds up the Workspaces, their Deployments, and the agents.
func (s *Server) workspaceSums(tx *store.Tx, p *views.InstallationPage) error {
	sums, err := tx.StoredSums()
	if err != nil {
		return err
	}
	p.Agents.Portal = s.cfg.Version
	var connected []slipway.Component
	for _, w := range p.Page.Workspaces { // an admin sees all
		row := views.WorkspaceSum{Name: w.Name, URL: workspacePath(w.ID)}
		members, err := tx.Members(w.ID)
		if err != nil {
			return err
		}
		deployments, err := tx.Deployments(w.ID)
		if err != nil {
			return err
		}
		row.Members, row.Deployments = len(members), len(deployments)
		for _, d := range deployments {
			sum := sums[d.ID]
			row.Stored += sum.Bytes
			row.DeploymentSums = append(row.DeploymentSums, views.DeploymentSum{Name: d.Name, VersionsURL: deploymentPath(d.ID) + "/versions", Packs: sum.Packs, Stored: sum.Bytes})
			for _, a := range slipway.Connected(s.engine.Components(d.ID), tx.Now) {
				connected = append(connected, a)
				row.Agents++
				if a.Agent != s.cfg.Version {
					row.OlderAgents++
					p.Agents.Others = append(p.Agents.Others, views.OtherAgent{Component: a.Component, Version: a.Agent, Deployment: d.Name, URL: deploymentPath(d.ID), Workspace: w.Name})
				}
			}
		}
		p.Storage.Packs += row.Stored
		p.Workspaces = append(p.Workspaces, row)
	}
	p.Agents.Connected = len(connected)
	for _, v := range slipway.AgentVersions(connected) {
		p.Agents.Versions = append(p.Agents.Versions, views.AgentVersionSum{Version: v.Version, Agents: v.Agents})
	}
	return nil
}

// adminAuditPath is the address of the audit log of the installation.
const adminAuditPath = "/admin/audit"

// installationAudit returns the audit log of the installation, for admins.
func installationAudit(c echo.Context, tx *store.Tx) (l auditLog, err error) {
	if err := stillAdministrator(c, tx); err != nil {
		return l, err
	}
	l = auditLog{by: actorOf(c), path: adminAuditPath}
	all, total, err := tx.FindAccounts(store.Listing{Limit: filterOptions})
	for _, a := range all {
		l.people = append(l.people, a.User)
	}
	l.more = total > filterOptions
	return l, err
}

// showInstallationAudit serves GET /admin/audit.
func (s *Server) showInstallationAudit(c echo.Context) error {
	var page views.AuditPage
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		l, err := installationAudit(c, tx)
		if err != nil {
			return err
		}
		if page, err = l.page(tx, auditQueryOf(c), queryNumber(c, "before")); err != nil {
			return err
		}
		page.Page, err = s.adminFrame(c, tx, views.AdminAudit)
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.InstallationAudit(page))
}

// exportInstallationAudit serves GET /admin/audit/export?format=csv|ndjson.
func (s *Server) exportInstallationAudit(c echo.Context) error {
	return s.sendAudit(c, func(tx *store.Tx) (auditLog, error) { return installationAudit(c, tx) })
}

// stillAdministrator is administrator by the account as tx has it: a long answer
// ends when the reader is an administrator no more.
func stillAdministrator(c echo.Context, tx *store.Tx) error {
	if err := administrator(c); err != nil {
		return err
	}
	u, err := tx.User(userOf(c).ID)
	if err != nil {
		return err
	}
	role := slipway.Member
	if u.Admin && !u.Disabled() {
		role = slipway.Admin
	}
	return role.May(slipway.ManageWorkspaces)
}

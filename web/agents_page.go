package web

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// agentTokensPath is the address to issue agent tokens, and the start of the
// addresses of single ones.
func agentTokensPath(of slipway.DeploymentID) string { return deploymentPath(of) + "/agents/tokens" }

// agentID returns the agent token's id in the address.
func agentID(c echo.Context) slipway.TokenID { return slipway.TokenID(c.Param("agent")) }

// agentsCard is the part of Settings about agents.
func (s *Server) agentsCard(c echo.Context, tx *store.Tx, sc scene) (views.AgentsCardProps, error) {
	card := views.AgentsCardProps{
		Local: sc.Local, Connected: s.connected(sc), Now: sc.now, AddURL: agentTokensPath(sc.ID), NewName: "agents",
		Lines: views.NewAgentLines(s.address(c, ""), ""), LiveURL: deploymentPath(sc.ID) + "/live?view=agents",
	}
	if err := sc.role.May(slipway.ManageAgents); err != nil {
		_, card.Refusal = slipway.Explain(err)
		return card, nil
	}
	tokens, err := tx.AgentTokens(sc.ID)
	if err != nil {
		return card, err
	}
	holders, err := holdersOf(tx, tokens)
	if err != nil {
		return card, err
	}
	for _, t := range tokens {
		card.Tokens = append(card.Tokens, views.AgentTokenRow{
			Name: t.Name, Short: t.Short, By: t.CreatedBy, CreatedAt: t.CreatedAt, LastUsedAt: t.LastUsedAt, UnfitHolders: unfitHolders(t, holders[t.ID]),
			RevokeURL: agentTokensPath(sc.ID) + "/" + string(t.ID) + "/revoke",
		})
	}
	return card, err
}

// connected lists the reporting components: silent ones first, then those of
// another version than the portal. The embedded component is left out: nobody
// has to connect an agent for the portal's own mount.
func (s *Server) connected(sc scene) (c views.AgentsConnected) {
	for _, one := range sc.components {
		if one.Component == slipway.EmbeddedComponent {
			continue
		}
		row := views.AgentRow{Name: one.Component, Version: one.Agent, Silent: one.Silent(sc.now), Seen: sc.at(one.LastSeen)}
		row.Other = one.Agent != "" && one.Agent != s.cfg.Version
		c.Rows = append(c.Rows, row)
	}
	urgency := func(r views.AgentRow) int {
		switch {
		case r.Silent:
			return 0
		case r.Other:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(c.Rows, func(a, b views.AgentRow) int { return cmp.Compare(urgency(a), urgency(b)) })
	return c
}

// addAgentToken serves POST /deployments/:deployment/agents/tokens. The answer
// shows the token once; only the fingerprint is stored.
func (s *Server) addAgentToken(c echo.Context) error {
	name := c.FormValue("name")
	var token string
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		token, _, err = auth.IssueAgentToken(tx, actorOf(c), deploymentID(c), name)
		return err
	})
	if text := correctable(err); text != "" {
		status, _ := explain(err)
		return s.settingsPage(c, views.SettingsAgents, status, func(p *views.SettingsPage) { p.Agents.Error, p.Agents.NewName = text, name })
	}
	if err != nil {
		return err
	}
	return s.settingsPage(c, views.SettingsAgents, http.StatusOK, func(p *views.SettingsPage) {
		p.Agents.Made = &views.MadeToken{Name: name, Secret: token}
		p.Agents.Lines = views.NewAgentLines(s.address(c, ""), token)
	})
}

// askAgentToken serves GET /deployments/:deployment/agents/tokens/:agent/revoke:
// the page to confirm a revocation.
func (s *Server) askAgentToken(c echo.Context) error {
	page := views.TokenAsked{Agents: true}
	err := s.viewScene(c, func(tx *store.Tx, sc scene) error {
		if err := sc.role.May(slipway.ManageAgents); err != nil {
			return err
		}
		t, err := tx.AgentTokenByID(sc.ID, agentID(c))
		if err != nil {
			return err
		}
		page.Page, _, err = s.frameIn(c, tx, views.TitleRevokeAgent, sc.Workspace, views.Deployments)
		page.Name, page.LastUsedAt = t.Name, t.LastUsedAt
		page.BackURL, page.URL = sc.links().Settings+views.SettingsAgents, agentTokensPath(sc.ID)+"/"+string(t.ID)+"/revoke"
		return err
	})
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, views.AskTokenPage(page))
}

// revokeAgentToken serves POST /deployments/:deployment/agents/tokens/:agent/revoke.
func (s *Server) revokeAgentToken(c echo.Context) error {
	var t store.Token
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		t, err = auth.RevokeAgentToken(tx, actorOf(c), deploymentID(c), agentID(c))
		return err
	})
	if err != nil {
		return err
	}
	s.engine.TokenRevoked(t.Deployment, t.ID)
	return s.done(c, settingsPath(t.Deployment, views.SettingsAgents), views.DoneAgentRevoked, t.Name)
}

// forgetComponent serves POST /deployments/:deployment/agents/forget: a silent
// component leaves the list.
func (s *Server) forgetComponent(c echo.Context) error {
	name := c.FormValue("component")
	if err := s.engine.Forget(c.Request().Context(), deploymentID(c), actorOf(c), name); err != nil {
		return err
	}
	return s.done(c, deploymentPath(deploymentID(c)), views.DoneForgotten, name)
}

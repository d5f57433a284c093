package api

import (
	"slices"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// listTokens serves GET …/tokens: those that the caller may manage, of one
// Workspace or one Deployment when it says so.
func (s *Server) listTokens(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var all []store.Token
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		all, err = wantedTokens(c, tx)
		return err
	})
	if err != nil {
		return err
	}
	return listed(c, "tokens", all, tokenObject)
}

// wantedTokens are the tokens that a list is to show.
func wantedTokens(c echo.Context, tx *store.Tx) (all []store.Token, err error) {
	w, d := slipway.WorkspaceID(c.QueryParam("workspaceId")), slipway.DeploymentID(c.QueryParam("deploymentId"))
	if c.QueryParam("includeOnlyOrganizationTokens") == "true" {
		return nil, nil // here each is a Workspace's or a Deployment's
	}
	if w != "" || d != "" {
		t := store.Token{Workspace: w, Deployment: d}
		role, err := scopeRole(tx, caller(c), &t)
		if err != nil {
			return nil, err
		}
		if err := MaySeeToken(role, t); err != nil {
			return nil, err
		}
		return scoped(tx, t.Workspace, d)
	}
	return seenTokens(tx, caller(c))
}

// scoped returns the tokens of a Workspace alone, or of a Deployment in it.
func scoped(tx *store.Tx, w slipway.WorkspaceID, d slipway.DeploymentID) ([]store.Token, error) {
	all, err := tx.Tokens(w)
	return slices.DeleteFunc(all, func(t store.Token) bool { return t.Deployment != d }), err
}

// seenTokens returns the tokens of every scope in which by manages tokens.
func seenTokens(tx *store.Tx, by slipway.Actor) (all []store.Token, err error) {
	workspaces, err := tx.SeenWorkspaces(by)
	if err != nil {
		return nil, err
	}
	for _, w := range workspaces {
		tokens, err := tx.Tokens(w.ID)
		if err != nil {
			return nil, err
		}
		for _, t := range tokens {
			role, err := scopeRole(tx, by, &t)
			if kind, _ := slipway.Explain(err); err != nil && kind != slipway.NotFound {
				return nil, err
			}
			if err == nil && MaySeeToken(role, t) == nil {
				all = append(all, t)
			}
		}
	}
	return all, nil
}

package auth

import (
	"crypto/rand"

	"slipway/internal/slipway"
	"slipway/store"
)

// agentPrefix starts every agent token. Scanners for leaked secrets in
// repositories recognize the prefix.
const agentPrefix = "swa_"

// AddAgentToken records t under a new id and secret. The returned token is
// shown once, as only a fingerprint is stored.
func AddAgentToken(tx *store.Tx, t store.Token) (string, store.Token, error) {
	token := agentPrefix + rand.Text() + rand.Text()
	t.ID, t.Kind, t.Secret, t.Short = tx.NewTokenID(), store.AgentToken, Fingerprint(token), token[len(token)-shortLength:]
	t, err := tx.AddToken(t)
	return token, t, err
}

// IssueAgentToken creates a token for the agents of a Deployment, and returns
// the token and its record. The actor needs the right to manage agents. The
// token is shown once.
func IssueAgentToken(tx *store.Tx, by slipway.Actor, of slipway.DeploymentID, name string) (token string, t store.Token, err error) {
	d, err := withAgents(tx, by, of)
	if err != nil {
		return "", t, err
	}
	mine, err := grantOf(tx, by)
	if err == nil {
		err = (slipway.Grant{Agents: true}).LastsWithin(mine) // agent tokens do not expire
	}
	if err != nil {
		return "", t, err
	}
	if name, err = slipway.CheckName("An agent token", name); err != nil {
		return "", t, err
	}
	token, t, err = AddAgentToken(tx, store.Token{
		Name: name, Workspace: d.Workspace, Deployment: d.ID, Role: slipway.Member, CreatedBy: by.Title(), ByUser: by.User, ByToken: by.Token,
	})
	if err != nil {
		return "", t, err
	}
	return token, t, auditAgentToken(tx, by, "token.create", t)
}

// RevokeAgentToken revokes a token at once. Agents that carry the token are
// refused from their next request on.
func RevokeAgentToken(tx *store.Tx, by slipway.Actor, of slipway.DeploymentID, id slipway.TokenID) (store.Token, error) {
	if _, err := withAgents(tx, by, of); err != nil {
		return store.Token{}, err
	}
	t, err := tx.AgentTokenByID(of, id)
	if err != nil {
		return t, err
	}
	if err := tx.RevokeToken(id); err != nil {
		return t, err
	}
	return t, auditAgentToken(tx, by, "token.revoke", t)
}

// withAgents loads a Deployment, and returns an error unless the actor may
// manage its agents.
func withAgents(tx *store.Tx, by slipway.Actor, of slipway.DeploymentID) (slipway.Deployment, error) {
	d, role, err := tx.Deployment(of, by)
	if err == nil {
		err = role.May(slipway.ManageAgents)
	}
	return d, err
}

func auditAgentToken(tx *store.Tx, by slipway.Actor, action string, t store.Token) error {
	return tx.Audit(by, slipway.Event{Workspace: t.Workspace, Deployment: t.Deployment, Action: action, Target: "agent token " + t.Name})
}

package auth

import (
	"crypto/rand"

	"slipway/internal/slipway"
	"slipway/store"
)

// agentPrefix tells an agent's token from others, also to scanners for secrets
// in repositories.
const agentPrefix = "swa_"

// AddAgentToken records t, whose id and secret it sets, and returns the token
// itself, to be shown once.
func AddAgentToken(tx *store.Tx, t store.Token) (string, store.Token, error) {
	token := agentPrefix + rand.Text() + rand.Text()
	t.ID, t.Kind, t.Secret, t.Short = tx.NewTokenID(), store.AgentToken, Fingerprint(token), token[len(token)-shortLength:]
	t, err := tx.AddToken(t)
	return token, t, err
}

// IssueAgentToken makes a token for the agents of a Deployment if by may, and
// returns it with its record. It is shown once.
func IssueAgentToken(tx *store.Tx, by slipway.Actor, of slipway.DeploymentID, name string) (token string, t store.Token, err error) {
	d, err := withAgents(tx, by, of)
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

// RevokeAgentToken ends a token at once: the agents that carry it are refused
// from their next request on.
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

// withAgents returns a Deployment whose agents by may manage.
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

package web

import (
	"crypto/rand"

	"slipway/store"
)

// agentPrefix tells an agent's token from others, also to scanners for secrets
// in repositories.
const agentPrefix = "swa_"

// AddAgentToken records t, whose id and secret it sets, and returns the token
// itself, to be shown once.
func AddAgentToken(tx *store.Tx, t store.Token) (string, store.Token, error) {
	token := agentPrefix + rand.Text() + rand.Text()
	t.ID, t.Kind, t.Secret = tx.NewTokenID(), store.AgentToken, fingerprint(token)
	t, err := tx.AddToken(t)
	return token, t, err
}

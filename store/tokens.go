package store

import (
	"time"

	"slipway"
)

// Token is an API token or an agent's, without its secret.
type Token struct {
	ID         slipway.TokenID
	Secret     string // its SHA-256, hex
	Kind       string // "api" or "agent"
	Name       string
	Workspace  slipway.WorkspaceID
	Deployment slipway.DeploymentID // "" for the whole Workspace
	Role       slipway.Role
	CreatedBy  string
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time
}

// The kinds of token.
const (
	APIToken   = "api"
	AgentToken = "agent"
)

// AddToken records t and returns it with its time set. The caller has set its
// id, which stands in the token itself.
func (tx *Tx) AddToken(t Token) (Token, error) {
	t.CreatedAt = tx.Now
	return t, tx.exec("add token", `
		INSERT INTO tokens (id, secret, kind, name, workspace, deployment, role, created_by, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, NULLIF(?, ''), ?, ?, ?, ?)`,
		t.ID, t.Secret, t.Kind, t.Name, t.Workspace, t.Deployment, t.Role, t.CreatedBy, ms(t.CreatedAt), ms(t.ExpiresAt))
}

// NewTokenID returns an id for a token that is about to be made.
func (tx *Tx) NewTokenID() slipway.TokenID { return slipway.TokenID(tx.newID()) }

// Token returns the token whose secret has the SHA-256 given, unless it has
// expired.
func (tx *Tx) Token(secret string) (Token, error) {
	return one(tx, "token", slipway.Errorf(slipway.Unauthorized, "This token is unknown, revoked or expired."),
		func(r row) (t Token, err error) {
			err = r.Scan(&t.ID, &t.Secret, &t.Kind, &t.Name, &t.Workspace, &t.Deployment, &t.Role, &t.CreatedBy,
				millis{&t.CreatedAt}, millis{&t.ExpiresAt}, millis{&t.LastUsedAt})
			return t, err
		}, `
		SELECT id, secret, kind, name, workspace, COALESCE(deployment, ''), role, created_by, created_at, expires_at, last_used_at
		FROM tokens WHERE secret = ? AND (expires_at = 0 OR expires_at > ?)`, secret, ms(tx.Now))
}

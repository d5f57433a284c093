package store

import (
	"strings"

	"slipway/internal/slipway"
)

// Tokens returns the API tokens of a Workspace and its Deployments, newest
// first, expired ones as well. The caller has loaded the Workspace with a role.
func (tx *Tx) Tokens(w slipway.WorkspaceID) ([]Token, error) {
	return list(tx, "tokens", scanToken, `
		SELECT `+tokenColumns+` FROM tokens WHERE workspace = ? AND kind = 'api' ORDER BY created_at DESC, id DESC`, w)
}

// TokenScope is where tokens of a list are for.
type TokenScope struct {
	Workspace  slipway.WorkspaceID
	Deployment slipway.DeploymentID // its tokens alone; "" for those of the Workspace
	Ones       bool                 // also the tokens of single Deployments in the Workspace
}

// TokenFilter selects API tokens of a list.
type TokenFilter struct {
	Everywhere bool         // all scopes
	Scopes     []TokenScope // without Everywhere
	ForOne     *bool        // only tokens of one Deployment, or of a Workspace; nil for both
}

// FindTokens returns a part of the API tokens that f and l select, newest first,
// and the number of all. l sorts by name, createdAt and updatedAt.
func (tx *Tx) FindTokens(f TokenFilter, l Listing) ([]Token, int, error) {
	if !f.Everywhere && len(f.Scopes) == 0 {
		return nil, 0, nil
	}
	var c, scopes conditions
	c.add(`kind = 'api' AND (deployment IS NULL OR deployment NOT IN (SELECT id FROM deployments WHERE deleted_at > 0))`)
	for _, s := range f.Scopes {
		switch {
		case s.Deployment != "":
			scopes.add("workspace = ? AND deployment = ?", s.Workspace, s.Deployment)
		case s.Ones:
			scopes.add("workspace = ?", s.Workspace)
		default:
			scopes.add("workspace = ? AND deployment IS NULL", s.Workspace)
		}
	}
	if !f.Everywhere {
		c.add("("+strings.Join(scopes.parts, " OR ")+")", scopes.args...)
	}
	if f.ForOne != nil {
		c.add("(deployment IS NOT NULL) = ?", *f.ForOne)
	}
	c.search(l.Search, "id", "name", "description")
	order := l.order(map[string]string{"name": "name COLLATE NOCASE", "createdAt": "created_at", "updatedAt": "updated_at"}, "created_at DESC, id DESC")
	return listed(tx, "found tokens", scanToken, tokenColumns, "FROM tokens", c, order, l)
}

// TokenByID returns an API token, expired or not. The caller must check the
// right to see the token.
func (tx *Tx) TokenByID(id slipway.TokenID) (Token, error) {
	return one(tx, "token by id", NoToken(id), scanToken,
		`SELECT `+tokenColumns+` FROM tokens WHERE id = ? AND kind = 'api'`, id)
}

// NoToken is the error for an unknown token, or one hidden from the caller.
func NoToken(id slipway.TokenID) error {
	return slipway.Errorf(slipway.NotFound, "There is no API token %s.", id)
}

// SaveToken keeps the name, description, role and kinds of t.
func (tx *Tx) SaveToken(t Token) (Token, error) {
	t.UpdatedAt = tx.Now
	return t, tx.exec("save token", `UPDATE tokens SET name = ?, description = ?, role = ?, kinds = ?, updated_at = ? WHERE id = ?`,
		t.Name, t.Description, t.Role, t.Kinds, ms(t.UpdatedAt), t.ID)
}

// RotateToken saves the new secret and expiry of t, with by as the holder. The
// old secret fails from then on.
func (tx *Tx) RotateToken(t Token, by slipway.Actor) (Token, error) {
	t.UpdatedAt, t.StartedAt = tx.Now, tx.Now
	err := tx.exec("rotate token", `UPDATE tokens SET secret = ?, short = ?, expires_at = ?, updated_at = ?, started_at = ? WHERE id = ?`,
		t.Secret, t.Short, ms(t.ExpiresAt), ms(t.UpdatedAt), ms(t.StartedAt), t.ID)
	if err != nil {
		return t, err
	}
	return t, tx.hold(t.ID, by)
}

// RevokeToken deletes a token: requests with the token fail from then on.
func (tx *Tx) RevokeToken(id slipway.TokenID) error {
	return tx.exec("revoke token", `DELETE FROM tokens WHERE id = ?`, id)
}

// KeyedRequest is a request under an idempotency key.
type KeyedRequest struct {
	Owner   string // of the key: a token or a person
	Key     string
	Of      slipway.DeploymentID
	Deploy  slipway.DeployID
	Content map[string]string // fields by name, and the SHA-256 of the archive; nil: unknown
}

// KeyedRequest returns the last request of owner to a Deployment under an
// idempotency key, false for none.
func (tx *Tx) KeyedRequest(owner string, of slipway.DeploymentID, key string) (KeyedRequest, bool, error) {
	scan := func(r row) (k KeyedRequest, err error) {
		k.Owner, k.Of, k.Key = owner, of, key
		err = r.Scan(&k.Deploy, jsonText{&k.Content})
		return k, err
	}
	return first(list(tx, "request of a key", scan, `
		SELECT deploy, request FROM idempotency WHERE owner = ? AND deployment = ? AND key = ? AND at > ?`,
		owner, of, key, ms(tx.Now.Add(-slipway.IdempotencyLife))))
}

// KeepRequest records the last request under an idempotency key, and deletes
// the keys older than IdempotencyLife.
func (tx *Tx) KeepRequest(k KeyedRequest) error {
	if err := tx.exec("drop old keys", `DELETE FROM idempotency WHERE at <= ?`, ms(tx.Now.Add(-slipway.IdempotencyLife))); err != nil {
		return err
	}
	return tx.exec("keep key", `
		INSERT INTO idempotency (owner, deployment, key, deploy, request, at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET deploy = excluded.deploy, request = excluded.request, at = excluded.at`,
		k.Owner, k.Of, k.Key, k.Deploy, asJSON(k.Content), ms(tx.Now))
}

package store

import (
	"time"

	"slipway/internal/slipway"
)

// Token is an API token or an agent token, without the secret.
type Token struct {
	ID          slipway.TokenID
	Secret      string // SHA-256 of the secret, hex
	Short       string // last characters of the secret, for recognition
	Kind        string // "api" or "agent"
	Name        string
	Description string
	Workspace   slipway.WorkspaceID
	Deployment  slipway.DeploymentID // "" for the whole Workspace
	Role        slipway.Role
	Kinds       slipway.Kinds
	Folder      string // the only folder, below dags, for changes; "" for all
	CreatedBy   string // "Ada Lovelace", "token ci-sales"
	ByUser      slipway.UserID
	ByToken     slipway.TokenID // token of the creator; "" for a person
	CreatedAt   time.Time
	UpdatedAt   time.Time
	StartedAt   time.Time // time of the present secret
	ExpiresAt   time.Time // zero: never
	LastUsedAt  time.Time // within a minute
}

// The kinds of token.
const (
	APIToken   = "api"
	AgentToken = "agent"
)

const tokenColumns = `id, secret, short, kind, name, description, workspace, COALESCE(deployment, ''), role, kinds, folder,
	created_by, by_user, by_token, created_at, updated_at, started_at, expires_at, last_used_at`

func scanToken(r row) (t Token, err error) {
	err = r.Scan(&t.ID, &t.Secret, &t.Short, &t.Kind, &t.Name, &t.Description, &t.Workspace, &t.Deployment, &t.Role, &t.Kinds, &t.Folder,
		&t.CreatedBy, &t.ByUser, &t.ByToken, millis{&t.CreatedAt}, millis{&t.UpdatedAt}, millis{&t.StartedAt}, millis{&t.ExpiresAt}, millis{&t.LastUsedAt})
	return t, err
}

// Grant returns the rights of t.
func (t Token) Grant() slipway.Grant {
	return slipway.Grant{Role: t.Role, ForOne: t.Deployment != "", Agents: t.Kind == AgentToken, Kinds: t.Kinds, Folder: t.Folder, ExpiresAt: t.ExpiresAt}
}

// AddToken records t and the holders of t, and returns t with all times set.
// The caller sets the id, which is part of the token's text.
func (tx *Tx) AddToken(t Token) (Token, error) {
	t.CreatedAt, t.UpdatedAt, t.StartedAt = tx.Now, tx.Now, tx.Now
	err := tx.exec("add token", `
		INSERT INTO tokens (id, secret, short, kind, name, description, workspace, deployment, role, kinds, folder,
			created_by, by_user, by_token, created_at, updated_at, started_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, NULLIF(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.ID, t.Secret, t.Short, t.Kind, t.Name, t.Description, t.Workspace, t.Deployment, t.Role, t.Kinds, t.Folder,
		t.CreatedBy, t.ByUser, t.ByToken, ms(t.CreatedAt), ms(t.UpdatedAt), ms(t.StartedAt), ms(t.ExpiresAt))
	if err != nil {
		return t, err
	}
	return t, tx.hold(t.ID, slipway.Actor{User: t.ByUser, Token: t.ByToken})
}

// NewTokenID returns an id for a new token.
func (tx *Tx) NewTokenID() slipway.TokenID { return slipway.TokenID(tx.newID()) }

// Token returns the token with a SHA-256 of the secret, unless the token has
// expired.
func (tx *Tx) Token(secret string) (Token, error) {
	return one(tx, "token", slipway.Errorf(slipway.Unauthorized, "This token is unknown, revoked or expired."), scanToken,
		`SELECT `+tokenColumns+` FROM tokens WHERE secret = ? AND (expires_at = 0 OR expires_at > ?)`, secret, ms(tx.Now))
}

// AgentsSince returns the Deployments with a request from an agent since a
// time.
func (tx *Tx) AgentsSince(since time.Time) ([]slipway.DeploymentID, error) {
	scan := func(r row) (of slipway.DeploymentID, err error) { return of, r.Scan(&of) }
	return list(tx, "agents since", scan, `
		SELECT DISTINCT deployment FROM tokens WHERE kind = 'agent' AND last_used_at >= ?`, ms(since))
}

// AgentsSeen returns the time of the last request from an agent of each Deployment
// that ever had one.
func (tx *Tx) AgentsSeen() (map[slipway.DeploymentID]time.Time, error) {
	type seen struct {
		of slipway.DeploymentID
		at time.Time
	}
	all, err := list(tx, "agents seen", func(r row) (s seen, err error) { return s, r.Scan(&s.of, millis{&s.at}) }, `
		SELECT deployment, MAX(last_used_at) FROM tokens WHERE kind = 'agent' AND last_used_at > 0 GROUP BY deployment`)
	m := map[slipway.DeploymentID]time.Time{}
	for _, s := range all {
		m[s.of] = s.at
	}
	return m, err
}

// AgentTokens returns the agent tokens of a Deployment, newest first.
func (tx *Tx) AgentTokens(of slipway.DeploymentID) ([]Token, error) {
	return list(tx, "agent tokens", scanToken, `
		SELECT `+tokenColumns+` FROM tokens WHERE deployment = ? AND kind = 'agent' ORDER BY created_at DESC, id DESC`, of)
}

// AgentTokenByID returns an agent token of a Deployment.
func (tx *Tx) AgentTokenByID(of slipway.DeploymentID, id slipway.TokenID) (Token, error) {
	return one(tx, "agent token by id", slipway.Errorf(slipway.NotFound, "There is no agent token %s.", id), scanToken,
		`SELECT `+tokenColumns+` FROM tokens WHERE deployment = ? AND id = ? AND kind = 'agent'`, of, id)
}

// AllTokens returns the tokens of both kinds of a Workspace, or only of one
// Deployment with of, newest first.
func (tx *Tx) AllTokens(w slipway.WorkspaceID, of slipway.DeploymentID) ([]Token, error) {
	return list(tx, "all tokens", scanToken, `
		SELECT `+tokenColumns+` FROM tokens WHERE workspace = ? AND (? = '' OR deployment = ?) ORDER BY created_at DESC, id DESC`, w, of, of)
}

// AnyToken returns a token of either kind.
func (tx *Tx) AnyToken(id slipway.TokenID) (Token, error) {
	return one(tx, "any token", slipway.Errorf(slipway.NotFound, "There is no token %s.", id), scanToken,
		`SELECT `+tokenColumns+` FROM tokens WHERE id = ?`, id)
}

// TouchToken records the use of a token.
func (tx *Tx) TouchToken(id slipway.TokenID) error {
	return tx.exec("touch token", `UPDATE tokens SET last_used_at = ? WHERE id = ?`, ms(tx.Now), id)
}

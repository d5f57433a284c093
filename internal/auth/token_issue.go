package auth

import (
	"errors"

	"slipway/internal/slipway"
	"slipway/store"
)

// NewToken holds the input for issuing an API token.
type NewToken struct {
	Name, Description string
	Workspace         slipway.WorkspaceID
	Deployment        slipway.DeploymentID // "" for the whole Workspace
	Role              slipway.Role
	Kinds             slipway.Kinds
	Folder            string // the only folder, below dags, for changes, as of archive.CheckFolder; "" for all
	Days              int    // lifetime; 0 for unlimited
}

// IssueToken creates an API token within the actor's own rights, and returns
// the token and its record. The token is shown once.
func IssueToken(tx *store.Tx, by slipway.Actor, n NewToken) (token string, t store.Token, err error) {
	t = store.Token{
		Description: n.Description, Workspace: n.Workspace, Deployment: n.Deployment, Role: n.Role, Kinds: n.Kinds, Folder: n.Folder,
		CreatedBy: by.Title(), ByUser: by.User, ByToken: by.Token,
	}
	role, err := ScopeRole(tx, by, &t)
	if err != nil {
		return "", t, err
	}
	if t.ExpiresAt, err = slipway.Expiry(tx.Now, n.Days); err != nil {
		return "", t, err
	}
	if err := mayIssue(tx, by, role, t); err != nil {
		return "", t, err
	}
	if t, err = withName(t, n.Name, n.Description); err != nil {
		return "", t, err
	}
	if token, t, err = AddToken(tx, t); err != nil {
		return "", t, err
	}
	return token, t, auditToken(tx, by, "token.create", t, rightsOf(t))
}

// rightsOf describes the rights of a new token for the audit log.
func rightsOf(t store.Token) string {
	if t.Folder == "" {
		return "As " + t.Role.String() + "."
	}
	return "As " + t.Role.String() + ", for the folder dags/" + t.Folder + " alone."
}

// ScopeRole returns the actor's role over the scope of t, the Workspace or
// Deployment, and NotFound for an actor without a role. For a Deployment,
// ScopeRole sets the Workspace of t.
func ScopeRole(tx *store.Tx, by slipway.Actor, t *store.Token) (slipway.Role, error) {
	if t.Deployment == "" {
		_, role, err := tx.Workspace(t.Workspace, by)
		return role, err
	}
	d, role, err := tx.Deployment(t.Deployment, by)
	if err == nil && t.Workspace != "" && t.Workspace != d.Workspace {
		return slipway.NoRole, slipway.Errorf(slipway.NotFound, "There is no Deployment %s in this Workspace.", t.Deployment)
	}
	t.Workspace = d.Workspace
	return role, err
}

// grantOf returns the grant of the token that the actor used, nil for a person.
func grantOf(tx *store.Tx, by slipway.Actor) (*slipway.Grant, error) {
	if by.Token == "" {
		return nil, nil
	}
	t, err := tx.TokenByID(by.Token)
	if err != nil {
		return nil, err
	}
	g := t.Grant()
	return &g, nil
}

// mayManage checks that the actor may change or revoke t.
func mayManage(tx *store.Tx, by slipway.Actor, role slipway.Role, t store.Token) error {
	mine, err := grantOf(tx, by)
	if err != nil {
		return err
	}
	return t.Grant().IssuedBy(role, mine)
}

// mayIssue checks that the actor may receive a secret of t.
func mayIssue(tx *store.Tx, by slipway.Actor, role slipway.Role, t store.Token) error {
	mine, err := grantOf(tx, by)
	if err != nil {
		return err
	}
	if err := t.Grant().IssuedBy(role, mine); err != nil {
		return err
	}
	return t.Grant().LastsWithin(mine)
}

func withName(t store.Token, name, description string) (_ store.Token, err error) {
	if t.Name, err = slipway.CheckName("An API token", name); err != nil {
		return t, err
	}
	t.Description, err = slipway.CheckDescription(description)
	return t, err
}

// auditToken records an action on t, without the secret.
func auditToken(tx *store.Tx, by slipway.Actor, action string, t store.Token, detail string) error {
	return tx.Audit(by, slipway.Event{Workspace: t.Workspace, Deployment: t.Deployment, Action: action, Target: "API token " + t.Name, Detail: detail})
}

// SeenToken returns an API token and the actor's role over its scope. The error
// is NotFound for an actor without a role in the scope, and Forbidden for a
// role below MaySeeToken.
func SeenToken(tx *store.Tx, by slipway.Actor, id slipway.TokenID) (store.Token, slipway.Role, error) {
	t, err := tx.TokenByID(id)
	if err != nil {
		return t, slipway.NoRole, err
	}
	role, err := ScopeRole(tx, by, &t)
	if errors.Is(err, slipway.ErrNotFound) {
		err = store.NoToken(id)
	}
	if err == nil {
		err = MaySeeToken(role, t)
	}
	if err != nil {
		return store.Token{}, slipway.NoRole, err
	}
	return t, role, nil
}

// MaySeeToken checks that role, over the scope of t, includes seeing t.
func MaySeeToken(role slipway.Role, t store.Token) error {
	if t.Deployment != "" {
		return role.May(slipway.IssueForOne)
	}
	return role.May(slipway.ManageTokens)
}

// MayManageToken returns t if the actor may revoke t or give t a new secret.
func MayManageToken(tx *store.Tx, by slipway.Actor, id slipway.TokenID) (store.Token, error) {
	t, role, err := SeenToken(tx, by, id)
	if err != nil {
		return t, err
	}
	return t, mayManage(tx, by, role, t)
}

// RotateToken gives an API token a new secret, to be shown once. The old secret
// fails at once. The token expires after its original lifetime, counted from
// now.
func RotateToken(tx *store.Tx, by slipway.Actor, id slipway.TokenID) (token string, t store.Token, err error) {
	t, role, err := SeenToken(tx, by, id)
	if err != nil {
		return "", t, err
	}
	if !t.ExpiresAt.IsZero() {
		t.ExpiresAt = tx.Now.Add(t.ExpiresAt.Sub(t.StartedAt))
	}
	if err := mayIssue(tx, by, role, t); err != nil {
		return "", t, err
	}
	if token, err = mint(tx, t); err != nil {
		return "", t, err
	}
	t.Secret, t.Short = storedParts(token)
	if t, err = tx.RotateToken(t, by); err != nil {
		return "", t, err
	}
	return token, t, auditToken(tx, by, "token.rotate", t, "")
}

// RevokeToken revokes an API token at once.
func RevokeToken(tx *store.Tx, by slipway.Actor, id slipway.TokenID) (store.Token, error) {
	t, err := MayManageToken(tx, by, id)
	if err != nil {
		return t, err
	}
	if err := tx.RevokeToken(t.ID); err != nil {
		return t, err
	}
	return t, auditToken(tx, by, "token.revoke", t, "")
}

// EditToken applies change to a token and saves the result. The actor must be
// allowed to manage the token both before and after the change, and to issue
// rights that the change adds.
func EditToken(tx *store.Tx, by slipway.Actor, id slipway.TokenID, change func(*store.Token) error) (store.Token, error) {
	t, role, err := SeenToken(tx, by, id)
	if err != nil {
		return t, err
	}
	mine, err := grantOf(tx, by)
	if err != nil {
		return t, err
	}
	before := t.Grant()
	if err := before.IssuedBy(role, mine); err != nil {
		return t, err
	}
	if err := change(&t); err != nil {
		return t, err
	}
	if err := before.ChangedBy(role, mine, t.Grant()); err != nil {
		return t, err
	}
	if t, err = withName(t, t.Name, t.Description); err != nil {
		return t, err
	}
	if t, err = tx.SaveToken(t); err != nil {
		return t, err
	}
	return t, auditToken(tx, by, "token.edit", t, t.Role.String()+" now.")
}

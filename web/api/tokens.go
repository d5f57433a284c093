package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
)

// The scopes of a token, as the API names them.
const (
	workspaceScope  = "WORKSPACE"
	deploymentScope = "DEPLOYMENT"
)

// roleNames name the roles after their scope: WORKSPACE_OWNER. A Deployment has
// no Owner in the astro CLI: there it is DEPLOYMENT_ADMIN.
var roleNames = map[slipway.Role]string{
	slipway.Member: "MEMBER", slipway.Author: "AUTHOR", slipway.Operator: "OPERATOR", slipway.Owner: "OWNER",
}

// roleName returns how the API names a role over a scope.
func roleName(scope string, r slipway.Role) string {
	if scope == deploymentScope && r == slipway.Owner {
		return deploymentScope + "_ADMIN"
	}
	return scope + "_" + roleNames[r]
}

// roleNamed returns the role that the API names so over a scope.
func roleNamed(scope, name string) (slipway.Role, error) {
	var known []string
	for _, r := range slipway.WorkspaceRoles {
		if name == roleName(scope, r) || name == scope+"_"+roleNames[r] {
			return r, nil
		}
		known = append(known, roleName(scope, r))
	}
	if name == "WORKSPACE_ACCESSOR" && scope == workspaceScope {
		return slipway.Member, nil
	}
	return slipway.NoRole, slipway.Errorf(slipway.Invalid, "There is no role %q for the scope %s. The roles are %s.", name, scope, strings.Join(known, ", "))
}

// scopeOf returns what t is for: the scope's name and id.
func scopeOf(t store.Token) (scope, id string) {
	if t.Deployment != "" {
		return deploymentScope, string(t.Deployment)
	}
	return workspaceScope, string(t.Workspace)
}

// tokenObject is an API token as the API shows it, without its secret.
func tokenObject(t store.Token) object {
	scope, id := scopeOf(t)
	kinds := t.Kinds.List()
	o := object{
		"id": t.ID, "name": t.Name, "description": t.Description, "scope": scope, "kind": scope, "shortToken": t.Short,
		"organizationId": slipway.OrganizationID, "workspaceId": t.Workspace, "deployKinds": kinds,
		"createdAt": timeText(t.CreatedAt), "updatedAt": timeText(t.UpdatedAt), "startAt": timeText(t.StartedAt),
		"createdBy": makerObject(t),
		"roles":     []object{{"entityType": scope, "entityId": id, "role": roleName(scope, t.Role)}},
	}
	if !t.ExpiresAt.IsZero() {
		o["endAt"], o["expiryPeriodInDays"] = timeText(t.ExpiresAt), int(t.ExpiresAt.Sub(t.StartedAt).Hours()/24)
	}
	if !t.LastUsedAt.IsZero() {
		o["lastUsedAt"] = timeText(t.LastUsedAt)
	}
	return o
}

func makerObject(t store.Token) object {
	if t.ByToken != "" {
		return object{"id": t.ByToken, "apiTokenName": strings.TrimPrefix(t.CreatedBy, "token ")}
	}
	return object{"id": t.ByUser, "fullName": t.CreatedBy}
}

// shown is t with its secret, for the one answer that has it.
func shown(t store.Token, secret string) object {
	o := tokenObject(t)
	o["token"] = secret
	return o
}

// tokenID is the token that a request is about.
func tokenID(c echo.Context) slipway.TokenID { return slipway.TokenID(c.Param("token")) }

// tokenBody is what a token is made or changed by.
type tokenBody struct {
	Scope       string   `json:"scope"`
	EntityID    string   `json:"entityId"`
	Name        string   `json:"name"`
	Role        string   `json:"role"`
	Description string   `json:"description"`
	Days        int      `json:"tokenExpiryPeriodInDays"`
	DeployKinds []string `json:"deployKinds"`
}

// asked returns what b asks for.
func (b tokenBody) asked() (n auth.NewToken, err error) {
	n = auth.NewToken{Name: b.Name, Description: b.Description, Days: b.Days}
	switch b.Scope {
	case workspaceScope:
		n.Workspace = slipway.WorkspaceID(b.EntityID)
	case deploymentScope:
		n.Deployment = slipway.DeploymentID(b.EntityID)
	default:
		return n, slipway.Errorf(slipway.Invalid, "An API token is for a Workspace or a Deployment: its scope is WORKSPACE or DEPLOYMENT, not %q.", b.Scope)
	}
	if b.EntityID == "" {
		return n, slipway.Errorf(slipway.Invalid, "Say by entityId which Workspace or Deployment the API token is for.")
	}
	if n.Role, err = roleNamed(b.Scope, b.Role); err != nil {
		return n, err
	}
	n.Kinds, err = slipway.KindsOf(b.DeployKinds...)
	return n, err
}

// tokens serves API tokens.
type tokens struct {
	*core
}

// createToken serves POST …/tokens. Its answer alone has the token.
func (o *tokens) createToken(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	b, err := readBody[tokenBody](c)
	if err != nil {
		return err
	}
	n, err := b.asked()
	if err != nil {
		return err
	}
	return o.answerSecret(c, func(tx *store.Tx) (string, store.Token, error) { return auth.IssueToken(tx, caller(c), n) })
}

// answerSecret answers with the token that made makes, and its secret.
func (o *tokens) answerSecret(c echo.Context, made func(*store.Tx) (string, store.Token, error)) error {
	var secret string
	var t store.Token
	err := o.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		secret, t, err = made(tx)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, shown(t, secret))
}

// showToken serves GET …/tokens/:token.
func (o *tokens) showToken(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var t store.Token
	err := o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		t, _, err = auth.SeenToken(tx, caller(c), tokenID(c))
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, tokenObject(t))
}

// rotateToken serves POST …/tokens/:token/rotate.
func (o *tokens) rotateToken(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	return o.answerSecret(c, func(tx *store.Tx) (string, store.Token, error) { return auth.RotateToken(tx, caller(c), tokenID(c)) })
}

// deleteToken serves DELETE …/tokens/:token.
func (o *tokens) deleteToken(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	err := o.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		_, err := auth.RevokeToken(tx, caller(c), tokenID(c))
		return err
	})
	if err != nil {
		return err
	}
	o.engine.Recheck()
	return c.NoContent(http.StatusNoContent)
}

// updateToken serves POST …/tokens/:token: another name and description.
func (o *tokens) updateToken(c echo.Context) error {
	b, err := readBody[struct {
		Name        *string  `json:"name"`
		Description *string  `json:"description"`
		DeployKinds []string `json:"deployKinds"`
	}](c)
	if err != nil {
		return err
	}
	return o.edited(c, func(t *store.Token) (err error) {
		setIfPresent(&t.Name, b.Name)
		setIfPresent(&t.Description, b.Description)
		if b.DeployKinds != nil {
			t.Kinds, err = slipway.KindsOf(b.DeployKinds...)
		}
		return err
	})
}

// edited answers with a token as change leaves it.
func (o *tokens) edited(c echo.Context, change func(*store.Token) error) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var t store.Token
	err := o.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		t, err = auth.EditToken(tx, caller(c), tokenID(c), change)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, tokenObject(t))
}

// setTokenRole serves POST …/tokens/:token/roles. A token has one role, over
// what it was made for.
func (o *tokens) setTokenRole(c echo.Context) error {
	b, err := readBody[struct {
		Roles []struct {
			EntityType string `json:"entityType"`
			EntityID   string `json:"entityId"`
			Role       string `json:"role"`
		} `json:"roles"`
	}](c)
	if err != nil {
		return err
	}
	return o.edited(c, func(t *store.Token) (err error) {
		scope, id := scopeOf(*t)
		if len(b.Roles) != 1 || b.Roles[0].EntityType != scope || b.Roles[0].EntityID != id {
			return slipway.Errorf(slipway.Invalid, "An API token has one role, over what it was made for: the %s %s.", strings.ToLower(scope), id)
		}
		t.Role, err = roleNamed(scope, b.Roles[0].Role)
		return err
	})
}

// listTokens serves GET …/tokens: those that the caller may manage, of one
// Workspace or one Deployment when it says so.
func (o *tokens) listTokens(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var all []store.Token
	err := o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		all, err = wantedTokens(c, tx)
		return err
	})
	if err != nil {
		return err
	}
	return answerPage(c, "tokens", all, tokenObject)
}

// wantedTokens are the tokens that a list is to show.
func wantedTokens(c echo.Context, tx *store.Tx) (all []store.Token, err error) {
	w, d := slipway.WorkspaceID(c.QueryParam("workspaceId")), slipway.DeploymentID(c.QueryParam("deploymentId"))
	if c.QueryParam("includeOnlyOrganizationTokens") == "true" {
		return nil, nil // here each is a Workspace's or a Deployment's
	}
	if w != "" || d != "" {
		t := store.Token{Workspace: w, Deployment: d}
		role, err := auth.ScopeRole(tx, caller(c), &t)
		if err != nil {
			return nil, err
		}
		if err := auth.MaySeeToken(role, t); err != nil {
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
			role, err := auth.ScopeRole(tx, by, &t)
			if kind, _ := slipway.Explain(err); err != nil && kind != slipway.NotFound {
				return nil, err
			}
			if err == nil && auth.MaySeeToken(role, t) == nil {
				all = append(all, t)
			}
		}
	}
	return all, nil
}

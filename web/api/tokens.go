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

// The scopes of a token in the API's words.
const (
	workspaceScope  = "WORKSPACE"
	deploymentScope = "DEPLOYMENT"

	standardKind = "STANDARD" // of all tokens
)

// roleNames are the roles in the API's words, to follow the scope:
// WORKSPACE_OWNER. The astro CLI calls the Owner of a Deployment
// DEPLOYMENT_ADMIN.
var roleNames = map[slipway.Role]string{
	slipway.Member: "MEMBER", slipway.Author: "AUTHOR", slipway.Operator: "OPERATOR", slipway.Owner: "OWNER",
}

// roleName returns the API's name of a role over a scope.
func roleName(scope string, r slipway.Role) string {
	if scope == deploymentScope && r == slipway.Owner {
		return deploymentScope + "_ADMIN"
	}
	return scope + "_" + roleNames[r]
}

// parseRole returns the role with a name over a scope. DEPLOYMENT_OWNER and
// WORKSPACE_ACCESSOR are accepted, too.
func parseRole(scope, name string) (slipway.Role, error) {
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

// scopeOf returns the name and id of the scope of t.
func scopeOf(t store.Token) (scope, id string) {
	if t.Deployment != "" {
		return deploymentScope, string(t.Deployment)
	}
	return workspaceScope, string(t.Workspace)
}

// tokenObject returns an API token in JSON, without the secret.
func tokenObject(t store.Token) object {
	scope, id := scopeOf(t)
	kinds := t.Kinds.List()
	o := object{
		"id": t.ID, "name": t.Name, "description": t.Description, "scope": scope, "kind": scope, "shortToken": t.Short,
		"organizationId": slipway.OrganizationID, "workspaceId": t.Workspace, "deployKinds": kinds,
		"createdAt": timeText(t.CreatedAt), "updatedAt": timeText(t.UpdatedAt), "startAt": timeText(t.StartedAt),
		"createdBy": creatorObject(t),
		"roles":     []object{{"entityType": scope, "entityId": id, "role": roleName(scope, t.Role)}},
	}
	if t.Folder != "" {
		o["folder"] = t.Folder
	}
	if !t.ExpiresAt.IsZero() {
		o["endAt"], o["expiryPeriodInDays"] = timeText(t.ExpiresAt), int(t.ExpiresAt.Sub(t.StartedAt).Hours()/24)
	}
	if !t.LastUsedAt.IsZero() {
		o["lastUsedAt"] = timeText(t.LastUsedAt)
	}
	return o
}

// creatorObject returns the person or API token behind a new token.
func creatorObject(t store.Token) object {
	if t.ByToken != "" {
		return object{"id": t.ByToken, "apiTokenName": strings.TrimPrefix(t.CreatedBy, "token ")}
	}
	return object{"id": t.ByUser, "fullName": t.CreatedBy}
}

// secretObject returns t with the secret. Only the answer to create and rotate
// includes the secret.
func secretObject(t store.Token, secret string) object {
	o := tokenObject(t)
	o["token"] = secret
	return o
}

// tokenID returns the token's id in the address.
func tokenID(c echo.Context) slipway.TokenID { return slipway.TokenID(c.Param("token")) }

// tokenBody is the request for a new token.
type tokenBody struct {
	Scope       string   `json:"scope"`
	Kind        string   `json:"kind"` // STANDARD, the only one
	EntityID    string   `json:"entityId"`
	Name        string   `json:"name"`
	Role        string   `json:"role"`
	Description string   `json:"description"`
	Days        int      `json:"tokenExpiryPeriodInDays"`
	DeployKinds []string `json:"deployKinds"` // default: all, or those of a token for one folder
	Folder      string   `json:"folder"`
}

// newToken returns b as a request to auth, with scope, role and kinds checked.
func (b tokenBody) newToken() (n auth.NewToken, err error) {
	if b.Kind != "" && b.Kind != standardKind {
		return n, slipway.Errorf(slipway.Invalid, "API tokens are of the kind STANDARD here, not %q. Nothing was made.", b.Kind)
	}
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
	if n.Role, err = parseRole(b.Scope, b.Role); err != nil {
		return n, err
	}
	if n.Kinds, err = slipway.KindsOf(b.DeployKinds...); b.Folder != "" && len(b.DeployKinds) == 0 {
		n.Kinds = slipway.FolderKinds
	}
	return n, err
}

// tokens serves the operations on API tokens.
type tokens struct {
	*core
}

// createToken serves POST …/tokens, and answers with the token and the secret.
func (o *tokens) createToken(c echo.Context) error {
	b, err := readKnown[tokenBody](c)
	if err != nil {
		return err
	}
	n, err := b.newToken()
	if err == nil {
		n.Folder, err = o.folder(b.Folder)
	}
	if err != nil {
		return err
	}
	return o.answerSecret(c, func(tx *store.Tx) (string, store.Token, error) { return auth.IssueToken(tx, Caller(c), n) })
}

// folder returns the folder of a new token, below dags, "" for none.
func (o *tokens) folder(text string) (string, error) {
	folder, err := o.engine.CheckFolder(text)
	if err == nil && folder == "" && text != "" {
		err = slipway.Errorf(slipway.Invalid, "%q is no folder inside dags. Name one, like team_b, or leave folder out for a token that changes all of dags.", text)
	}
	return folder, err
}

// answerSecret runs issue in a transaction, and answers with the token and the
// secret.
func (o *tokens) answerSecret(c echo.Context, issue func(*store.Tx) (string, store.Token, error)) error {
	var secret string
	var t store.Token
	err := o.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		secret, t, err = issue(tx)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, secretObject(t, secret))
}

// showToken serves GET …/tokens/:token.
func (o *tokens) showToken(c echo.Context) error {
	var t store.Token
	err := o.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		t, _, err = auth.SeenToken(tx, Caller(c), tokenID(c))
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, tokenObject(t))
}

// rotateToken serves POST …/tokens/:token/rotate, and answers with the new secret.
func (o *tokens) rotateToken(c echo.Context) error {
	return o.answerSecret(c, func(tx *store.Tx) (string, store.Token, error) { return auth.RotateToken(tx, Caller(c), tokenID(c)) })
}

// deleteToken serves DELETE …/tokens/:token. Waiting requests of the
// token check the access again, and end.
func (o *tokens) deleteToken(c echo.Context) error {
	err := o.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		_, err := auth.RevokeToken(tx, Caller(c), tokenID(c))
		return err
	})
	if err != nil {
		return err
	}
	o.engine.Recheck()
	return c.NoContent(http.StatusNoContent)
}

// updateToken serves POST …/tokens/:token: name, description and kinds of deploy.
// Absent fields change nothing, and the folder never changes.
func (o *tokens) updateToken(c echo.Context) error {
	b, err := readKnown[struct {
		Name        *string  `json:"name"`
		Description *string  `json:"description"`
		DeployKinds []string `json:"deployKinds"`
		Folder      *string  `json:"folder"`
	}](c)
	if err != nil {
		return err
	}
	return o.editToken(c, func(t *store.Token) (err error) {
		setIfPresent(&t.Name, b.Name)
		setIfPresent(&t.Description, b.Description)
		if b.Folder != nil && *b.Folder != t.Folder {
			return slipway.Errorf(slipway.Invalid, "The folder of an API token never changes. Make another token, and revoke this one.")
		}
		if b.DeployKinds != nil {
			t.Kinds, err = slipway.KindsOf(b.DeployKinds...)
		}
		return err
	})
}

// editToken applies change to the token in the address, and answers with the
// result. The Organization is checked here, because the body was read before.
func (o *tokens) editToken(c echo.Context, change func(*store.Token) error) error {
	if err := checkOrganization(c); err != nil {
		return err
	}
	var t store.Token
	err := o.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		t, err = auth.EditToken(tx, Caller(c), tokenID(c), change)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, tokenObject(t))
}

// setTokenRole serves POST …/tokens/:token/roles. A token has one role, and the
// scope never changes.
func (o *tokens) setTokenRole(c echo.Context) error {
	b, err := readKnown[struct {
		Roles []struct {
			EntityType string `json:"entityType"`
			EntityID   string `json:"entityId"`
			Role       string `json:"role"`
		} `json:"roles"`
	}](c)
	if err != nil {
		return err
	}
	return o.editToken(c, func(t *store.Token) (err error) {
		scope, id := scopeOf(*t)
		if len(b.Roles) != 1 || b.Roles[0].EntityType != scope || b.Roles[0].EntityID != id {
			return slipway.Errorf(slipway.Invalid, "An API token has one role, over what it was made for: the %s %s.", strings.ToLower(scope), id)
		}
		t.Role, err = parseRole(scope, b.Roles[0].Role)
		return err
	})
}

// listTokens serves GET …/tokens: the tokens visible to the caller, or the tokens
// of the Workspace or Deployment in the query.
func (o *tokens) listTokens(c echo.Context) error {
	_, err := filtersOf(c, "workspaceId", "deploymentId", "includeOnlyOrganizationTokens", "kind", "search", "sorts")
	if err != nil {
		return err
	}
	if kind := c.QueryParam("kind"); !slices.Contains([]string{"", standardKind, workspaceScope, deploymentScope}, kind) {
		return slipway.Errorf(slipway.Invalid, "API tokens are of the kind STANDARD, for a WORKSPACE or a DEPLOYMENT, and not of the kind %q.", kind)
	}
	l, err := listingOf(c, "name", "createdAt", "updatedAt")
	if err != nil {
		return err
	}
	var all []store.Token
	var total int
	err = o.store.View(c.Request().Context(), func(tx *store.Tx) error {
		wanted, err := requestedTokens(c, tx)
		if err != nil {
			return err
		}
		if kind := c.QueryParam("kind"); kind == workspaceScope || kind == deploymentScope {
			forOne := kind == deploymentScope
			wanted.ForOne = &forOne
		}
		all, total, err = tx.FindTokens(wanted, l)
		return err
	})
	if err != nil {
		return err
	}
	return answerListed(c, "tokens", all, total, l, tokenObject)
}

// requestedTokens returns the filter of a list of tokens, by the query: nothing
// that the caller may not see.
func requestedTokens(c echo.Context, tx *store.Tx) (f store.TokenFilter, err error) {
	w, d := slipway.WorkspaceID(c.QueryParam("workspaceId")), slipway.DeploymentID(c.QueryParam("deploymentId"))
	switch {
	case c.QueryParam("includeOnlyOrganizationTokens") == "true":
		return f, nil // no token is for the whole Organization
	case w == "" && d == "":
		return visibleTokens(tx, Caller(c))
	}
	t := store.Token{Workspace: w, Deployment: d}
	role, err := auth.ScopeRole(tx, Caller(c), &t)
	if err == nil {
		err = auth.MaySeeToken(role, t)
	}
	f.Scopes = []store.TokenScope{{Workspace: t.Workspace, Deployment: d}}
	return f, err
}

// visibleTokens returns the filter of the tokens of all scopes in which by may see
// tokens.
func visibleTokens(tx *store.Tx, by slipway.Actor) (f store.TokenFilter, err error) {
	reach, everything, err := tx.Reaches(by)
	f.Everywhere = everything
	for _, r := range reach {
		forAll := auth.MaySeeToken(r.Role, store.Token{}) == nil
		forOne := auth.MaySeeToken(r.Role, store.Token{Deployment: "one"}) == nil
		if r.Deployment == "" && forAll || r.Deployment != "" && forOne {
			f.Scopes = append(f.Scopes, store.TokenScope{Workspace: r.Workspace, Deployment: r.Deployment, Ones: forOne})
		}
	}
	return f, err
}

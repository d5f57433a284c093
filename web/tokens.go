package web

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// defaultDays is the lifetime of a token offered in the empty form.
const defaultDays = 90

// tokensPath is the address of the API tokens page of w.
func tokensPath(w slipway.WorkspaceID) string { return workspacePath(w) + "/tokens" }

// tokenPath is the start of the addresses of actions on t.
func tokenPath(t store.Token) string { return tokensPath(t.Workspace) + "/" + string(t.ID) }

// tokenID returns the token's id in the address.
func tokenID(c echo.Context) slipway.TokenID { return slipway.TokenID(c.Param("token")) }

// linesQuery is the field that names the Deployment for the lines to copy.
const linesQuery = "lines"

// newTokenPath is the form for a new token, filled in for a Deployment.
func newTokenPath(d slipway.Deployment) string {
	return tokensPath(d.Workspace) + "?" + linesQuery + "=" + string(d.ID)
}

// issued is a token that was just made or rotated, or whose lines are asked for.
type issued struct {
	secret string
	of     store.Token
}

// showTokens serves GET /workspaces/:workspace/tokens. With ?lines= the page is
// about tokens for one Deployment.
func (s *Server) showTokens(c echo.Context) error {
	return s.tokensPage(c, http.StatusOK, issued{}, func(*views.TokensPage) {})
}

// tokensPage renders the page with the lines to copy for made, after edit, which
// adds a refused input and the reason.
func (s *Server) tokensPage(c echo.Context, status int, made issued, edit func(*views.TokensPage)) error {
	id := slipway.WorkspaceID(c.Param("workspace"))
	var page views.TokensPage
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		frame, role, err := s.frameIn(c, tx, "API tokens", id, views.APITokens)
		if err != nil {
			return err
		}
		all, err := tx.Deployments(id)
		if err != nil {
			return err
		}
		page = views.TokensPage{Page: frame, Help: s.tokenHelp(c, id, all, made)}
		if made.secret != "" {
			page.Made = &views.MadeToken{Name: made.of.Name, Secret: made.secret}
		}
		if err := role.May(slipway.ManageTokens); err != nil {
			_, page.Refusal = slipway.Explain(err)
			return nil
		}
		page.New = tokenForm(id, role, all, slipway.DeploymentID(c.FormValue(linesQuery)))
		l := listingOf(c)
		scope := store.TokenScope{Workspace: id, Ones: auth.MaySeeToken(role, store.Token{Deployment: "one"}) == nil}
		tokens, total, err := tx.FindTokens(store.TokenFilter{Scopes: []store.TokenScope{scope}}, l)
		if err != nil {
			return err
		}
		page.URL, page.Text, page.Part = tokensPath(id), l.Search, listPart(tokensPath(id), l, total)
		page.Rows, err = tokenRows(tx, tokens, role, all)
		return err
	})
	if err != nil {
		return err
	}
	edit(&page)
	return render(c, status, views.APITokensPage(page))
}

// tokenHelp has the lines to copy for the token made, or for any: for the
// Deployment of the token, else for the chosen or the only one.
func (s *Server) tokenHelp(c echo.Context, id slipway.WorkspaceID, all []slipway.Deployment, made issued) views.TokenHelp {
	h := views.TokenHelp{Address: s.address(c, ""), Action: tokensPath(id), Token: made.secret}
	of, grant := cmp.Or(made.of.Deployment, slipway.DeploymentID(c.FormValue(linesQuery))), slipway.Grant{Role: slipway.Author}
	if made.secret != "" {
		grant = made.of.Grant()
	}
	if len(all) == 1 {
		of = all[0].ID
	}
	for _, d := range all {
		if d.ID == of {
			h.Lines = &views.TokenLines{
				Address: h.Address, Organization: slipway.OrganizationID, Deployment: d.ID, Name: d.Name,
				Token: made.secret, Kind: grant.KindFor(d), Folder: made.of.Folder,
			}
		}
		h.Choices = append(h.Choices, views.Option{Value: string(d.ID), Text: d.Name, Chosen: d.ID == of})
	}
	switch {
	case made.of.Deployment != "":
		h.Choices = nil // the token opens no other
	case h.Lines == nil && len(all) > 0:
		h.Choices = append([]views.Option{{Text: views.ChooseDeployment}}, h.Choices...)
	}
	return h
}

// showLines serves POST /workspaces/:workspace/tokens/lines: the lines to copy
// for a token that was just made, for another Deployment. The page before has
// the token; nothing else does.
func (s *Server) showLines(c echo.Context) error {
	made := issued{secret: c.FormValue("token")}
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		id := slipway.WorkspaceID(c.Param("workspace"))
		_, role, err := tx.Workspace(id, actorOf(c))
		if err != nil {
			return err
		}
		if err := role.May(slipway.ManageTokens); err != nil {
			return err
		}
		made.of, err = tx.Token(auth.Fingerprint(made.secret))
		if err != nil || made.of.Workspace != id || made.of.Kind != store.APIToken || auth.MaySeeToken(role, made.of) != nil {
			return slipway.Errorf(slipway.NotFound, views.NoTokenNow)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.tokensPage(c, http.StatusOK, made, func(*views.TokensPage) {})
}

// tokenForm offers the tokens that a person with a role may issue, filled in for
// a Deployment if one is named.
func tokenForm(id slipway.WorkspaceID, role slipway.Role, all []slipway.Deployment, forOne slipway.DeploymentID) *views.TokenForm {
	f := &views.TokenForm{Action: tokensPath(id), Role: slipway.Author, Days: defaultDays, Scopes: []views.Option{{Text: "The whole Workspace"}}}
	for _, r := range slipway.WorkspaceRoles {
		if role.MayIssue(r, false) == nil {
			f.Roles = append(f.Roles, r)
		}
	}
	narrow := role.MayIssue(slipway.Member, true) == nil
	for _, d := range all {
		if narrow {
			f.Scopes = append(f.Scopes, views.Option{Value: string(d.ID), Text: "Only " + d.Name, Chosen: d.ID == forOne})
		}
		if d.ID == forOne {
			f.Name, f.Lines = views.TokenNameFor(d.Name), string(d.ID)
		}
	}
	return f
}

// tokenRows are the rows of tokens, with the actions allowed to a role.
func tokenRows(tx *store.Tx, tokens []store.Token, role slipway.Role, all []slipway.Deployment) (rows []views.TokenRow, err error) {
	names := map[slipway.DeploymentID]string{"": ""}
	for _, d := range all {
		names[d.ID] = d.Name
	}
	holders, err := holdersOf(tx, tokens)
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		row := views.TokenRow{
			Name: t.Name, Description: t.Description, Short: t.Short, Scope: names[t.Deployment], Role: t.Role, Kinds: t.Kinds, Folder: t.Folder, By: t.CreatedBy,
			CreatedAt: t.CreatedAt, LastUsedAt: t.LastUsedAt, ExpiresAt: t.ExpiresAt, Expired: t.Grant().Expired(tx.Now), UnfitHolders: unfitHolders(t, holders[t.ID]),
		}
		if t.Grant().IssuedBy(role, nil) == nil {
			row.RotateURL, row.RevokeURL = tokenPath(t)+"/rotate", tokenPath(t)+"/revoke"
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// holdersOf returns the holders of tokens, by token.
func holdersOf(tx *store.Tx, tokens []store.Token) (map[slipway.TokenID][]store.Holder, error) {
	var ids []slipway.TokenID
	for _, t := range tokens {
		ids = append(ids, t.ID)
	}
	all, err := tx.Holders(ids)
	if err != nil {
		return nil, err
	}
	by := map[slipway.TokenID][]store.Holder{}
	for _, h := range all {
		by[h.Token] = append(by[h.Token], h)
	}
	return by, nil
}

// unfitHolders names the people who know the secret of t and could not hold t
// today, with the reason: t was kept when the person left or got a smaller
// role.
func unfitHolders(t store.Token, holders []store.Holder) (all []string) {
	for _, h := range holders {
		if !t.Grant().RevokedBy(slipway.Admin, h.Role) {
			continue
		}
		why := views.HolderIs(h.Role)
		switch {
		case h.Account == store.DisabledAccount:
			why = views.HolderDisabled
		case h.Account == store.RemovedAccount:
			why = views.HolderRemoved
		case h.Role == slipway.NoRole:
			why = views.HolderGone
		}
		all = append(all, views.KnowsSecret(h.Name, why))
	}
	return all
}

// addToken serves POST /workspaces/:workspace/tokens. The answer shows the
// token once; only the fingerprint is stored.
func (s *Server) addToken(c echo.Context) error {
	n, err := s.tokenInput(c)
	var made issued
	if err == nil {
		err = s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
			made.secret, made.of, err = auth.IssueToken(tx, actorOf(c), n)
			return err
		})
	}
	if text := correctable(err); text != "" {
		status, _ := explain(err)
		return s.tokensPage(c, status, issued{}, func(p *views.TokensPage) { refillToken(p.New, n, text) })
	}
	if err != nil {
		return err
	}
	return s.tokensPage(c, http.StatusOK, made, func(*views.TokensPage) {})
}

// tokenInput reads the form. Beside an error, the fields read before are returned.
func (s *Server) tokenInput(c echo.Context) (n auth.NewToken, err error) {
	n = auth.NewToken{
		Name: c.FormValue("name"), Description: c.FormValue("description"),
		Workspace: slipway.WorkspaceID(c.Param("workspace")), Deployment: slipway.DeploymentID(c.FormValue("deployment")),
		Folder: c.FormValue("folder"),
	}
	if n.Role, err = slipway.RoleOf(c.FormValue("role")); err != nil {
		return n, err
	}
	if n.Days, err = strconv.Atoi(cmp.Or(c.FormValue("days"), "0")); err != nil {
		return n, slipway.Errorf(slipway.Invalid, views.ChooseExpiry)
	}
	kinds := c.Request().PostForm["kind"]
	if len(kinds) == 0 {
		return n, slipway.Errorf(slipway.Invalid, views.ChooseKind)
	}
	if n.Kinds, err = slipway.KindsOf(kinds...); err != nil {
		return n, err
	}
	folder, err := s.engine.CheckFolder(n.Folder)
	switch {
	case err != nil:
		return n, err
	case folder == "" && n.Folder != "":
		return n, slipway.Errorf(slipway.Invalid, views.NoSuchFolder)
	}
	if n.Folder = folder; folder != "" && n.Kinds == "" {
		n.Kinds = slipway.FolderKinds // all boxes are ticked until somebody unticks one
	}
	return n, nil
}

// refillToken puts a refused input back into the form.
func refillToken(f *views.TokenForm, n auth.NewToken, refusal string) {
	if f == nil {
		return
	}
	f.Error, f.Name, f.Description, f.Days, f.Kinds, f.Folder = refusal, n.Name, n.Description, n.Days, n.Kinds, n.Folder
	f.Role = cmp.Or(n.Role, f.Role)
	for i := range f.Scopes {
		f.Scopes[i].Chosen = f.Scopes[i].Value == string(n.Deployment)
	}
}

// askToken returns the handler of the page to confirm rotating or revoking a
// token.
func (s *Server) askToken(rotate bool) echo.HandlerFunc {
	title, path := "Revoke a token", "/revoke"
	if rotate {
		title, path = "Rotate a token", "/rotate"
	}
	return func(c echo.Context) error {
		page := views.TokenAsked{Rotate: rotate}
		err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
			t, err := tokenOfPage(c, tx)
			if err != nil {
				return err
			}
			page.Page, _, err = s.frameIn(c, tx, title, t.Workspace, views.APITokens)
			page.Name, page.LastUsedAt = t.Name, t.LastUsedAt
			page.BackURL, page.URL = tokensPath(t.Workspace), tokenPath(t)+path
			return err
		})
		if err != nil {
			return err
		}
		return render(c, http.StatusOK, views.AskTokenPage(page))
	}
}

// tokenOfPage returns the token of an action, if the action is allowed and the
// token belongs to the page's Workspace.
func tokenOfPage(c echo.Context, tx *store.Tx) (store.Token, error) {
	id := slipway.WorkspaceID(c.Param("workspace"))
	if _, _, err := tx.Workspace(id, actorOf(c)); err != nil {
		return store.Token{}, err
	}
	t, err := auth.MayManageToken(tx, actorOf(c), tokenID(c))
	if err == nil && t.Workspace != id {
		return store.Token{}, store.NoToken(tokenID(c))
	}
	return t, err
}

// rotateToken serves POST /workspaces/:workspace/tokens/:token/rotate. The
// answer shows the new token.
func (s *Server) rotateToken(c echo.Context) error {
	var made issued
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) error {
		t, err := tokenOfPage(c, tx)
		if err != nil {
			return err
		}
		made.secret, made.of, err = auth.RotateToken(tx, actorOf(c), t.ID)
		return err
	})
	if err != nil {
		return err
	}
	return s.tokensPage(c, http.StatusOK, made, func(*views.TokensPage) {})
}

// revokeToken serves POST /workspaces/:workspace/tokens/:token/revoke.
func (s *Server) revokeToken(c echo.Context) error {
	var t store.Token
	err := s.store.Update(c.Request().Context(), func(tx *store.Tx) (err error) {
		if t, err = tokenOfPage(c, tx); err != nil {
			return err
		}
		_, err = auth.RevokeToken(tx, actorOf(c), t.ID)
		return err
	})
	if err != nil {
		return err
	}
	s.engine.Recheck()
	return s.done(c, tokensPath(t.Workspace), views.DoneTokenRevoked, t.Name)
}

package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func (a *app) tokensPath() string { return tokensPath(a.Workspace.ID) }

// issue makes a token as somebody, and returns it with its record.
func (a *app) issue(t *testing.T, by slipway.Actor, n auth.NewToken) (token string, of store.Token) {
	t.Helper()
	if n.Deployment == "" {
		n.Workspace = a.Workspace.ID
	}
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		token, of, err = auth.IssueToken(tx, by, n)
		return err
	})
	return token, of
}

// asToken asks the API for the Organizations: the answer to a good token is 200.
func (a *app) asToken(token string) int {
	r := httptest.NewRequest(http.MethodGet, "/v1/organizations", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w.Code
}

var shownSecret = regexp.MustCompile(`id="new-token">([^<]+)<`)

func secretOn(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	found := shownSecret.FindStringSubmatch(w.Body.String())
	if found == nil {
		t.Fatalf("no token is shown:\n%s", text(w))
	}
	return found[1]
}

func TestTokensPage(t *testing.T) {
	a := newApp(t)
	want(t, a.as(t, a.Ada).get(a.tokensPath()), http.StatusOK, "No API tokens yet", "Make the first one below", string(a.Sales.ID))
	a.issue(t, a.Oli, auth.NewToken{Name: "nightly", Role: slipway.Author, Kinds: "DAG_ONLY"})
	a.issue(t, a.Ada, auth.NewToken{Name: "widest", Role: slipway.Owner, Days: 30})
	a.issue(t, a.Ada, auth.NewToken{Name: "only-sales", Deployment: a.Sales.ID, Role: slipway.Author})
	for name, tt := range map[string]struct {
		who    slipway.Actor
		sees   []string
		hidden []string
		revoke int // buttons
	}{
		"Member":   {a.Mia, []string{"Managing API tokens needs the Operator role"}, []string{"nightly", "Make the token"}, 0},
		"Author":   {a.Eve, []string{"Managing API tokens needs the Operator role"}, []string{"nightly", "Make the token"}, 0},
		"Operator": {a.Oli, []string{"nightly", "widest", "deploys DAGs only", "Oli Operator"}, []string{"only-sales", "Only sales-prod", "<option>Owner"}, 1},
		"Owner":    {a.Ada, []string{"nightly", "widest", "only-sales", "Only sales-prod", "<option>Owner"}, nil, 3},
		"admin":    {a.Root, []string{"nightly", "widest", "only-sales"}, nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := a.as(t, tt.who).get(a.tokensPath())
			want(t, w, http.StatusOK, tt.sees...)
			for _, part := range tt.hidden {
				if strings.Contains(w.Body.String(), part) {
					t.Errorf("shows %q", part)
				}
			}
			if got := strings.Count(w.Body.String(), `aria-label="Revoke `); got != tt.revoke {
				t.Errorf("offers to revoke %d, want %d", got, tt.revoke)
			}
		})
	}
}

// TestTokenForAFolder: the page makes one, says what it changes, and refuses rights
// over more.
func TestTokenForAFolder(t *testing.T) {
	a := newApp(t)
	b := a.as(t, a.Ada)
	form := func(folder, role string, kinds ...string) *httptest.ResponseRecorder {
		r := postRequest(a.tokensPath())
		r.Form = url.Values{"name": {"ci-b"}, "role": {role}, "days": {"30"}, "folder": {folder}, "kind": kinds}
		r.PostForm = r.Form
		return b.do(r)
	}
	const refused = http.StatusUnprocessableEntity
	want(t, form("team_b", "Author", "DAG_ONLY", "IMAGE_ONLY"), refused, "makes deploys of DAGs alone", `value="team_b"`)
	want(t, form("team_b", "Operator", "DAG_ONLY"), refused, "is an Author at most")
	want(t, form("../x", "Author", "DAG_ONLY"), refused, "..")
	want(t, form("dags", "Author", "DAG_ONLY"), refused, "Name a folder inside dags")
	want(t, form("dags/team_b", "Author", "DAG_ONLY"), http.StatusOK, "The token ci-b is ready.", "changes the folder", "dags/team_b")
	want(t, form("team_c", "Author", "DAG_ONLY", "IMAGE_ONLY", "IMAGE_AND_DAG"), http.StatusOK, "The token ci-b is ready.", "dags/team_c")
}

// TestLinesNameTheRightDeployment: lines to copy are for the Deployment of the
// token just made, else for the one that was chosen, and never for the first by
// name.
func TestLinesNameTheRightDeployment(t *testing.T) {
	a := newApp(t)
	var first slipway.Deployment
	storetest.Update(t, a.store, func(tx *store.Tx) (err error) {
		first, err = storetest.AddDeployment(tx, a.Workspace.ID, "aaa-first")
		return err
	})
	b := a.as(t, a.Ada)
	hasLines := func(w *httptest.ResponseRecorder, d slipway.Deployment, token string) {
		t.Helper()
		want(t, w, ok, "astro deploy "+string(d.ID)+" --dags", "/deployments/"+string(d.ID)+"/deploys/upload?wait=60s", "export ASTRO_API_TOKEN="+token+"\n")
	}
	noLines := func(w *httptest.ResponseRecorder) {
		t.Helper()
		want(t, w, ok, "Choose which:", "Choose a Deployment")
		if strings.Contains(w.Body.String(), "astro deploy") {
			t.Error("shows lines for a Deployment nobody chose")
		}
	}
	form := func(more ...string) []string {
		return append([]string{"name", "ci", "role", "Author", "days", "30", "kind", "DAG_ONLY"}, more...)
	}
	noLines(b.get(a.tokensPath()))
	chosen := b.get(a.tokensPath() + "?lines=" + string(a.Sales.ID))
	hasLines(chosen, a.Sales, "TOKEN")
	want(t, chosen, ok, `value="ci-sales-prod"`, `value="`+string(a.Sales.ID)+`" selected>Only sales-prod`)

	w := b.post(a.tokensPath(), form("deployment", string(a.Sales.ID))...)
	hasLines(w, a.Sales, secretOn(t, w))
	w = b.post(a.tokensPath(), form("lines", string(a.Sales.ID))...)
	hasLines(w, a.Sales, secretOn(t, w))
	w = b.post(a.tokensPath(), form()...)
	noLines(w)
	token := secretOn(t, w)
	hasLines(b.post(a.tokensPath()+"/lines", "token", token, "lines", string(first.ID)), first, token)
	want(t, a.as(t, a.Sam).post(tokensPath(a.Other.ID)+"/lines", "token", token), missing, "There is no such API token")
	want(t, b.post(a.tokensPath(), form("deployment", string(a.Sales.ID), "folder", "team b")...), ok,
		"tar -czf /tmp/dags.tar.gz -C &#39;dags/team b&#39; .", "?wait=60s&amp;dagsPath=.")
	want(t, b.post(a.tokensPath(), "name", "ci", "role", "Member", "days", "30", "kind", "DAG_ONLY", "deployment", string(a.Sales.ID)), ok,
		"This token cannot deploy to sales-prod", "it can read:")
}

func TestExpiredTokenIsMarked(t *testing.T) {
	a := newApp(t)
	token, _ := a.issue(t, a.Ada, auth.NewToken{Name: "old", Role: slipway.Author, Days: 30})
	if got := a.asToken(token); got != http.StatusOK {
		t.Fatalf("answer %d before it expired", got)
	}
	want(t, a.as(t, a.Ada).get(a.tokensPath()), http.StatusOK, "just now")
	a.now = time.Now().Add(31 * 24 * time.Hour)
	if got := a.asToken(token); got != http.StatusUnauthorized {
		t.Errorf("answer %d after it expired", got)
	}
	want(t, a.as(t, a.Ada).get(a.tokensPath()), http.StatusOK, "EXPIRED")
}

func TestMakeToken(t *testing.T) {
	for name, tt := range map[string]struct {
		by   func(*app) slipway.Actor
		form map[string]string // beside what is good
		want int
		says string
	}{
		"Owner":                      {by: ada, want: ok},
		"Owner, for one Deployment":  {by: ada, form: map[string]string{"deployment": "sales"}, want: ok},
		"Operator":                   {by: oli, want: ok},
		"Operator, larger":           {by: oli, form: map[string]string{"role": "Owner"}, want: forbidden, says: "up to your own role"},
		"Operator, for one":          {by: oli, form: map[string]string{"deployment": "sales"}, want: forbidden, says: "needs the Owner role"},
		"Author":                     {by: eve, want: forbidden, says: "needs the Operator role"},
		"stranger":                   {by: sam, want: missing},
		"for a Deployment elsewhere": {by: ada, form: map[string]string{"deployment": "nowhere"}, want: missing},
		"no name":                    {by: ada, form: map[string]string{"name": " "}, want: invalid, says: "An API token needs a name."},
		"no such role":               {by: ada, form: map[string]string{"role": "King"}, want: invalid, says: "There is no role"},
		"no such expiry":             {by: ada, form: map[string]string{"days": "99999"}, want: invalid, says: "lasts 1 to 3650 days"},
		"no number":                  {by: ada, form: map[string]string{"days": "soon"}, want: invalid, says: "Choose when the token expires."},
		"no kind":                    {by: ada, form: map[string]string{"kind": ""}, want: invalid, says: "There is no kind of deploy"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			form := map[string]string{"name": "ci", "role": "Author", "days": "90", "kind": "DAG_ONLY"}
			for k, v := range tt.form {
				form[k] = strings.Replace(v, "sales", string(a.Sales.ID), 1)
			}
			var pairs []string
			for k, v := range form {
				pairs = append(pairs, k, v)
			}
			w := a.as(t, tt.by(a)).post(a.tokensPath(), pairs...)
			want(t, w, tt.want, tt.says)
			if recorded := len(a.events(t, a.Workspace.ID)) == 1; recorded != (tt.want == ok) {
				t.Errorf("events %q", a.events(t, a.Workspace.ID))
			}
			if tt.want != ok {
				return
			}
			token := secretOn(t, w)
			if got := a.asToken(token); got != ok {
				t.Errorf("answer %d to the token", got)
			}
			again := a.as(t, a.Ada).get(a.tokensPath())
			if strings.Contains(again.Body.String(), token) {
				t.Error("the token is shown again")
			}
			want(t, again, ok, "…"+token[len(token)-6:], "deploys DAGs only")
		})
	}
}

func TestMakeTokenKeepsWhatWasTyped(t *testing.T) {
	a := newApp(t)
	w := a.as(t, a.Ada).post(a.tokensPath(), "name", "ci-sales", "description", "nightly", "role", "Member", "days", "365", "deployment", string(a.Sales.ID))
	want(t, w, http.StatusUnprocessableEntity, "Tick at least one kind of deploy", `value="ci-sales"`, `value="nightly"`, `value="365" selected`, "<option selected>Member", `value="`+string(a.Sales.ID)+`" selected`)
}

func TestRotateAndRevokeToken(t *testing.T) {
	a := newApp(t)
	old, of := a.issue(t, a.Ada, auth.NewToken{Name: "ci", Role: slipway.Author, Days: 30})
	b := a.as(t, a.Ada)
	want(t, b.get(tokenPath(of)+"/rotate"), ok, "Give ci a new secret?")
	w := b.post(tokenPath(of) + "/rotate")
	want(t, w, ok, "The token ci is ready.")
	next := secretOn(t, w)
	if a.asToken(old) != http.StatusUnauthorized || a.asToken(next) != ok {
		t.Errorf("old %d, new %d", a.asToken(old), a.asToken(next))
	}
	want(t, b.get(tokenPath(of)+"/revoke"), ok, "Revoke ci?")
	goesTo(t, b.post(tokenPath(of)+"/revoke"), a.tokensPath())
	if got := a.asToken(next); got != http.StatusUnauthorized {
		t.Errorf("answer %d to a revoked token", got)
	}
	want(t, b.get(a.tokensPath()), ok, "The token ci is revoked.", "No API tokens yet")
	want(t, b.post(tokenPath(of)+"/revoke"), missing, "There is no API token")
	if got := strings.Join(a.events(t, a.Workspace.ID), ", "); got != "token.revoke API token ci, token.rotate API token ci, token.create API token ci" {
		t.Errorf("events: %s", got)
	}
}

// TestTokenOfAnotherWorkspace: the page of one Workspace reaches no token of
// another, whoever asks.
func TestTokenOfAnotherWorkspace(t *testing.T) {
	a := newApp(t)
	_, of := a.issue(t, a.Ada, auth.NewToken{Name: "ci", Role: slipway.Author})
	there := tokensPath(a.Other.ID) + "/" + string(of.ID) + "/revoke"
	for name, who := range map[string]slipway.Actor{"its Owner": a.Sam, "admin": a.Root} {
		t.Run(name, func(t *testing.T) { want(t, a.as(t, who).post(there), missing, "There is no API token") })
	}
	want(t, a.as(t, a.Sam).post(tokenPath(of)+"/revoke"), missing, "There is no Workspace")
}

// TestCICDEnforced: with it on, a person is refused in words and a token
// deploys.
func TestCICDEnforced(t *testing.T) {
	a := newApp(t)
	a.run(t)
	b := a.as(t, a.Ada)
	goesTo(t, b.post(deploymentPath(a.Sales.ID)+"/settings/rules", "cicd_enforced", "yes"), deploymentPath(a.Sales.ID)+"/settings/deploys")
	project := string(storetest.Archive(t, map[string]string{"dags/hello.py": dag}))
	refused := b.do(form(t, deploymentPath(a.Sales.ID)+"/deploys", []sent{{"dags.tar.gz", project}}))
	want(t, refused, forbidden, "CI/CD is enforced for this Deployment: only API tokens deploy to it.")

	token, _ := a.issue(t, a.Ada, auth.NewToken{Name: "ci", Role: slipway.Author, Kinds: "DAG_ONLY"})
	r := httptest.NewRequest(http.MethodPost, "/v1/organizations/slipway/deployments/"+string(a.Sales.ID)+"/deploys/upload?wait=30s", strings.NewReader(project))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	want(t, w, ok, `"status":"DEPLOYED"`, `"apiTokenName":"ci"`)
}

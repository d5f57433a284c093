package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/e2e/program"

	"slipway/internal/auth"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// world is a data folder with storetest's people, in which Oli holds two tokens
// and Sam one of another Workspace.
func world(t *testing.T) (dir string, w storetest.World, tokens []store.Token) {
	t.Helper()
	dir = t.TempDir()
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	w = storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) error {
		for _, n := range []auth.NewToken{
			{Name: "nightly", Workspace: w.Workspace.ID, Role: slipway.Operator}, {Name: "laptop", Workspace: w.Workspace.ID, Role: slipway.Author},
		} {
			_, made, err := auth.IssueToken(tx, w.Oli, n)
			if err != nil {
				return err
			}
			tokens = append(tokens, made)
		}
		return tx.SetRole(w.Other.ID, w.Oli.User, slipway.Owner)
	})
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, w, tokens
}

// left returns the names of the tokens of a Workspace, and the actions and
// details of the audit log.
func left(t *testing.T, dir string, w slipway.WorkspaceID) (names, events string) {
	t.Helper()
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		all, err := tx.AllTokens(w, "")
		slices.SortFunc(all, func(a, b store.Token) int { return strings.Compare(a.Name, b.Name) })
		for _, of := range all {
			names += of.Name + " "
		}
		if err != nil {
			return err
		}
		trail, err := tx.AuditTrail(w, 0, 100)
		for _, e := range trail {
			events += e.Action + " " + e.Target + " " + e.Detail + "\n"
		}
		return err
	})
	return names, events
}

func TestAccountsEnd(t *testing.T) {
	for _, how := range []string{"disable", "remove"} {
		t.Run(how, func(t *testing.T) {
			dir, w, tokens := world(t)
			do := func(args ...string) (string, error) { return call(t, "", append(args, "--data", dir)...) }

			text, err := do("user", how, "Oli@Example.com", "--keep", string(tokens[0].ID), "--dry-run")
			if err != nil || !strings.Contains(text, "Nothing was changed") || !strings.Contains(text, "Data Platform") {
				t.Errorf("dry run: %q, %v", text, err)
			}
			if names, events := left(t, dir, w.Workspace.ID); names != "laptop nightly " || strings.Contains(events, "revoke") {
				t.Errorf("after the dry run: %s\n%s", names, events)
			}
			_, err = do("user", how, "oli@example.com", "--keep", "nothing")
			wantError(t, err, `oli@example.com holds no token with the id "nothing".`)

			text, err = do("user", how, "oli@example.com", "--keep", string(tokens[0].ID))
			for _, part := range []string{string(tokens[0].ID), "nightly", "kept", string(tokens[1].ID), "laptop", "Author", "never", "revoked", "oli@example.com: The account is " + how + "d"} {
				if err != nil || !strings.Contains(text, part) {
					t.Errorf("the answer lacks %q: %q, %v", part, text, err)
				}
			}
			names, events := left(t, dir, w.Workspace.ID)
			for _, part := range []string{
				"account." + how + " oli@example.com 1 token revoked, 1 kept.", "token.keep API token nightly The account oli@example.com was " + how + "d.", "token.revoke API token laptop",
			} {
				if names != "nightly " || !strings.Contains(events, part) {
					t.Errorf("tokens %q; the audit log lacks %q:\n%s", names, part, events)
				}
			}
			text, err = do("user", "list")
			if known := strings.Contains(text, "oli@example.com"); err != nil || known != (how == "disable") || known && !strings.Contains(lineOf(text, "oli@"), "20") {
				t.Errorf("list: %s, %v", text, err)
			}
			_, err = do("user", how, "root@example.com")
			wantError(t, err, "root@example.com is the only Organization admin.")
			_, err = do("user", how, "nobody@example.com")
			wantError(t, err, "There is no account for nobody@example.com.")
		})
	}
}

func lineOf(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

// A disabled account comes back with its memberships, and without its tokens.
func TestAccountsComeBack(t *testing.T) {
	dir, w, _ := world(t)
	do := func(args ...string) (string, error) { return call(t, "", append(args, "--data", dir)...) }
	_, err := do("user", "enable", "oli@example.com")
	wantError(t, err, "The account oli@example.com is not disabled.")
	if text, err := do("user", "disable", "oli@example.com"); err != nil || !strings.Contains(text, "The account is disabled") {
		t.Fatal(text, err)
	}
	if text, err := do("user", "enable", "oli@example.com"); err != nil || !strings.Contains(text, "can sign in again") {
		t.Fatal(text, err)
	}
	if names, _ := left(t, dir, w.Workspace.ID); names != "" {
		t.Errorf("tokens %q came back", names)
	}
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		if _, role, err := tx.Workspace(w.Workspace.ID, w.Oli); role != slipway.Operator {
			t.Errorf("role %v, %v", role, err)
		}
		return nil
	})
}

// TestLastOwnerIsNamed: a Workspace that loses its Owner is named, as only an
// Organization admin can give it another.
func TestLastOwnerIsNamed(t *testing.T) {
	dir, _, _ := world(t)
	text, err := call(t, "", "user", "disable", "ada@example.com", "--data", dir)
	if err != nil || !strings.Contains(text, "The Workspace Data Platform has no other Owner.") {
		t.Errorf("%q, %v", text, err)
	}
}

// TestDisableBesideServe: what let somebody in works no more, at once, in a
// portal that runs.
func TestDisableBesideServe(t *testing.T) {
	binary, dir := program.Build(t, "slipway"), t.TempDir()
	data := filepath.Join(dir, "data")
	text, err := call(t, password, "init", "--data", data, "--email", "ada@example.com", "--workspace", "W", "--deployment", "D", "--password-stdin", "--json")
	var out initOutput
	if err == nil {
		err = json.Unmarshal([]byte(text), &out)
	}
	if err == nil {
		_, err = call(t, password, "user", "add", "root@example.com", "--admin", "--password-stdin", "--data", data)
	}
	if err != nil {
		t.Fatal(err)
	}
	base := program.Launch(t, dir, program.ServeArgs(binary, data, "--reserve", "0")...).MustBeReady(t)
	ada := visitor(t, base)
	token := func(path, token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		return resp.StatusCode
	}
	works := func() (all [4]bool) {
		page, err := ada.Page(program.DeploymentURL(out.DeploymentID))
		all[0] = err == nil && strings.Contains(page.Body, "<h1")
		all[1] = token("/v1/organizations", out.Token) == http.StatusOK
		all[2] = token("/agent/v1/desired", out.AgentToken) == http.StatusOK
		to, err := ada.Form("/signin", url.Values{"email": {"ada@example.com"}, "password": {strings.TrimSpace(password)}})
		all[3] = err == nil && to.Location() == "/"
		return all
	}
	if got := works(); got != [4]bool{true, true, true, true} {
		t.Fatalf("before: %v", got)
	}
	if _, err := call(t, "", "user", "disable", "ada@example.com", "--data", data); err != nil {
		t.Fatal(err)
	}
	if got := works(); got != [4]bool{} {
		t.Errorf("disabled: session, API token, agent token, sign-in: %v", got)
	}
	if _, err := call(t, "", "user", "enable", "ada@example.com", "--data", data); err != nil {
		t.Fatal(err)
	}
	if got := works(); got != [4]bool{3: true} {
		t.Errorf("enabled again: session, API token, agent token, sign-in: %v", got)
	}
}

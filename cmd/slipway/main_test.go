package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

const password = "correct horse battery\n"

// call runs slipway with args and returns what it printed.
func call(t *testing.T, in string, args ...string) (string, error) {
	t.Helper()
	var out, errOut strings.Builder
	err := run(t.Context(), args, strings.NewReader(in), &out, &errOut)
	return out.String(), err
}

func wantError(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want one that says %q", err, says)
	}
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"init", "--data", dir, "--email", "Ada@Example.com", "--workspace", "Data Platform", "--deployment", "sales-prod", "--password-stdin", "--json"}
	text, err := call(t, password, args...)
	if err != nil {
		t.Fatal(err)
	}
	var out initOutput
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data folder %v, %v", info.Mode(), err)
	}
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		u, err := tx.UserByEmail("ada@example.com")
		if err != nil || !u.Admin || u.Name != "Ada" {
			t.Errorf("user %+v, %v", u, err)
		}
		d, role, err := tx.Deployment(out.DeploymentID, slipway.Actor{User: u.ID})
		if err != nil || d.Workspace != out.WorkspaceID || d.Name != "sales-prod" || !d.Local || role != slipway.Admin {
			t.Errorf("Deployment %+v, role %v, %v", d, role, err)
		}
		wantToken(t, tx, out.Token, store.Token{Kind: store.APIToken, Workspace: out.WorkspaceID, Role: slipway.Owner})
		wantToken(t, tx, out.AgentToken, store.Token{Kind: store.AgentToken, Workspace: out.WorkspaceID, Deployment: out.DeploymentID, Role: slipway.Member})
		return nil
	})
	wantClaims(t, out)
	if !strings.HasPrefix(out.AgentToken, "swa_") {
		t.Errorf("agent token %q", out.AgentToken)
	}
	_, err = call(t, password, args...)
	wantError(t, err, "Slipway has been set up already.")
}

// wantToken looks a token up as a request that carries it does.
func wantToken(t *testing.T, tx *store.Tx, token string, want store.Token) {
	t.Helper()
	sum := sha256.Sum256([]byte(token))
	got, err := tx.Token(hex.EncodeToString(sum[:]))
	if err != nil || got.Kind != want.Kind || got.Workspace != want.Workspace || got.Deployment != want.Deployment || got.Role != want.Role {
		t.Errorf("token %+v, %v; want %+v", got, err, want)
	}
}

// wantClaims reads the API token as the astro CLI does.
func wantClaims(t *testing.T, out initOutput) {
	t.Helper()
	parts := strings.Split(out.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("token %q is no JWT", out.Token)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Permissions []string `json:"permissions"`
		APITokenID  string   `json:"apiTokenId"`
		Iat         int64    `json:"iat"`
		Exp         *int64   `json:"exp"`
		Iss         string   `json:"iss"`
	}
	if err := json.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	want := []string{"organizationId:" + out.OrganizationID, "workspaceId:" + string(out.WorkspaceID)}
	if !slices.Equal(c.Permissions, want) || c.APITokenID == "" || c.Iat == 0 || c.Exp != nil || c.Iss == "" {
		t.Errorf("claims %s, want the permissions %q", body, want)
	}
}

func TestInitIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		args     []string
		in, says string
	}{
		"short password": {in: "short\n", says: "at least 10 characters"},
		"no terminal":    {args: []string{"--no-stdin"}, says: "unknown flag"},
		"bad address":    {args: []string{"--email", "ada"}, in: password, says: "is not an email address"},
		"no name":        {args: []string{"--deployment", " "}, in: password, says: "A Deployment needs a name."},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"init", "--data", dir, "--email", "ada@example.com", "--workspace", "W", "--deployment", "D", "--password-stdin"}
			_, err := call(t, tt.in, append(args, tt.args...)...)
			wantError(t, err, tt.says)
			text, err := call(t, "", "user", "list", "--data", dir)
			if kind, _ := slipway.Explain(err); err != nil && kind != slipway.NotFound || strings.Contains(text, "ada") {
				t.Errorf("accounts afterwards: %s, %v", text, err)
			}
		})
	}
	_, err := call(t, password, "init", "--data", t.TempDir(), "--email", "ada@example.com", "--workspace", "W", "--deployment", "D")
	wantError(t, err, "no terminal")
}

func TestUsers(t *testing.T) {
	dir := t.TempDir()
	do := func(in string, args ...string) (string, error) {
		t.Helper()
		return call(t, in, append(args, "--data", dir)...)
	}
	if text, err := do(password, "user", "add", "Ada@Example.com", "--admin", "--name", "Ada Lovelace", "--password-stdin"); err != nil || text != "The account ada@example.com was added.\n" {
		t.Fatalf("%q, %v", text, err)
	}
	if _, err := do(password, "user", "add", "eve@example.com", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	_, err := do(password, "user", "add", "eve@example.com", "--password-stdin")
	wantError(t, err, "There is an account for eve@example.com already.")

	text, err := do("", "user", "list")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err != nil || len(lines) != 3 || !strings.Contains(lines[1], "Ada Lovelace") || !strings.Contains(lines[1], "yes") || !strings.Contains(lines[2], "eve@example.com  eve") {
		t.Errorf("list %q, %v", text, err)
	}

	before := passwordOf(t, dir, "eve@example.com")
	if _, err := do("another horse battery", "user", "password", "eve@example.com", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	if passwordOf(t, dir, "eve@example.com") == before {
		t.Error("the password is the old one")
	}
	_, err = do(password, "user", "password", "mallory@example.com", "--password-stdin")
	wantError(t, err, "There is no account for mallory@example.com.")
}

func passwordOf(t *testing.T, dir, email string) (hash string) {
	t.Helper()
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		u, err := tx.UserByEmail(email)
		if err == nil {
			hash, err = tx.Password(u.ID)
		}
		return err
	})
	return hash
}

func TestVersionAndHelp(t *testing.T) {
	if text, err := call(t, "", "version"); err != nil || !strings.HasPrefix(text, "slipway ") {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := call(t, "", "--help"); err != nil || !strings.Contains(text, "serve") {
		t.Errorf("%q, %v", text, err)
	}
	_, err := call(t, "", "swim")
	wantError(t, err, "swim")
}

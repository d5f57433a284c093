package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// TestTokenForAFolder makes tokens that change one folder alone.
func TestTokenForAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	text, err := call(t, password, "init", "--data", dir, "--email", "ada@example.com", "--workspace", "W", "--deployment", "sales", "--password-stdin", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var out initOutput
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	add := func(args ...string) (string, error) {
		return call(t, "", append([]string{"token", "add", "ci-b", "--data", dir, "--deployment", string(out.DeploymentID)}, args...)...)
	}
	for says, args := range map[string][]string{
		"is an Author at most":        {"--folder", "team_b", "--role", "Owner"},
		"makes deploys of DAGs alone": {"--folder", "team_b", "--kinds", "DAG_ONLY,IMAGE_ONLY"},
		`".."`:                        {"--folder", "team_b/../x"},
		"names a folder inside dags":  {"--folder", "dags/"},
		"changes no files":            {"--folder", "team_b", "--agent"},
	} {
		_, err := add(args...)
		wantError(t, err, says)
	}
	token, err := add("--folder", "dags/team_b/")
	if err != nil {
		t.Fatal(err)
	}
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error {
		sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
		got, err := tx.Token(hex.EncodeToString(sum[:]))
		if err == nil && (got.Folder != "team_b" || got.Kinds != slipway.FolderKinds || got.Role != slipway.Author) {
			t.Errorf("token %+v", got)
		}
		return err
	})
	if list, err := call(t, "", "token", "list", "--data", dir, "--deployment", string(out.DeploymentID)); err != nil || !strings.Contains(list, "team_b") || !strings.Contains(list, "FOLDER") {
		t.Errorf("the list does not name the folder: %v\n%s", err, list)
	}
}

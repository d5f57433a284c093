package store_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// TestFolderOfArrivingUploads: an upload that arrives during an upgrade keeps its
// folder.
func TestFolderOfArrivingUploads(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "slipway.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectSQLite3, db, store.Migrations())
	if err == nil {
		_, err = p.UpTo(t.Context(), 16)
	}
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{"reason", "note", "description", "by_user", "by_token", "by_name", "by_via", "by_ip", "confirmed_by", "git", "version", "upload", "base", "after", "counts"}
	numbers := []string{"bytes", "resumes", "return_to", "undone_by", "position", "created_at", "uploaded_at", "staged_at", "queued_at", "deploying_at", "stored_at", "live_at", "ended_at"}
	rest := ", " + strings.Join(append(texts, numbers...), ", ") + ") VALUES "
	values := strings.Repeat(", ''", len(texts)) + strings.Repeat(", 0", len(numbers)) + ")"
	for _, q := range []string{
		`INSERT INTO deploys (id, deployment, number, kind, status, merge` + rest +
			`('a', 'd', 1, 'DAG_ONLY', 'initialized', 'add'` + values + `, ('b', 'd', 2, 'DAG_ONLY', 'initialized', 'add'` + values + `, ('c', 'd', 3, 'DAG_ONLY', 'deployed', 'add'` + values,
		`INSERT INTO uploads (id, deploy, image, length, folder, created_at, touched_at) VALUES
			('a', 'a', 0, 9, 'team', 1, 1), ('b', 'b', 0, 9, '', 1, 1), ('b-image', 'b', 1, 9, 'none', 1, 1)`,
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"a": "team", "b": "", "c": ""} {
		var got string
		if err := db.QueryRowContext(t.Context(), `SELECT folder FROM deploys WHERE id = ?`, id).Scan(&got); err != nil || got != want {
			t.Errorf("deploy %s has the folder %q, %v, want %q", id, got, err, want)
		}
	}
}

// TestFolderOfATokenNeverChanges: it is kept with the token, whatever is saved.
func TestFolderOfATokenNeverChanges(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) error {
		made, err := tx.AddToken(store.Token{ID: "t", Secret: "s", Kind: store.APIToken, Name: "ci", Workspace: w.Workspace.ID, Role: slipway.Author, Kinds: slipway.FolderKinds, Folder: "team_b"})
		if err != nil {
			return err
		}
		made.Folder, made.Name = "", "other"
		_, err = tx.SaveToken(made)
		return err
	})
	storetest.View(t, st, func(tx *store.Tx) error {
		got, err := tx.TokenByID("t")
		if err == nil && (got.Name != "other" || got.Grant().Folder != "team_b") {
			t.Errorf("token %+v, want the new name and the old folder", got)
		}
		return err
	})
}

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/store"
	"slipway/store/storetest"
)

func TestBackupAndRestoreRefuse(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "b")
	_, err := call(t, "", "backup", file, "--data", dir)
	wantError(t, err, "There is no database")
	_, err = call(t, "", "fsck", "--data", dir)
	wantError(t, err, "There is no database")

	if err := os.WriteFile(file, []byte("no backup"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	_, err = call(t, "", "restore", file, "--data", fresh)
	wantError(t, err, "This file is no backup of Slipway.")
	if _, err := os.Stat(fresh); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there though nothing was restored: %v", err)
	}
	s := start(t, dir)
	_, err = call(t, "", "restore", file, "--data", dir)
	wantError(t, err, "is in use by another slipway")
	s.stop()
	s.wait(t)
	_, err = call(t, "", "restore", file, "--data", dir)
	wantError(t, err, "is not empty")
}

// What a restore left that was killed does not stand in the way of another.
func TestRestoreAfterOneThatWasKilled(t *testing.T) {
	dir := t.TempDir()
	if _, err := call(t, password, "user", "add", "ada@example.com", "--data", dir, "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "b")
	if _, err := call(t, "", "backup", file, "--data", dir); err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir() // which is there and empty
	for _, name := range []string{".restore/packs", "bundles/some-space"} {
		if err := os.MkdirAll(filepath.Join(fresh, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := call(t, "", "restore", file, "--data", fresh); err != nil {
		t.Fatal(err)
	}
	text, err := call(t, "", "user", "list", "--data", fresh)
	if err != nil || !strings.Contains(text, "ada@example.com") {
		t.Errorf("accounts %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(fresh, "bundles", "some-space")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the rest of the other restore is still there: %v", err)
	}
}

// A finished backup is on the administrator's page and in the audit log of the
// installation; one that fails is not, and the one before stays.
func TestBackupIsRecorded(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "b")
	if _, err := call(t, password, "init", "--data", dir, "--email", "ada@example.com", "--workspace", "W", "--deployment", "D", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	recorded := func(want string) {
		t.Helper()
		st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
		storetest.View(t, st, func(tx *store.Tx) error {
			last, err := tx.LastBackup()
			if err != nil {
				return err
			}
			events, err := tx.FindAudit("", store.AuditFilter{Nouns: []string{"backup"}}, 0, 10)
			if err != nil {
				return err
			}
			if want == "" {
				if last != nil || len(events) != 0 {
					t.Errorf("backup %+v and events %+v, want none", last, events)
				}
				return nil
			}
			if last == nil || last.File != want || last.Bytes <= 0 || last.Took < 0 || last.At.IsZero() {
				t.Errorf("backup %+v, want one to %s", last, want)
			}
			if len(events) != 1 || events[0].Action != "backup.finish" || events[0].Target != want || events[0].Detail == "" || events[0].By.Title() == "" {
				t.Errorf("events %+v, want one of %s", events, want)
			}
			return nil
		})
	}

	if _, err := call(t, "", "backup", filepath.Join(dir, "no", "folder", "b"), "--data", dir); err == nil {
		t.Fatal("a backup to nowhere succeeded")
	}
	recorded("")
	if _, err := call(t, "", "backup", file, "--data", dir); err != nil {
		t.Fatal(err)
	}
	recorded(file)
	if _, err := call(t, "", "backup", filepath.Join(dir, "no", "folder", "b"), "--data", dir); err == nil {
		t.Fatal("a backup to nowhere succeeded")
	}
	recorded(file)
}

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
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

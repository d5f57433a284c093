package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/auth"
	"slipway/store"
	"slipway/store/storetest"
)

// The keys are replaced while serve is stopped, tokens go on, and a lost key is
// not replaced in silence.
func TestKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	text, err := call(t, password, "init", "--data", dir, "--email", "ada@example.com", "--workspace", "W", "--deployment", "D", "--password-stdin", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var made initOutput
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	_, err = call(t, "", "key", "rotate", "--data", dir)
	wantError(t, err, "is in use by another slipway")
	s.stop()
	s.wait(t)

	key := filepath.Join(dir, "secret.key")
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err = call(t, "", "key", "rotate", "--data", dir)
	if err != nil || !strings.Contains(text, "The keys are new.") {
		t.Fatalf("%v: %s", err, text)
	}
	if after, err := os.ReadFile(key); err != nil || string(after) == string(before) {
		t.Errorf("the key is the old one, %v", err)
	}
	st := storetest.OpenAt(t, filepath.Join(dir, "slipway.db"))
	storetest.View(t, st, func(tx *store.Tx) error { return auth.CheckSignature(tx, made.Token) })
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}

	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	_, err = call(t, "", "serve", "--data", dir, "--listen", "127.0.0.1:0")
	wantError(t, err, "secret.key is missing")
	wantError(t, err, "slipway key new --data "+dir)
	if text, err = call(t, "", "key", "new", "--data", dir); err != nil || !strings.Contains(text, "has a new key. That costs nothing") {
		t.Errorf("%v: %s", err, text)
	}
	_, err = call(t, "", "key", "new", "--data", dir)
	wantError(t, err, "is in its place")
	s = start(t, dir)
	s.stop()
	s.wait(t)
	_, err = call(t, "", "key", "rotate", "--data", t.TempDir())
	wantError(t, err, "")
}

func TestBackupSaysThatItHoldsSecrets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := call(t, password, "init", "--data", dir, "--email", "ada@example.com", "--workspace", "W", "--deployment", "D", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	text, err := call(t, "", "backup", "--data", dir, filepath.Join(t.TempDir(), "b"))
	if err != nil || !strings.Contains(text, "The file holds secrets") {
		t.Errorf("%v: %s", err, text)
	}
}

package secret

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// folder is a data folder with a key, and with sealed passwords.
type folder struct {
	storetest.World
	dir string
	st  *store.Store
}

func newFolder(t *testing.T, hosts ...string) *folder {
	t.Helper()
	f := &folder{dir: t.TempDir(), st: storetest.Open(t)}
	f.World = storetest.Seed(t, f.st)
	k := f.open(t)
	storetest.Update(t, f.st, func(tx *store.Tx) error {
		for _, host := range hosts {
			l := store.RegistryLogin{Workspace: f.Workspace.ID, Host: host, User: "robot", Sealed: k.Seal(f.Workspace.ID, host, "pass of "+host)}
			if err := tx.SetRegistryLogin(l); err != nil {
				return err
			}
		}
		return nil
	})
	return f
}

func (f *folder) open(t *testing.T) *Key {
	t.Helper()
	k, err := Open(t.Context(), f.dir, f.st)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) file(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(f.path(datadir.SecretKey))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantReadable checks that the key of the folder opens every password.
func (f *folder) wantReadable(t *testing.T) {
	t.Helper()
	k := f.open(t)
	storetest.View(t, f.st, func(tx *store.Tx) error {
		all, err := tx.AllRegistryLogins()
		for _, l := range all {
			if got, err := k.Open(l.Workspace, l.Host, l.Sealed); err != nil || got != "pass of "+l.Host || l.User != "robot" {
				t.Errorf("%s: %q, %v", l.Host, got, err)
			}
		}
		return err
	})
	if names, _ := filepath.Glob(f.path("*")); len(names) != 1 {
		t.Errorf("left %q, want the key alone", names)
	}
}

func TestPasswordIsBoundToItsRegistry(t *testing.T) {
	k := newFolder(t).open(t)
	sealed := k.Seal("w", "quay.io", "secret")
	if got, err := k.Open("w", "quay.io", sealed); err != nil || got != "secret" || bytes.Contains(sealed, []byte("secret")) {
		t.Errorf("%q, %v", got, err)
	}
	for _, of := range [][2]string{{"v", "quay.io"}, {"w", "quay.com"}} {
		if got, err := k.Open(slipway.WorkspaceID(of[0]), of[1], sealed); err == nil {
			t.Errorf("%v opened %q", of, got)
		}
	}
}

// A key that is gone, damaged or another's is never replaced in silence.
func TestLostKeyIsRefused(t *testing.T) {
	remove := func(f *folder) error { return os.Remove(f.path(datadir.SecretKey)) }
	for name, tt := range map[string]struct {
		hosts []string
		lose  func(*folder) error
		says  []string
	}{
		"gone":              {hosts: []string{"quay.io", "ghcr.io"}, lose: remove, says: []string{"is missing", "slipway key new --data", "passwords for ghcr.io, quay.io"}},
		"gone, one":         {hosts: []string{"quay.io"}, lose: remove, says: []string{"the password for quay.io"}},
		"gone, none sealed": {lose: remove, says: []string{"is missing", "costs nothing"}},
		"another":           {hosts: []string{"quay.io"}, lose: func(f *folder) error { return os.WriteFile(f.path(datadir.SecretKey), make([]byte, keyBytes), 0o600) }, says: []string{"another data folder", "quay.io"}},
		"short":             {hosts: []string{"quay.io"}, lose: func(f *folder) error { return os.WriteFile(f.path(datadir.SecretKey), make([]byte, 16), 0o600) }, says: []string{"is damaged"}},
		"empty":             {lose: func(f *folder) error { return os.WriteFile(f.path(datadir.SecretKey), nil, 0o600) }, says: []string{"is damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, tt.hosts...)
			kept := f.file(t)
			if err := tt.lose(f); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := Open(t.Context(), f.dir, f.st)
				for _, text := range tt.says {
					if !errors.Is(err, slipway.ErrConflict) || !strings.Contains(err.Error(), text) {
						t.Errorf("%v, want %q", err, text)
					}
				}
			}
			if _, err := Rotate(t.Context(), f.dir, f.st, func(*store.Tx) error { return nil }); !errors.Is(err, slipway.ErrConflict) {
				t.Errorf("rotate: %v", err)
			}
			// The right one back: nothing was lost.
			if err := os.WriteFile(f.path(datadir.SecretKey), kept, 0o600); err != nil {
				t.Fatal(err)
			}
			f.wantReadable(t)
			// A new one, on purpose.
			if err := tt.lose(f); err != nil {
				t.Fatal(err)
			}
			lost, err := New(t.Context(), f.dir, f.st)
			if err != nil || len(lost) != len(tt.hosts) {
				t.Fatalf("%d logins, %v", len(lost), err)
			}
			f.open(t)
			if _, err := New(t.Context(), f.dir, f.st); !errors.Is(err, slipway.ErrConflict) {
				t.Errorf("again: %v, want a refusal", err)
			}
		})
	}
}

// An installation of an earlier version has a key without a fingerprint.
func TestKeyOfAnEarlierVersion(t *testing.T) {
	f := newFolder(t, "quay.io")
	storetest.Update(t, f.st, func(tx *store.Tx) error { return tx.SetSetting(keySetting, []byte{}) })
	f.wantReadable(t)
	storetest.Update(t, f.st, func(tx *store.Tx) error { return tx.SetSetting(keySetting, []byte{}) })
	if err := os.Remove(f.path(datadir.SecretKey)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), f.dir, f.st); !errors.Is(err, slipway.ErrConflict) {
		t.Errorf("%v, want a refusal: a password is sealed", err)
	}
}

func TestRotate(t *testing.T) {
	f := newFolder(t, "quay.io", "ghcr.io", "docker.io")
	before, also := f.file(t), 0
	r, err := Rotate(t.Context(), f.dir, f.st, func(*store.Tx) error { also++; return nil })
	if err != nil || r.Sealed != 3 || len(r.Unreadable) != 0 || also != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if bytes.Equal(before, f.file(t)) {
		t.Error("the key is the old one")
	}
	f.wantReadable(t)
	if err := os.WriteFile(f.path(datadir.SecretKey), before, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), f.dir, f.st); !errors.Is(err, slipway.ErrConflict) {
		t.Errorf("the old key: %v, want a refusal", err)
	}
}

// Wherever a rotation stops, the passwords can be read afterwards.
func TestRotationThatStops(t *testing.T) {
	stop := errors.New("stop")
	for name, crash := range map[string]func(*testing.T, *folder){
		"the new key was written": func(t *testing.T, f *folder) {
			if _, err := create(f.path(datadir.NextKey)); err != nil {
				t.Fatal(err)
			}
		},
		"half of the new key was written": func(t *testing.T, f *folder) {
			if err := os.WriteFile(f.path(datadir.NextKey), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"the records were not committed": func(t *testing.T, f *folder) {
			if _, err := Rotate(t.Context(), f.dir, f.st, func(*store.Tx) error { return stop }); !errors.Is(err, stop) {
				t.Fatal(err)
			}
		},
		"the records were committed, and the key was not moved": func(t *testing.T, f *folder) {
			old, before := f.open(t), f.file(t)
			next, err := create(f.path(datadir.NextKey))
			if err != nil {
				t.Fatal(err)
			}
			storetest.Update(t, f.st, func(tx *store.Tx) error {
				_, err := reseal(tx, old, next)
				return errors.Join(err, tx.SetSetting(keySetting, []byte(next.print)))
			})
			if !bytes.Equal(before, f.file(t)) {
				t.Fatal("the key was moved")
			}
		},
		"the request was cancelled": func(t *testing.T, f *folder) {
			ctx, cancel := context.WithCancel(t.Context())
			_, _ = Rotate(ctx, f.dir, f.st, func(*store.Tx) error { cancel(); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFolder(t, "quay.io", "ghcr.io")
			crash(t, f)
			f.wantReadable(t)
			if _, err := Rotate(t.Context(), f.dir, f.st, func(*store.Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
			f.wantReadable(t)
		})
	}
}

// A backup under way would hold records and key that do not belong together.
func TestNoRotationDuringABackup(t *testing.T) {
	f := newFolder(t, "quay.io")
	storetest.Update(t, f.st, func(tx *store.Tx) error { _, err := tx.TakeLease("backup", 1<<40); return err })
	if _, err := Rotate(t.Context(), f.dir, f.st, func(*store.Tx) error { return nil }); !errors.Is(err, slipway.ErrConflict) {
		t.Errorf("%v, want a refusal", err)
	}
	f.wantReadable(t)
}

// Package secret holds the key of a data folder. The key seals passwords of
// registries in the records, so that a copy of the database reveals none.
package secret

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// keySetting is the name of the setting with the fingerprint of the key: the
// SHA-256, in hex.
const keySetting = "secret-key"

// keyBytes is the size of a key, for AES-256.
const keyBytes = 32

// Key seals and opens passwords.
type Key struct {
	aead  cipher.AEAD
	print string
}

func newKey(b []byte) (*Key, error) {
	block, err := aes.NewCipher(b)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	sum := sha256.Sum256(b)
	return &Key{aead, hex.EncodeToString(sum[:])}, err
}

// boundTo binds a password to a Workspace and host: a sealed password is useless
// for another host.
func boundTo(w slipway.WorkspaceID, host string) []byte { return []byte(string(w) + "\n" + host) }

// Seal returns the password for a registry, sealed for a Workspace.
func (k *Key) Seal(w slipway.WorkspaceID, host, password string) []byte {
	return k.aead.Seal(nil, nil, []byte(password), boundTo(w, host))
}

// Open returns the password in sealed, or an error if another key sealed it.
func (k *Key) Open(w slipway.WorkspaceID, host string, sealed []byte) (string, error) {
	password, err := k.aead.Open(nil, nil, sealed, boundTo(w, host))
	return string(password), err
}

// Open returns the key of the data folder dir. A new data folder gets a key. A
// key that is missing or another than the one in the records is refused: a new
// key in silence would lose every sealed password.
func Open(ctx context.Context, dir string, st *store.Store) (*Key, error) {
	known, logins, err := recorded(ctx, st)
	if err != nil {
		return nil, err
	}
	if err := finishRotation(dir, known); err != nil {
		return nil, fmt.Errorf("key of the data folder: %w", err)
	}
	k, fault, err := read(dir, known)
	if err != nil {
		return nil, err
	}
	switch {
	case fault == "":
	case fault == missing && known == "" && len(logins) == 0:
		if k, err = create(filepath.Join(dir, datadir.SecretKey)); err != nil {
			return nil, err
		}
	default:
		return nil, lost(dir, fault, logins)
	}
	if known == "" {
		err = st.Update(ctx, func(tx *store.Tx) error { return tx.SetSetting(keySetting, []byte(k.print)) })
		if slipway.Explained(err) {
			err = nil // a full disk keeps no portal from starting; the next start records the key
		}
	}
	return k, err
}

// missing is the fault of a data folder without a key.
const missing = "is missing"

// read returns the key in dir, or a fault, as in "is missing". known is the
// fingerprint in the records; "" for none.
func read(dir, known string) (k *Key, fault string, err error) {
	b, err := os.ReadFile(filepath.Join(dir, datadir.SecretKey))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, missing, nil
	case err != nil:
		return nil, "", fmt.Errorf("key of the data folder: %w", err)
	case len(b) != keyBytes:
		return nil, "is damaged", nil
	}
	if k, err = newKey(b); err != nil {
		return nil, "", err
	}
	if known != "" && k.print != known {
		return nil, "is that of another data folder, or an older one", nil
	}
	return k, "", nil
}

// create writes a new key to a file, whole or not at all.
func create(name string) (*Key, error) {
	b := make([]byte, keyBytes)
	rand.Read(b) // never fails
	err := durable.WriteFile(name, 0o600, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("key of the data folder: %w", err)
	}
	return newKey(b)
}

// recorded returns the fingerprint of the key in the records, "" for none, and
// all logins with sealed passwords.
func recorded(ctx context.Context, st *store.Store) (known string, logins []store.RegistryLogin, err error) {
	err = st.View(ctx, func(tx *store.Tx) error {
		text, err := tx.Setting(keySetting)
		if err != nil {
			return err
		}
		known = string(text)
		logins, err = tx.AllRegistryLogins()
		return err
	})
	return known, logins, err
}

// lost is the refusal of a data folder without the key of its records.
func lost(dir, fault string, logins []store.RegistryLogin) error {
	return slipway.Errorf(slipway.Conflict, "The key %s %s. Put back the one of this data folder, for example from a backup. Without it, make a new one: slipway key new --data %s. %s",
		filepath.Join(dir, datadir.SecretKey), fault, dir, Cost(logins))
}

// Cost says what is lost with the key that sealed the passwords of logins.
func Cost(logins []store.RegistryLogin) string {
	if len(logins) == 0 {
		return "That costs nothing: no password is sealed with it."
	}
	var hosts []string
	for _, l := range logins {
		hosts = append(hosts, l.Host)
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	noun := "the passwords"
	if len(logins) == 1 {
		noun = "the password"
	}
	where := "one Workspace"
	if n := workspaces(logins); n > 1 {
		where = fmt.Sprintf("%d Workspaces", n)
	}
	return fmt.Sprintf("That costs %s for %s: enter them again in the settings of %s, under Registries.", noun, strings.Join(hosts, ", "), where)
}

func workspaces(logins []store.RegistryLogin) int {
	all := map[slipway.WorkspaceID]bool{}
	for _, l := range logins {
		all[l.Workspace] = true
	}
	return len(all)
}

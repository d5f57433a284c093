package deploy

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// openSealer returns the cipher for passwords in the database, with the key in
// the data folder dir, created if missing. A copy of the database alone does not
// reveal a password.
func openSealer(dir string) (cipher.AEAD, error) {
	name := filepath.Join(dir, datadir.SecretKey)
	key, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = newKey(name)
	}
	if err != nil {
		return nil, fmt.Errorf("key of the data folder: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key of the data folder: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// newKey writes a new key, whole or not at all.
func newKey(name string) ([]byte, error) {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return key, durable.WriteFile(name, 0o600, func(w io.Writer) error {
		_, err := w.Write(key)
		return err
	})
}

// sealedFor binds a password to a Workspace and host: a sealed password is
// useless for another host.
func sealedFor(w slipway.WorkspaceID, host string) []byte { return []byte(string(w) + "\n" + host) }

// logins keeps passwords for registries, sealed.
type logins struct {
	*base
	sealer cipher.AEAD
}

// SetRegistryLogin stores the portal's login to a registry, for the image
// deploys of a Workspace.
func (o *logins) SetRegistryLogin(ctx context.Context, of slipway.WorkspaceID, by slipway.Actor, host string, login image.Login) error {
	host, err := slipway.CheckRegistry(host)
	if err != nil {
		return err
	}
	if login.User == "" || login.Password == "" || len(login.User)+len(login.Password) > 64<<10 {
		return slipway.Errorf(slipway.Invalid, "Give a user and a password, or a token, for %s.", host)
	}
	return o.store.Update(ctx, func(tx *store.Tx) error {
		if err := maySetLogins(tx, of, by); err != nil {
			return err
		}
		l := store.RegistryLogin{
			Workspace: of, Host: host, User: login.User, By: by.Title(),
			Sealed: o.sealer.Seal(nil, nil, []byte(login.Password), sealedFor(of, host)),
		}
		if err := tx.SetRegistryLogin(l); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: of, Action: "registry.set", Target: host, Detail: login.User})
	})
}

// DropRegistryLogin deletes the portal's login to a registry.
func (o *logins) DropRegistryLogin(ctx context.Context, of slipway.WorkspaceID, by slipway.Actor, host string) error {
	return o.store.Update(ctx, func(tx *store.Tx) error {
		if err := maySetLogins(tx, of, by); err != nil {
			return err
		}
		if err := tx.DropRegistryLogin(of, host); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: of, Action: "registry.drop", Target: host})
	})
}

func maySetLogins(tx *store.Tx, of slipway.WorkspaceID, by slipway.Actor) error {
	_, role, err := tx.Workspace(of, by)
	if err != nil {
		return err
	}
	return role.May(slipway.ManageDeployments)
}

// login returns the login to the registry of an image for d.
func (o *logins) login(ctx context.Context, d slipway.Deployment, name string) (login image.Login, err error) {
	host := slipway.RegistryHost(name)
	if host == "" {
		return login, nil
	}
	err = o.store.View(ctx, func(tx *store.Tx) error {
		l, found, err := tx.RegistryLogin(d.Workspace, host)
		if err != nil || !found {
			return err
		}
		password, err := o.sealer.Open(nil, nil, l.Sealed, sealedFor(d.Workspace, host))
		if err != nil {
			return slipway.Errorf(slipway.Invalid, "The credentials for %s cannot be read: the key of the data folder is another one. Enter them again.", host)
		}
		login = image.Login{User: l.User, Password: string(password)}
		return nil
	})
	return login, err
}

package deploy

import (
	"context"

	"slipway/internal/image"
	"slipway/internal/secret"
	"slipway/internal/slipway"
	"slipway/store"
)

// logins keeps passwords for registries, sealed.
type logins struct {
	*base
	key *secret.Key
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
			Sealed: o.key.Seal(of, host, login.Password),
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
		password, err := o.key.Open(d.Workspace, host, l.Sealed)
		if err != nil {
			return slipway.Errorf(slipway.Invalid, "The credentials for %s cannot be read: the key of the data folder is another one. Enter them again.", host)
		}
		login = image.Login{User: l.User, Password: password}
		return nil
	})
	return login, err
}

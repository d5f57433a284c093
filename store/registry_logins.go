package store

import (
	"time"

	"slipway/internal/slipway"
)

// RegistryLogin is who the portal is to a registry, for one Workspace.
type RegistryLogin struct {
	Workspace slipway.WorkspaceID
	Host      string
	User      string
	Sealed    []byte // its password, as package deploy seals it
	By        string // who set it
	At        time.Time
}

func scanRegistryLogin(r row) (l RegistryLogin, err error) {
	err = r.Scan(&l.Workspace, &l.Host, &l.User, &l.Sealed, &l.By, millis{&l.At})
	return l, err
}

// SetRegistryLogin keeps l in place of what was there for its host.
func (tx *Tx) SetRegistryLogin(l RegistryLogin) error {
	return tx.exec("set registry login", `
		INSERT INTO registry_logins (workspace, host, user, password, by, at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET user = excluded.user, password = excluded.password, by = excluded.by, at = excluded.at`,
		l.Workspace, l.Host, l.User, l.Sealed, l.By, ms(tx.Now))
}

// RegistryLogins returns those of a Workspace, by host.
func (tx *Tx) RegistryLogins(w slipway.WorkspaceID) ([]RegistryLogin, error) {
	return list(tx, "registry logins", scanRegistryLogin, `
		SELECT workspace, host, user, password, by, at FROM registry_logins WHERE workspace = ? ORDER BY host`, w)
}

// RegistryLogin returns that of a Workspace for a host, and whether there is
// one.
func (tx *Tx) RegistryLogin(w slipway.WorkspaceID, host string) (RegistryLogin, bool, error) {
	return first(list(tx, "registry login", scanRegistryLogin, `
		SELECT workspace, host, user, password, by, at FROM registry_logins WHERE workspace = ? AND host = ?`, w, host))
}

// DropRegistryLogin forgets that of a Workspace for a host.
func (tx *Tx) DropRegistryLogin(w slipway.WorkspaceID, host string) error {
	n, err := tx.changed("drop registry login", `DELETE FROM registry_logins WHERE workspace = ? AND host = ?`, w, host)
	if err == nil && n == 0 {
		return slipway.Errorf(slipway.NotFound, "There are no credentials for %s.", host)
	}
	return err
}

package store

import (
	"time"

	"slipway/internal/slipway"
)

// RegistryLogin is the portal's login to a registry, for one Workspace.
type RegistryLogin struct {
	Workspace slipway.WorkspaceID
	Host      string
	User      string
	Sealed    []byte // password, sealed by package deploy
	By        string // name of the person or token
	At        time.Time
}

func scanRegistryLogin(r row) (l RegistryLogin, err error) {
	err = r.Scan(&l.Workspace, &l.Host, &l.User, &l.Sealed, &l.By, millis{&l.At})
	return l, err
}

// SetRegistryLogin saves l in place of the earlier login for the host.
func (tx *Tx) SetRegistryLogin(l RegistryLogin) error {
	return tx.exec("set registry login", `
		INSERT INTO registry_logins (workspace, host, user, password, by, at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET user = excluded.user, password = excluded.password, by = excluded.by, at = excluded.at`,
		l.Workspace, l.Host, l.User, l.Sealed, l.By, ms(tx.Now))
}

// RegistryLogins returns the registry logins of a Workspace, by host.
func (tx *Tx) RegistryLogins(w slipway.WorkspaceID) ([]RegistryLogin, error) {
	return list(tx, "registry logins", scanRegistryLogin, `
		SELECT workspace, host, user, password, by, at FROM registry_logins WHERE workspace = ? ORDER BY host`, w)
}

// AllRegistryLogins returns the registry logins of all Workspaces.
func (tx *Tx) AllRegistryLogins() ([]RegistryLogin, error) {
	return list(tx, "all registry logins", scanRegistryLogin, `
		SELECT workspace, host, user, password, by, at FROM registry_logins ORDER BY workspace, host`)
}

// ResealRegistryLogin saves the password of l, sealed with another key.
func (tx *Tx) ResealRegistryLogin(l RegistryLogin) error {
	return tx.exec("reseal registry login", `UPDATE registry_logins SET password = ? WHERE workspace = ? AND host = ?`, l.Sealed, l.Workspace, l.Host)
}

// RegistryLogin returns the login of a Workspace for a host, false for none.
func (tx *Tx) RegistryLogin(w slipway.WorkspaceID, host string) (RegistryLogin, bool, error) {
	return first(list(tx, "registry login", scanRegistryLogin, `
		SELECT workspace, host, user, password, by, at FROM registry_logins WHERE workspace = ? AND host = ?`, w, host))
}

// DropRegistryLogin deletes the login of a Workspace for a host.
func (tx *Tx) DropRegistryLogin(w slipway.WorkspaceID, host string) error {
	n, err := tx.changed("drop registry login", `DELETE FROM registry_logins WHERE workspace = ? AND host = ?`, w, host)
	if err == nil && n == 0 {
		return slipway.Errorf(slipway.NotFound, "There are no credentials for %s.", host)
	}
	return err
}

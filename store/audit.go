package store

import (
	"time"

	"slipway/internal/slipway"
)

// Audit records an event of by, in the transaction of the change itself.
func (tx *Tx) Audit(by slipway.Actor, e slipway.Event) error {
	return tx.exec("audit", `INSERT INTO audit (at, workspace, deployment, by, action, target, detail) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		ms(tx.Now), e.Workspace, e.Deployment, asJSON(by), e.Action, e.Target, e.Detail)
}

// AuditEntry is an event with its time and actor.
type AuditEntry struct {
	ID int64
	At time.Time
	By slipway.Actor
	slipway.Event
}

// AuditTrail returns up to limit events of a Workspace, newest first, older
// than the entry before; 0 for the newest.
func (tx *Tx) AuditTrail(w slipway.WorkspaceID, before int64, limit int) ([]AuditEntry, error) {
	return list(tx, "audit trail",
		func(r row) (e AuditEntry, err error) {
			err = r.Scan(&e.ID, millis{&e.At}, &e.Workspace, &e.Deployment, jsonText{&e.By}, &e.Action, &e.Target, &e.Detail)
			return e, err
		}, `
		SELECT id, at, workspace, deployment, by, action, target, detail FROM audit
		WHERE workspace = ?1 AND (?2 = 0 OR id < ?2) ORDER BY id DESC LIMIT ?3`, w, before, limit)
}

// Setting returns the value of a setting, nil for none.
func (tx *Tx) Setting(name string) ([]byte, error) {
	return one(tx, "setting", nil, func(r row) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	}, `SELECT value FROM settings WHERE name = ?`, name)
}

// SetSetting keeps a value under name.
func (tx *Tx) SetSetting(name string, value []byte) error {
	return tx.exec("set setting", `
		INSERT INTO settings (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
}

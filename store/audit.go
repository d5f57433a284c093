package store

import (
	"math"
	"strings"
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

// AuditFilter selects entries of the audit log; the zero value selects all.
type AuditFilter struct {
	Words      []AuditWord          // each of which an entry has
	Nouns      []string             // first parts of actions: "deploy", "token"; nil for all
	Deployment slipway.DeploymentID // "" for all
	By         string               // id of a token, or of a person
	From       time.Time
	Until      time.Time // exclusive
}

// AuditWord is a word of a search: part of a name, a detail or an address, or
// the meaning of some actions.
type AuditWord struct {
	Text    string
	Actions []string // "deploy.confirm"
}

// AuditTrail returns up to limit events of a Workspace, newest first, older
// than the entry before; 0 for the newest.
func (tx *Tx) AuditTrail(w slipway.WorkspaceID, before int64, limit int) ([]AuditEntry, error) {
	return tx.FindAudit(w, AuditFilter{}, before, limit)
}

// FindAudit is AuditTrail for the entries that f selects. The log is read from
// the end, up to the limit. Without a Workspace, these are the events of the
// installation and of Workspaces that no longer exist.
func (tx *Tx) FindAudit(w slipway.WorkspaceID, f AuditFilter, before int64, limit int) ([]AuditEntry, error) {
	where, args := f.where()
	in := `workspace = ?`
	if w == "" {
		in = `(workspace = ? OR workspace NOT IN (SELECT id FROM workspaces))`
	}
	if before == 0 {
		before = math.MaxInt64
	}
	return list(tx, "audit trail",
		func(r row) (e AuditEntry, err error) {
			err = r.Scan(&e.ID, millis{&e.At}, &e.Workspace, &e.Deployment, jsonText{&e.By}, &e.Action, &e.Target, &e.Detail)
			return e, err
		}, `
		SELECT id, at, workspace, deployment, by, action, target, detail FROM audit
		WHERE `+in+` AND id < ?`+where+` ORDER BY id DESC LIMIT ?`,
		append(append([]any{w, before}, args...), limit)...)
}

// where returns the SQL conditions of f, each after an AND, with arguments.
func (f AuditFilter) where() (text string, args []any) {
	add := func(condition string, values ...any) {
		text += " AND (" + condition + ")"
		args = append(args, values...)
	}
	for _, w := range f.Words {
		like := "%" + likeSigns.Replace(w.Text) + "%"
		add(`target LIKE ? ESCAPE '\' OR detail LIKE ? ESCAPE '\' OR by ->> '$.Name' LIKE ? ESCAPE '\' OR by ->> '$.IP' LIKE ? ESCAPE '\'
			OR action IN (SELECT value FROM json_each(?))`, like, like, like, like, asJSON(w.Actions))
	}
	if f.Nouns != nil {
		add(`SUBSTR(action, 1, INSTR(action, '.') - 1) IN (SELECT value FROM json_each(?))`, asJSON(f.Nouns))
	}
	if f.Deployment != "" {
		add(`deployment = ?`, f.Deployment)
	}
	if f.By != "" {
		add(`IIF(by ->> '$.Token' = '', by ->> '$.User', by ->> '$.Token') = ?`, f.By)
	}
	if !f.From.IsZero() {
		add(`at >= ?`, ms(f.From))
	}
	if !f.Until.IsZero() {
		add(`at < ?`, ms(f.Until))
	}
	return text, args
}

// likeSigns escapes the signs with a meaning in LIKE.
var likeSigns = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

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

package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"slipway/internal/slipway"
)

// Attach opens the existing database file at path beside the running portal.
// The schema stays unchanged; any other schema than this program's is refused.
func Attach(ctx context.Context, path string) (*Store, error) {
	switch found, err := Probe(ctx, path, 0); {
	case err != nil:
		return nil, err
	case found.State == Missing && !found.Log:
		return nil, NoDatabase(path)
	case found.State != Records:
		return nil, slipway.Errorf(slipway.Invalid, "The database %s %s. "+putBack, path, found.State)
	}
	s, err := connect(path, lockWait)
	if err != nil {
		return nil, err
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, errors.Join(outage(err), s.Close())
	}
	return s, nil
}

// NoDatabase is the error for a data folder without a database.
func NoDatabase(path string) error {
	return slipway.Errorf(slipway.NotFound, "There is no database %s. Name the data folder with --data, or put the file back.", path)
}

func newerSchema() error {
	return slipway.Errorf(slipway.Conflict, "The database is of a newer Slipway than this program. Install that version again, or restore a backup of this one's.")
}

// schemaOf returns the version of a database's schema; made is false if the
// database has no table of schema versions.
func schemaOf(ctx context.Context, db *sql.DB) (version int64, made bool, err error) {
	err = db.QueryRowContext(ctx, `SELECT COUNT(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = 'goose_db_version'`).Scan(&made)
	if err != nil || !made {
		return 0, made, err
	}
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`).Scan(&version)
	return version, made, err
}

// knownSchema returns the version of the newest schema in this program.
func knownSchema() (last int64, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", name, err)
		}
		last = max(last, n)
	}
	return last, nil
}

// Restored prepares a database from a backup for use: unfinished uploads fail,
// because a backup has no upload files, and leases and login tokens are
// deleted.
func Restored(ctx context.Context, path string) error {
	s, err := connect(path, lockWait)
	if err != nil {
		return err
	}
	have, _, err := s.schema(ctx)
	if err == nil && have == 0 {
		err = slipway.Errorf(slipway.Invalid, "The database in it holds no records.")
	}
	if err == nil {
		err = s.notNewer(ctx)
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	if err == nil {
		err = s.sound(ctx)
	}
	if err == nil {
		err = s.Update(ctx, (*Tx).restored)
	}
	return errors.Join(err, s.Close())
}

func (tx *Tx) restored() error {
	err := tx.exec("fail uploads", `
		UPDATE deploys SET status = 'failed', ended_at = ?,
			reason = 'Its upload was not part of the backup that was restored. Upload the files again.'
		WHERE status = 'initialized'`, ms(tx.Now))
	return errors.Join(err,
		tx.exec("forget orphaned namespaces", `DELETE FROM set_aside`), // orphans were found among other files
		tx.exec("forget uploads", `DELETE FROM uploads`),
		tx.exec("forget logins", `DELETE FROM login_tokens`), // a token used or revoked since the backup would work again
		tx.exec("forget password links", `DELETE FROM password_links`),
		tx.exec("forget leases", `DELETE FROM leases`))
}

// refreshSearch runs a search, so that the connection reads again where the
// parts of the search index lie. With the old places in memory, a check reports
// moved parts as missing. An old backup has no search index.
func (tx *Tx) refreshSearch() error {
	there, err := tx.count("search index", `SELECT COUNT(*) FROM sqlite_schema WHERE name = 'deploys_words'`)
	if err == nil && there > 0 {
		_, err = tx.count("search", `SELECT COUNT(*) FROM deploys_words WHERE deploys_words MATCH '"¤"'`)
	}
	return err
}

func damageIn(rows *sql.Rows) (all []string, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("check the database: %w", err)
		}
		if text != "ok" {
			all = append(all, text)
		}
	}
	return all, rows.Err()
}

// lastBackup is the name of the setting with the last backup.
const lastBackup = "last-backup"

// Backup is a finished backup.
type Backup struct {
	At    time.Time
	File  string // as a path of the machine that made the backup
	Bytes int64
	Took  time.Duration
}

// NoteBackup records a finished backup in place of the one before.
func (tx *Tx) NoteBackup(b Backup) error { return tx.SetSetting(lastBackup, []byte(asJSON(b))) }

// LastBackup returns the last finished backup, nil for none.
func (tx *Tx) LastBackup() (*Backup, error) {
	text, err := tx.Setting(lastBackup)
	if err != nil || text == nil {
		return nil, err
	}
	var b Backup
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("last backup: %w", err)
	}
	return &b, nil
}

// LeaseLife is the life of a lease without renewal.
const LeaseLife = 2 * time.Minute

// TakeLease forbids every removal of files named by records, until the lease
// expires or ends. holder describes the reader, for people.
func (tx *Tx) TakeLease(holder string, life time.Duration) (id string, err error) {
	if err := tx.exec("drop expired leases", `DELETE FROM leases WHERE expires_at <= ?`, ms(tx.Now)); err != nil {
		return "", err
	}
	id = rand.Text()
	return id, tx.exec("take lease", `INSERT INTO leases (id, holder, expires_at) VALUES (?, ?, ?)`, id, holder, ms(tx.Now.Add(life)))
}

// RenewLease prolongs a lease. An expired lease cannot be renewed: files may
// have been removed since.
func (tx *Tx) RenewLease(id string, life time.Duration) error {
	n, err := tx.changed("renew lease", `UPDATE leases SET expires_at = ? WHERE id = ? AND expires_at > ?`,
		ms(tx.Now.Add(life)), id, ms(tx.Now))
	if err == nil && n == 0 {
		return slipway.Errorf(slipway.Conflict, "This process was held up for so long that its claim on the stored files has run out. Run it again.")
	}
	return err
}

// EndLease ends a lease.
func (tx *Tx) EndLease(id string) error {
	return tx.exec("end lease", `DELETE FROM leases WHERE id = ?`, id)
}

// Leased reports whether a process holds a lease: meanwhile no pack, manifest
// or Deployment may be removed, nor its record.
func (tx *Tx) Leased() (bool, error) {
	n, err := tx.count("leases", `SELECT EXISTS (SELECT 1 FROM leases WHERE expires_at > ?)`, ms(tx.Now))
	return n > 0, err
}

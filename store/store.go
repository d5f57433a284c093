// Package store keeps the portal's records in one SQLite file.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"slipway/internal/slipway"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is the number of connections for reading; one more connection writes.
const readers = 4

// Store is the portal's database.
type Store struct {
	Now  func() time.Time   // time.Now, unless a test says otherwise
	Seen func(query string) // receives each query, for tests that ask SQLite for the plans; nil for none

	read, write *sql.DB
	lock        foreignLock
}

// Open opens the database file at path and migrates the schema to this
// program's. A newer schema is refused. Open creates a missing file; where the
// database should exist already, call Probe first.
func Open(ctx context.Context, path string) (*Store, error) {
	return open(ctx, path, lockWait)
}

// open is Open with another wait for locks.
func open(ctx context.Context, path string, wait time.Duration) (*Store, error) {
	s, err := connect(path, wait)
	if err != nil {
		return nil, err
	}
	if err := s.notNewer(ctx); err != nil {
		return nil, errors.Join(outage(err), s.Close())
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(outage(fmt.Errorf("migrate %s: %w", path, err)), s.Close())
	}
	return s, nil
}

// walLimit is the size in bytes to which SQLite cuts the -wal once a checkpoint
// has moved the pages to the database. Checkpoints begin at 4 MB; a reader can
// make the -wal grow meanwhile.
const walLimit = 8 << 20

// connect opens the database file at path without a change to the schema. Each
// query waits for locks of other programs for up to wait.
func connect(path string, wait time.Duration) (*Store, error) {
	if err := addFunctions(); err != nil {
		return nil, fmt.Errorf("add functions to SQLite: %w", err)
	}
	// Pragmas belong in the DSN: database/sql may open a new connection at
	// any time, and each one starts from SQLite's defaults.
	dsn := fileURI(path) + "?_pragma=" + busyTimeout(wait) +
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=journal_size_limit(" + strconv.Itoa(walLimit) + ")"
	write, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1) // SQLite has one writer; queue here, not on SQLite's lock
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(readers)
	return &Store{Now: time.Now, read: read, write: write, lock: foreignLock{wait: wait}}, nil
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Ping returns an error if the database cannot be read, or nothing can be
// written because another program holds the lock.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, `SELECT 1 FROM settings UNION SELECT 1`).Scan(&one); err != nil {
		return outage(err)
	}
	return s.probeLock(ctx)
}

// View runs fn in a read-only transaction: all queries see the same snapshot.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	err := s.run(ctx, s.beginView, fn)
	if isLocked(err) {
		err = outage(err)
	}
	return err
}

// Update runs fn in the write transaction and commits if fn returns nil. While
// another program holds the lock, Update returns ErrLocked after a while, or
// waits on if ctx is Patient.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return outage(s.run(ctx, s.beginUpdate, fn))
}

// Note is Update for a time of last use. On a full disk, or under the lock of another
// program, only that time is lost: a request that writes is refused for itself.
func (s *Store) Note(ctx context.Context, fn func(*Tx) error) error {
	err := s.Update(ctx, fn)
	if errors.Is(err, slipway.ErrNoSpace) || errors.Is(err, ErrLocked) {
		return nil
	}
	return err
}

// txBegin begins a transaction, and returns a function that gives the connection
// back after the end of the transaction.
type txBegin func(ctx context.Context) (tx *sql.Tx, free func() error, err error)

func (s *Store) run(ctx context.Context, begin txBegin, fn func(*Tx) error) error {
	tx, free, err := begin(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer free()
	defer tx.Rollback()
	if err := fn(&Tx{Now: s.Now().UTC().Truncate(time.Millisecond), ctx: ctx, tx: queries{tx, s.Seen}}); err != nil {
		return err
	}
	return tx.Commit()
}

// Tx is a transaction, valid until the function that receives the transaction
// returns.
type Tx struct {
	Now time.Time // one timestamp for all writes of the transaction

	ctx context.Context
	tx  queries
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, files)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// CountStart counts a start of the portal and returns its number. last is the
// last number noted by the caller outside of the database. A lower number in
// the database means that somebody has put an older copy in place: CountStart
// then marks Everything as orphaned, unless the database was made just now.
//
// The new number is in the database file itself, not only in the -wal; whole is
// false if a concurrent reader prevented the checkpoint.
func (s *Store) CountStart(ctx context.Context, last int64, made bool) (n int64, whole bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		if n, err = tx.starts(); err != nil {
			return err
		}
		if n < last && !made {
			err = errors.Join(tx.DropOrphanedNamespace(slipway.Everything), tx.AddOrphanedNamespace(slipway.Everything))
		}
		n = max(n, last) + 1
		return errors.Join(err, tx.setStarts(n))
	})
	if err != nil {
		return 0, false, fmt.Errorf("count the start: %w", err)
	}
	var busy, pages, moved int
	err = s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved)
	return n, busy == 0, err
}

// CountRound increases the number at a stop, and before each deletion of files
// without a record, so that an earlier copy of the database is detected as
// older. CountRound does not wait for readers.
func (s *Store) CountRound(ctx context.Context) (n int64, whole bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		if n, err = tx.starts(); err != nil {
			return err
		}
		n++
		return tx.setStarts(n)
	})
	if err != nil {
		return 0, false, fmt.Errorf("count a round: %w", err)
	}
	var busy, pages, moved int
	err = s.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &pages, &moved)
	return n, busy == 0 && pages == moved, err
}

// checkSchema refuses a database with any other schema than this program's.
func (s *Store) checkSchema(ctx context.Context) error {
	have, want, err := s.schema(ctx)
	switch {
	case err != nil:
		return err
	case have < want:
		return slipway.Errorf(slipway.Conflict, "The data folder is of an older Slipway. Use that version's program, or start this version's slipway serve on it once.")
	case have > want:
		return newerSchema()
	}
	return nil
}

// notNewer refuses a database with a newer schema than this program's.
func (s *Store) notNewer(ctx context.Context) error {
	have, want, err := s.schema(ctx)
	if err == nil && have > want {
		err = newerSchema()
	}
	return err
}

// schema returns the version of the schema in the file, 0 for none, and the
// version of this program.
func (s *Store) schema(ctx context.Context) (have, want int64, err error) {
	if have, _, err = schemaOf(ctx, s.write); err != nil {
		return 0, 0, fmt.Errorf("read the schema's version: %w", err)
	}
	want, err = knownSchema()
	return have, want, err
}

// Snapshot writes a copy of the database at one moment to a new file at path.
// Other connections may write meanwhile.
func (s *Store) Snapshot(ctx context.Context, path string) (err error) {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	defer func() {
		// The connection may write now, so the pool must drop the connection.
		if e := conn.Raw(func(any) error { return driver.ErrBadConn }); !errors.Is(e, driver.ErrBadConn) {
			err = errors.Join(err, e)
		}
	}()
	if _, err := conn.ExecContext(ctx, `PRAGMA query_only(0)`); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if _, err := conn.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return fmt.Errorf("snapshot to %s: %w", path, err)
	}
	return nil
}

func (s *Store) sound(ctx context.Context) error {
	damage, err := s.Damage(ctx)
	if err == nil && len(damage) > 0 {
		err = slipway.Errorf(slipway.Invalid, "The database in it is damaged: %s.", damage[0])
	}
	return err
}

// Damage returns the faults of the database file found by SQLite, none for a
// sound file.
func (s *Store) Damage(ctx context.Context) (all []string, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		if err := tx.refreshSearch(); err != nil {
			return err
		}
		rows, err := tx.tx.QueryContext(ctx, `PRAGMA quick_check`)
		if err != nil {
			return fmt.Errorf("check the database: %w", err)
		}
		all, err = damageIn(rows)
		return err
	})
	return all, err
}

// startsSetting is the name of the setting with the number of starts, stops and
// rounds.
const startsSetting = "starts"

func (tx *Tx) setStarts(n int64) error {
	return tx.SetSetting(startsSetting, strconv.AppendInt(nil, n, 10))
}

func (tx *Tx) starts() (int64, error) {
	text, err := tx.Setting(startsSetting)
	if err != nil || text == nil {
		return 0, err
	}
	return strconv.ParseInt(string(text), 10, 64)
}

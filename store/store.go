// Package store keeps the portal's records in one SQLite file: who, what, when.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many connections read beside the one that writes.
const readers = 4

// Store is the portal's database.
type Store struct {
	Now func() time.Time // time.Now, unless a test says otherwise

	read, write *sql.DB
}

// Open opens the database file at path and brings its schema up to date. One
// that is newer than this program is refused. Look first where a database should
// be there already: Open makes it.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := connect(path)
	if err != nil {
		return nil, err
	}
	if err := s.notNewer(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate %s: %w", path, err), s.Close())
	}
	return s, nil
}

// connect opens the database file at path as it is.
func connect(path string) (*Store, error) {
	// Pragmas belong in the DSN: database/sql may open a new connection at
	// any time, and each one starts from SQLite's defaults.
	dsn := fileURI(path) +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
	write, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1) // SQLite has one writer; queue here, not on its lock
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(readers)
	return &Store{Now: time.Now, read: read, write: write}, nil
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Ping returns an error if the database cannot be read.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.read.QueryRowContext(ctx, `SELECT 1 FROM settings UNION SELECT 1`).Scan(&one)
}

// View runs fn in a read-only transaction: all its queries see one moment.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	return s.run(ctx, s.read, fn)
}

// Update runs fn in the write transaction and commits if fn returns nil.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	return outage(s.run(ctx, s.write, fn))
}

func (s *Store) run(ctx context.Context, db *sql.DB, fn func(*Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	if err := fn(&Tx{Now: s.Now().UTC().Truncate(time.Millisecond), ctx: ctx, tx: tx}); err != nil {
		return err
	}
	return tx.Commit()
}

// Tx is a transaction. It lives no longer than the function it is passed to.
type Tx struct {
	Now time.Time // one timestamp for all that the transaction writes

	ctx context.Context
	tx  *sql.Tx
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

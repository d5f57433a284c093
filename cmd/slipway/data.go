package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"slipway/internal/datadir"
	"slipway/store"
)

// dataFlag is the folder of all data of an installation.
type dataFlag struct {
	Data string `default:"./data" placeholder:"DIR" help:"Folder for everything that is kept (${default})."`
}

// data is an open data folder.
type data struct {
	dir   string
	store *store.Store
	lock  *os.File // nil for shared access
}

// own opens the data folder for exclusive use, by serve or init. A folder with
// an installation but without its database is an error, unless aside renames
// the old files away; out receives their new path.
func (f dataFlag) own(ctx context.Context, aside asideFlag, out io.Writer) (*data, error) {
	dir, err := f.ensureFolder()
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("the data folder %s is in use by another slipway; stop that one first, or name another folder with --data", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	d, err := openOwned(ctx, dir, lock, aside, out)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// openOwned checks and opens the folder locked with lock, and counts the start.
func openOwned(ctx context.Context, dir string, lock *os.File, aside asideFlag, out io.Writer) (*data, error) {
	last, err := lastStart(lock)
	if err != nil {
		return nil, err
	}
	isNew, err := mayOpen(ctx, dir, last)
	if n, ok := errors.AsType[*notNewError](err); ok && aside.SetAside {
		err = n.quarantine(out)
	}
	if err != nil {
		return nil, err
	}
	d, err := openStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	d.lock = lock
	if err := d.countStart(ctx, last, isNew); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	return d, nil
}

// share opens the database for a short time, while a serve may run, even of
// another version. create allows a new database in a new folder; otherwise a
// missing database is an error.
func (f dataFlag) share(ctx context.Context, create bool) (*data, error) {
	if _, err := os.Stat(f.Data); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, store.NoDatabase(filepath.Join(f.Data, datadir.Database))
	}
	dir, err := f.ensureFolder()
	if err != nil {
		return nil, err
	}
	last, err := sharedLastStart(dir)
	if err != nil {
		return nil, err
	}
	isNew, err := mayOpen(ctx, dir, last)
	if err != nil {
		return nil, err
	}
	if isNew && create {
		return openStore(ctx, dir)
	}
	st, err := store.Attach(ctx, filepath.Join(dir, datadir.Database)) // leave migrations of the schema to serve
	if err != nil {
		return nil, err
	}
	return &data{dir: dir, store: st}, nil
}

// ensureFolder creates the data folder if missing, and returns its absolute path.
func (f dataFlag) ensureFolder() (string, error) {
	dir, err := filepath.Abs(f.Data)
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	return dir, nil
}

// openStore opens the database, creating the file with access for the owner
// only: the folder itself may be open to others.
func openStore(ctx context.Context, dir string) (*data, error) {
	path := filepath.Join(dir, datadir.Database)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("make the database: %w", err)
	}
	st, err := store.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return &data{dir: dir, store: st}, nil
}

// Close closes the database and unlocks the folder.
func (d *data) Close() error {
	err := d.store.Close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// attach opens the database without changes to the folder, while a serve may
// run.
func (f dataFlag) attach(ctx context.Context) (*data, error) {
	dir, err := filepath.Abs(f.Data)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	st, err := store.Attach(ctx, filepath.Join(dir, datadir.Database))
	if err != nil {
		return nil, err
	}
	return &data{dir: dir, store: st}, nil
}

// countStart counts a start in the database and in the lock. last is the number
// in the lock, created means a database created just now.
func (d *data) countStart(ctx context.Context, last int64, created bool) error {
	n, whole, err := d.store.CountStart(ctx, last, created)
	if err != nil || !whole {
		return err // checkpoint incomplete: keep the number of the database file in the lock
	}
	return noteStart(d.lock, n)
}

// countRound counts a round of deletion, or a stop, in the database and in the
// lock.
func (d *data) countRound(ctx context.Context) error {
	n, whole, err := d.store.CountRound(ctx)
	if err != nil || !whole {
		return err // checkpoint incomplete: keep the number of the database file in the lock
	}
	return noteStart(d.lock, n)
}

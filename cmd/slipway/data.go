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

// dataFlag is the folder that holds everything of an installation.
type dataFlag struct {
	Data string `default:"./data" placeholder:"DIR" help:"Folder for everything that is kept (${default})."`
}

// data is an open data folder.
type data struct {
	dir   string
	store *store.Store
	lock  *os.File // nil where others may work beside
}

// own opens the folder for one process alone: serve. Where it holds an
// installation without its database, nothing is touched, unless the flag aside
// says to set that aside; out is told where it is then.
func (f dataFlag) own(ctx context.Context, aside asideFlag, out io.Writer) (*data, error) {
	dir, err := f.made()
	if err != nil {
		return nil, err
	}
	held, err := lockFile(filepath.Join(dir, lockName))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("the data folder %s is in use by another slipway; stop that one first, or name another folder with --data", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	d, err := openOwned(ctx, dir, held, aside, out)
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return d, nil
}

func openOwned(ctx context.Context, dir string, held *os.File, aside asideFlag, out io.Writer) (*data, error) {
	last, err := lastStart(held)
	if err != nil {
		return nil, err
	}
	isNew, err := mayOpen(ctx, dir, last)
	if n, ok := errors.AsType[*notNew](err); ok && aside.SetAside {
		err = n.setAside(out)
	}
	if err != nil {
		return nil, err
	}
	d, err := openStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	d.lock = held
	if err := d.countStart(ctx, last, isNew); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	return d, nil
}

// share opens the records for a short while, beside a serve that may run, also
// one of another version. create says that a new folder gets records; else there
// must be some.
func (f dataFlag) share(ctx context.Context, create bool) (*data, error) {
	if _, err := os.Stat(f.Data); errors.Is(err, fs.ErrNotExist) && !create {
		return nil, store.NoDatabase(filepath.Join(f.Data, datadir.Database))
	}
	dir, err := f.made()
	if err != nil {
		return nil, err
	}
	last, err := noted(dir)
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
	st, err := store.Attach(ctx, filepath.Join(dir, datadir.Database)) // an older schema is for serve to bring up to date
	if err != nil {
		return nil, err
	}
	return &data{dir: dir, store: st}, nil
}

func (f dataFlag) made() (string, error) {
	dir, err := filepath.Abs(f.Data)
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	return dir, nil
}

// openStore opens the records, for nobody else to read: the folder may have
// been there before, open to others.
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

// Close lets others have the folder.
func (d *data) Close() error {
	err := d.store.Close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// attach opens the records as they are, to read beside a serve that may run.
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

// countStart counts a start after the one that the lock has noted as last. made
// says that the database was made just now.
func (d *data) countStart(ctx context.Context, last int64, made bool) error {
	n, whole, err := d.store.CountStart(ctx, last, made)
	if err != nil || !whole {
		return err // the number before still holds of the -wal
	}
	return noteStart(d.lock, n)
}

// countRound counts a round of deletion, or a stop.
func (d *data) countRound(ctx context.Context) error {
	n, whole, err := d.store.CountRound(ctx)
	if err != nil || !whole {
		return err // the number before still holds of the file
	}
	return noteStart(d.lock, n)
}

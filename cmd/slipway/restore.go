package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway/internal/backup"
	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// restoreCommand fills an empty data folder from a backup.
type restoreCommand struct {
	dataFlag
	bucketFlag
	File string `arg:"" help:"File that slipway backup wrote."`
}

const (
	lockName        = "lock"
	restoreName     = ".restore" // in the data folder: what is not complete
	lostAndFound    = "lost+found"
	requiredMembers = 2 // number of members in every backup, beside the database
	databaseLast    = 6 // index of the database in restored
)

// restored are the entries of a data folder in the order of moving. The
// database is last and completes the restore.
var restored = [...]string{datadir.Bundles, datadir.Packs, bundle.BucketFile, datadir.Registry, datadir.SecretKey, datadir.NextKey, databaseLast: datadir.Database}

// Run is the command.
func (r restoreCommand) Run(ctx context.Context, c console) error {
	file, err := os.Open(r.File)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = os.Stat(r.Data)
	created := errors.Is(err, fs.ErrNotExist)
	dir, err := r.ensureFolder()
	if err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if errors.Is(err, errLocked) {
		return slipway.Errorf(slipway.Conflict, "The data folder %s is in use by another slipway. Restore into another, empty one.", dir)
	}
	if err != nil {
		return fmt.Errorf("lock the data folder: %w", err)
	}
	if err = checkEmpty(dir); err == nil {
		err = noteStart(lock, 0) // the number of starts belongs to the folder's earlier content
	}
	if err == nil {
		p := newProgress(c.err, "Restored")
		attach := func(dir string) (*bundle.Store, error) { return r.attachRestored(ctx, dir) }
		err = restore(ctx, bufio.NewReaderSize(file, 1<<20), dir, attach, func(done int64) { p.of(done, 0) })
	}
	if err := errors.Join(err, lock.Close()); err != nil {
		if created {
			removeFolder(dir)
		}
		return err
	}
	fmt.Fprintf(c.out, "%s is restored. Start it with: slipway serve --data %s\n", r.Data, r.Data)
	return nil
}

// removeFolder removes the created folder after a failed restore.
func removeFolder(dir string) {
	_ = os.Remove(filepath.Join(dir, lockName))
	_ = os.Remove(dir)
}

// checkEmpty returns an error for a folder with entries. Entries of an
// interrupted restore are removed.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if e.Name() != lockName && e.Name() != lostAndFound {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil
	}
	rest := append([]string{restoreName}, restored[:databaseLast]...)
	if names[0] != restoreName || slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(rest, name) }) {
		return slipway.Errorf(slipway.Conflict, "The data folder %s is not empty: there is %s in it. Restore into an empty one.", dir, names[0])
	}
	for _, name := range slices.Backward(rest) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove the rest of a restore: %w", err)
		}
	}
	return nil
}

// restore unpacks a backup to a temporary folder inside dir, possibly a mount
// point, and then moves all entries to dir. A failed backup.Read leaves dir
// unchanged.
func restore(ctx context.Context, r *bufio.Reader, dir string, attach func(dir string) (*bundle.Store, error), progress func(done int64)) error {
	temp := filepath.Join(dir, restoreName)
	if err := os.Mkdir(temp, 0o700); err != nil {
		return err
	}
	if err := backup.Read(ctx, r, temp, attach, progress); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	for i, name := range restored {
		if i == databaseLast { // durable only after all other entries
			if err := durable.SyncPath(dir); err != nil {
				return err
			}
		}
		err := os.Rename(filepath.Join(temp, name), filepath.Join(dir, name))
		if err != nil && (i < requiredMembers || i == databaseLast || !errors.Is(err, fs.ErrNotExist)) { // optional members
			return err
		}
	}
	return errors.Join(os.RemoveAll(temp), durable.SyncPath(dir))
}

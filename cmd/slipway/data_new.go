package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// notNewError is the error for a data folder with files of an installation but no
// database. A new database would make the old files unrecorded.
type notNewError struct {
	dir        string
	state      store.State // of the database
	log        bool        // the database's -wal exists and may hold records
	entries    []string    // entries found in the folder
	unfinished string      // quarantine folder of an interrupted run; "" for none
}

// mayOpen checks a data folder without changing any file. isNew reports a
// folder without a usable database; with files of an installation, the error is
// a *notNewError. starts is the number of the last start, 0 for unknown.
func mayOpen(ctx context.Context, dir string, starts int64) (isNew bool, err error) {
	db, err := store.Probe(ctx, filepath.Join(dir, datadir.Database), starts)
	if err != nil {
		return false, err
	}
	n := &notNewError{dir: dir, state: db.State, log: db.Log}
	if n.unfinished, err = unfinishedQuarantine(dir); err != nil {
		return false, err
	}
	switch {
	case db.State == store.Records && n.unfinished == "":
		return false, nil
	case db.State == store.Records:
		return false, slipway.Errorf(slipway.Conflict, "The folder %s holds what was to be set aside when Slipway was stopped. "+
			"Move its contents back to %s and remove it.", n.unfinished, dir)
	}
	if n.entries, err = entriesIn(dir); err != nil {
		return false, err
	}
	if n.log {
		n.entries = append(n.entries, datadir.Database+"-wal")
	}
	if n.unfinished == "" && len(n.entries) == 0 {
		return true, nil
	}
	return true, n
}

// Error implements error.
func (n *notNewError) Error() string {
	if slices.Contains(n.entries, restoreName) {
		return fmt.Sprintf("A restore into the data folder %s was cut off. Run slipway restore again.", n.dir)
	}
	if n.unfinished != "" {
		return fmt.Sprintf("The data folder %s was being set aside when Slipway was stopped: a part of it is in %s. "+
			"Start with --set-aside to go on, or move the contents of that folder back and remove it.", n.dir, n.unfinished)
	}
	back := "Put " + datadir.Database + " back"
	if n.log {
		back = "Put back the " + datadir.Database + " that " + datadir.Database + "-wal belongs to"
	}
	return fmt.Sprintf("The data folder %s holds %s, but its database %s %s. %s, or restore a backup into an empty folder: slipway restore FILE --data NEW. "+
		"To start anew instead, run slipway serve with --set-aside, which renames what is there and deletes nothing.",
		n.dir, joinWords(n.entries), datadir.Database, n.state, back)
}

// joinWords joins words with commas and "and".
func joinWords(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// recordedFolders are the folders of an installation with files recorded in the
// database.
var recordedFolders = []string{datadir.Bundles, datadir.Packs, datadir.Registry, datadir.Mounts, datadir.Uploads}

// entriesIn returns the entries of an installation found in a data folder. Folders
// without files do not count, as every first start creates empty folders.
func entriesIn(dir string) (there []string, err error) {
	for _, name := range recordedFolders {
		any, err := hasFile(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("look at the data folder: %w", err)
		}
		if any {
			there = append(there, name)
		}
	}
	for _, name := range []string{bundle.BucketFile, restoreName} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			there = append(there, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look at the data folder: %w", err)
		}
	}
	return there, nil
}

// hasFile reports whether any file exists below path.
func hasFile(path string) (found bool, err error) {
	root, err := filepath.EvalSymlinks(path) // an administrator may have moved the folder
	if err == nil {
		err = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
			if d != nil && d.Name() == lostAndFound {
				return fs.SkipDir // belongs to a mounted volume
			}
			if err == nil && !d.IsDir() {
				found, err = true, fs.SkipAll
			}
			return err
		})
	}
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	return found, err
}

// quarantine moves the files of the old installation to a new folder in the data
// folder. The folder's suffix marks an interrupted move: the next start must
// continue.
func (n *notNewError) quarantine(out io.Writer) error {
	half, err := n.unfinished, error(nil)
	if half == "" {
		if half, err = n.createQuarantine(); err != nil {
			return fmt.Errorf("set the data folder aside: %w", err)
		}
	}
	for _, name := range quarantineEntries {
		if err := quarantineEntry(filepath.Join(n.dir, name), filepath.Join(half, name)); err != nil {
			return err
		}
	}
	whole := half[:len(half)-len(quarantineSuffix)]
	err = errors.Join(durable.SyncPath(half), durable.SyncPath(n.dir)) // all files are durable before the folder gets the final name
	if err == nil {
		err = os.Rename(half, whole)
	}
	if err == nil {
		err = durable.SyncPath(n.dir)
	}
	if err != nil {
		return fmt.Errorf("set the data folder aside: %w", err)
	}
	fmt.Fprintf(out, "What was in the data folder is in %s now; nothing was deleted. Slipway starts anew.\n", whole)
	return nil
}

// createQuarantine durably creates a quarantine folder with an unused name.
func (n *notNewError) createQuarantine() (string, error) {
	for at := time.Now().UTC(); ; at = at.Add(time.Second) {
		whole := filepath.Join(n.dir, quarantinePrefix+at.Format(quarantineTime))
		if _, err := os.Lstat(whole); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return "", err
			}
			continue
		}
		if err := os.Mkdir(whole+quarantineSuffix, 0o700); err != nil {
			return "", err
		}
		return whole + quarantineSuffix, durable.SyncPath(n.dir)
	}
}

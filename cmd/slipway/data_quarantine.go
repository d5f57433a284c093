package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway/internal/datadir"
	"slipway/internal/slipway"
)

// asideFlag lets a command start anew in a folder with an old installation but
// no database.
type asideFlag struct {
	SetAside bool `env:"-" help:"For one start: where slipway.db is missing, empty or without records, rename everything that is there into one new folder and start anew. Deletes nothing. Do not leave it in a service file."`
}

// quarantineEntries are the possible entries of an installation in its data folder.
var quarantineEntries = slices.Concat(restored[:],
	[]string{datadir.Mounts, datadir.Uploads, datadir.Spool, restoreName, datadir.Database + "-wal", datadir.Database + "-shm", datadir.Database + "-journal"})

// A quarantine folder is named by the time, with a suffix while files are still
// being moved.
const (
	quarantinePrefix = "set-aside-"
	quarantineTime   = "20060102T150405Z"
	quarantineSuffix = ".unfinished"
)

// unfinishedQuarantine returns the quarantine folder of an interrupted run, "" for none.
func unfinishedQuarantine(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if ok, err := filepath.Match(quarantinePrefix+"*"+quarantineSuffix, e.Name()); err == nil && ok {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", nil
}

// quarantineEntry renames a file or folder, if present. An existing target is an
// error.
func quarantineEntry(from, to string) error {
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(to); err == nil {
		return slipway.Errorf(slipway.Conflict, "%s cannot be set aside: there is %s already. Move one of them elsewhere, and start again with --set-aside.", from, to)
	}
	if err := os.Rename(from, to); err != nil {
		if any, bad := hasFile(from); bad == nil && !any {
			return nil // an empty mounted volume cannot be renamed, and need not be
		}
		return slipway.Errorf(slipway.Conflict, "%s cannot be set aside: %v. Move what is in it to %s by hand, and start again with --set-aside.",
			from, errors.Unwrap(err), to)
	}
	return nil
}

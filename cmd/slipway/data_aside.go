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

// asideFlag lets a command begin anew in a folder that holds an installation
// without its database.
type asideFlag struct {
	SetAside bool `env:"-" help:"For one start: where slipway.db is missing, empty or without records, rename everything that is there into one new folder and start anew. Deletes nothing. Do not leave it in a service file."`
}

// asideMembers are what an installation may have in its data folder.
var asideMembers = slices.Concat(restored[:],
	[]string{datadir.Mounts, datadir.Uploads, datadir.Spool, restoreName, datadir.Database + "-wal", datadir.Database + "-shm", datadir.Database + "-journal"})

// What folders of this kind are named: by the time, and by a mark as long as
// not everything is in it.
const (
	asidePrefix = "set-aside-"
	asideTime   = "20060102T150405Z"
	asideHalf   = ".unfinished"
)

// asideRest returns the folder of a setting aside that was cut off, "" if there
// is none.
func asideRest(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if ok, err := filepath.Match(asidePrefix+"*"+asideHalf, e.Name()); ok && err == nil {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", err
}

// moveAside renames a file or folder, if it is there, and never over another.
func moveAside(from, to string) error {
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(to); err == nil {
		return slipway.Errorf(slipway.Conflict, "%s cannot be set aside: there is %s already. Move one of them elsewhere, and start again with --set-aside.", from, to)
	}
	if err := os.Rename(from, to); err != nil {
		if any, bad := hasFile(from); bad == nil && !any {
			return nil // a volume is mounted there, and is empty
		}
		return slipway.Errorf(slipway.Conflict, "%s cannot be set aside: %v. Move what is in it to %s by hand, and start again with --set-aside.",
			from, errors.Unwrap(err), to)
	}
	return nil
}

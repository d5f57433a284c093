package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"slipway/internal/datadir"
	"slipway/internal/durable"
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

// setAside moves what is in the folder into one inside it. As long as that has
// not ended, no start takes the folder for a new one.
func (n *notNew) setAside(out io.Writer) error {
	half, err := n.rest, error(nil)
	if half == "" {
		if half, err = n.makeAside(); err != nil {
			return fmt.Errorf("set the data folder aside: %w", err)
		}
	}
	for _, name := range asideMembers {
		if err := moveAside(filepath.Join(n.dir, name), filepath.Join(half, name)); err != nil {
			return err
		}
	}
	whole := half[:len(half)-len(asideHalf)]
	err = errors.Join(durable.SyncPath(half), durable.SyncPath(n.dir)) // all is in it before its name says so
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

// makeAside makes the folder, durably, under a name that nothing has.
func (n *notNew) makeAside() (string, error) {
	for at := time.Now().UTC(); ; at = at.Add(time.Second) {
		whole := filepath.Join(n.dir, asidePrefix+at.Format(asideTime))
		if _, err := os.Lstat(whole); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return "", err
			}
			continue
		}
		if err := os.Mkdir(whole+asideHalf, 0o700); err != nil {
			return "", err
		}
		return whole + asideHalf, durable.SyncPath(n.dir)
	}
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

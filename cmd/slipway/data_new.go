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

// notNew refuses a data folder that holds an installation without its database:
// on a new one, whatever is there would be nobody's.
type notNew struct {
	dir   string
	state store.State // of the database
	log   bool        // the -wal beside it may hold records
	there []string    // what lies in the folder
	rest  string      // of setting aside, where that was cut off; "" for nothing
}

// mayOpen returns an error unless a data folder has a database that this
// program can use, or is new, which it reports. It changes nothing there. starts
// is the number of the last start, 0 where it is not known.
func mayOpen(ctx context.Context, dir string, starts int64) (isNew bool, err error) {
	found, err := store.Probe(ctx, filepath.Join(dir, datadir.Database), starts)
	if err != nil {
		return false, err
	}
	n := &notNew{dir: dir, state: found.State, log: found.Log}
	if n.rest, err = asideRest(dir); err != nil {
		return false, err
	}
	switch {
	case found.State == store.Records && n.rest == "":
		return false, nil
	case found.State == store.Records:
		return false, slipway.Errorf(slipway.Conflict, "The folder %s holds what was to be set aside when Slipway was stopped. "+
			"Move its contents back to %s and remove it.", n.rest, dir)
	}
	if n.there, err = leftIn(dir); err != nil {
		return false, err
	}
	if n.log {
		n.there = append(n.there, datadir.Database+"-wal")
	}
	if n.rest == "" && len(n.there) == 0 {
		return true, nil
	}
	return true, n
}

// Error implements error.
func (n *notNew) Error() string {
	if slices.Contains(n.there, restoreName) {
		return fmt.Sprintf("A restore into the data folder %s was cut off. Run slipway restore again.", n.dir)
	}
	if n.rest != "" {
		return fmt.Sprintf("The data folder %s was being set aside when Slipway was stopped: a part of it is in %s. "+
			"Start with --set-aside to go on, or move the contents of that folder back and remove it.", n.dir, n.rest)
	}
	back := "Put " + datadir.Database + " back"
	if n.log {
		back = "Put back the " + datadir.Database + " that " + datadir.Database + "-wal belongs to"
	}
	return fmt.Sprintf("The data folder %s holds %s, but its database %s %s. %s, or restore a backup into an empty folder: slipway restore FILE --data NEW. "+
		"To start anew instead, run slipway serve with --set-aside, which renames what is there and deletes nothing.",
		n.dir, enumerated(n.there), datadir.Database, n.state, back)
}

// enumerated joins words as a sentence has them.
func enumerated(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// keptFolders are the folders of an installation whose files are nobody's
// without its database.
var keptFolders = []string{datadir.Bundles, datadir.Packs, datadir.Registry, datadir.Mounts, datadir.Uploads}

// leftIn returns what of an installation lies in a data folder beside its
// database. Folders without a file are nothing: a first start makes them.
func leftIn(dir string) (there []string, err error) {
	for _, name := range keptFolders {
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

// hasFile reports whether there is anything but folders below path.
func hasFile(path string) (found bool, err error) {
	root, err := filepath.EvalSymlinks(path) // an administrator may have moved the folder
	if err == nil {
		err = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
			if d != nil && d.Name() == notOurs {
				return fs.SkipDir // of a volume that is mounted there
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

package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// tempPattern names what is not finished yet, beside its target. What is found
// under such a name at the start was left by a crash.
const tempPattern = ".tmp-*"

// putFile writes path whole or not at all, and durably.
func putFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPattern)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // finds nothing once renamed
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return rename(f.Name(), path)
}

// rename moves old, which is durable itself, to new in the same folder, and
// makes the new name durable.
func rename(old, new string) error {
	if err := os.Rename(old, new); err != nil {
		return err
	}
	return syncDir(filepath.Dir(new))
}

// makeFolders makes the folder at path and those above it, durably, where they
// are not there.
func makeFolders(path string, mode fs.FileMode) error {
	err := os.Mkdir(path, mode)
	if above := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && above != path {
		if err := makeFolders(above, mode); err != nil {
			return err
		}
		err = os.Mkdir(path, mode)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error { return syncPath(dir) }

// syncPath makes the file or folder at path durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncPaths makes each of paths durable. It syncs several at once, so that a
// file system with a journal commits them together.
func syncPaths(ctx context.Context, paths []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, path := range paths {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return syncPath(path)
		})
	}
	return g.Wait()
}

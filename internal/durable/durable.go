// Package durable writes files and folders that are whole or absent after a
// crash or a power cut, and reads the free space of a disk.
package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// TempPattern names unfinished files and folders beside their targets. At the
// start, a file of such a name is a leftover of a crash.
const TempPattern = TempPrefix + "*"

// TempPrefix begins the names of unfinished files.
const TempPrefix = ".tmp-"

// WriteFile writes path with the permissions mode: whole or not at all, and
// durably. A temporary file beside path comes first, with a name from
// TempPattern; the folder must be writable.
func WriteFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), TempPattern)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // finds nothing once renamed
	if err = write(f); err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return Rename(f.Name(), path)
}

// Leftovers returns the temporary files and folders in dir; with patterns, one
// for each level, in the matching folders below dir.
func Leftovers(dir string, under ...string) ([]string, error) {
	literal := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
	left, err := filepath.Glob(filepath.Join(literal, filepath.Join(under...), TempPattern))
	if err != nil {
		return nil, fmt.Errorf("find leftovers: %w", err)
	}
	return left, nil
}

// RemoveLeftovers deletes the temporary files found by Leftovers.
func RemoveLeftovers(dir string, under ...string) error {
	left, err := Leftovers(dir, under...)
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("remove a leftover: %w", err)
		}
	}
	return nil
}

// RemoveFile deletes the file at path. A missing file is no error.
func RemoveFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveTree deletes path and everything below, as far as possible; a missing
// path is no error. Folders are made writable first: folders of a mounted
// version are read-only, and only root could empty them.
func RemoveTree(path string) error {
	makeWritable(path)
	return os.RemoveAll(path)
}

// makeWritable makes the folder path and folders below writable, as far as possible: a
// read-only folder may be empty, else RemoveAll fails.
func makeWritable(path string) {
	if info, err := os.Lstat(path); err != nil || !info.IsDir() {
		return
	}
	_ = os.Chmod(path, 0o700)
	dir, err := os.Open(path)
	if err != nil {
		return
	}
	var folders []string
	for e, err := range Entries(dir) {
		if err != nil {
			break
		}
		if e.IsDir() {
			folders = append(folders, e.Name())
		}
	}
	_ = dir.Close() // opened for reading only
	for _, name := range folders {
		makeWritable(filepath.Join(path, name))
	}
}

// entriesAtOnce is how many entries of a folder are in memory.
const entriesAtOnce = 1000

// Entries yields the entries of the folder dir, in no order, and of a large folder
// a few at a time. An error ends the sequence.
func Entries(dir *os.File) iter.Seq2[fs.DirEntry, error] {
	return func(yield func(fs.DirEntry, error) bool) {
		for {
			some, err := dir.ReadDir(entriesAtOnce)
			for _, e := range some {
				if !yield(e, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// Rename moves from, a durable file, to to in the same folder, and makes the new
// name durable.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncPath(filepath.Dir(to))
}

// MakeFolders makes the folder at path and missing folders above, durably, and
// with the permissions mode whatever the umask. Present folders stay as found.
func MakeFolders(path string, mode fs.FileMode) error {
	err := makeFolder(path, mode)
	if above := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && above != path {
		if err := MakeFolders(above, mode); err != nil {
			return err
		}
		err = makeFolder(path, mode)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return SyncPath(filepath.Dir(path))
}

// OpenFolder gives the folder at path the permissions mode, if nobody but the owner
// may enter: a kill amid MakeFolders leaves a folder like that. Other permissions are
// somebody's choice. A missing folder is no error.
func OpenFolder(path string, mode fs.FileMode) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return err
	}
	return setMode(path, mode)
}

// makeFolder is os.Mkdir without the umask.
func makeFolder(path string, mode fs.FileMode) error {
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm()&mode == mode {
		return err
	}
	return setMode(path, mode)
}

// setMode is os.Chmod. Some file systems have permissions of their own and refuse
// others, which is no error.
func setMode(path string, mode fs.FileMode) error {
	if err := os.Chmod(path, mode); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// SyncPath makes the file at path durable, or the names in the folder at path.
func SyncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// SyncPaths makes each of paths durable. Several run at once: a file system with
// a journal commits them together.
func SyncPaths(ctx context.Context, paths []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, path := range paths {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return SyncPath(path)
		})
	}
	return g.Wait()
}

// exchangeInSteps swaps a and b in three renames, for file systems without an
// exchange. For a moment b is missing.
func exchangeInSteps(a, b string) error {
	aside := a + "-aside"
	if err := os.Rename(b, aside); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(aside, b))
	}
	return os.Rename(aside, a)
}

package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"slipway/internal/durable"
)

// disk is a backend in a folder of this machine.
type disk string

func (d disk) path(name string) string {
	return filepath.Join(string(d), filepath.FromSlash(name))
}

// tempDir is the target folder: put only renames.
func (d disk) tempDir(name string) (string, error) {
	dir := d.path(name)
	return dir, durable.MakeFolders(dir, 0o700)
}

func (d disk) put(_ context.Context, name string, f *os.File) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return durable.Rename(f.Name(), d.path(name))
}

func (d disk) open(_ context.Context, name string) (File, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return f, nil
}

func (d disk) readRange(_ context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, length), f}, nil
}

func (d disk) drop(name string) error { return durable.RemoveFile(d.path(name)) }

func (d disk) dropAll(name string) error { return os.RemoveAll(d.path(name)) }

func (d disk) list(name string) iter.Seq2[fs.DirEntry, error] {
	return func(yield func(fs.DirEntry, error) bool) {
		entries, err := os.ReadDir(d.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(nil, err)
			return
		}
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// sign returns "": nobody else can reach the folder.
func (d disk) sign(context.Context, string) string { return "" }

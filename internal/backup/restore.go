package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/bundle"
	"slipway/internal/datadir"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// Read unpacks a backup from r into the empty folder dir, and returns nil only
// if all members are complete, match their checksums and are durable. attach
// opens the manifests and packs of dir, possibly in a bucket. progress receives
// the bytes unpacked.
func Read(ctx context.Context, r io.Reader, dir string, attach func(dir string) (*bundle.Store, error), progress func(done int64)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	in := &restoring{ctx: ctx, root: root, tar: tar.NewReader(r), progress: progress}
	for _, name := range []string{datadir.Bundles, datadir.Packs} {
		if err := root.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	if err := in.members(); err != nil {
		return err
	}
	if err := in.database(); err != nil {
		return fmt.Errorf("restore the database: %w", err)
	}
	if err := store.Restored(ctx, filepath.Join(dir, datadir.Database)); err != nil {
		return err
	}
	if err := checkComplete(ctx, dir, attach); err != nil {
		return err
	}
	return syncFolders(dir)
}

// restoring is a restore in progress.
type restoring struct {
	ctx      context.Context
	root     *os.Root
	tar      *tar.Reader
	sums     bytes.Buffer // of members read, in the format of sha256sum
	progress func(done int64)
	done     int64
}

var (
	errNoBackup = slipway.Errorf(slipway.Invalid, "This file is no backup of Slipway.")
	errCutOff   = slipway.Errorf(slipway.Invalid, "The backup is cut off or damaged. Nothing was restored.")
)

// members unpacks all members and compares their checksums with the list.
func (in *restoring) members() error {
	for first := true; ; first = false {
		h, err := in.tar.Next()
		switch {
		case first && (err != nil || h.Name != databaseMember):
			return errNoBackup
		case err != nil:
			return errors.Join(errCutOff, err)
		case h.Name == sumsMember:
			return in.compare()
		}
		if err := in.member(h); err != nil {
			return fmt.Errorf("restore %q: %w", h.Name, err)
		}
	}
}

// member unpacks one member and adds its checksum to sums.
func (in *restoring) member(h *tar.Header) error {
	if h.Typeflag != tar.TypeReg || !isMember(h.Name) {
		return errNoBackup
	}
	if dir := path.Dir(h.Name); dir != "." {
		if err := in.root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	sum := sha256.New()
	if err := in.put(h.Name, io.TeeReader(in.tar, sum)); err != nil {
		return err
	}
	in.done += h.Size
	in.progress(in.done)
	return writeSum(&in.sums, hex.EncodeToString(sum.Sum(nil)), h.Name)
}

// isMember reports whether a backup may have a member of this name.
func isMember(name string) bool {
	parts := strings.Split(name, "/")
	switch {
	case isImageMember(name):
		return true
	case name == databaseMember || name == bundle.BucketFile:
		return true
	case len(parts) != 3 || !fs.ValidPath(name):
		return false
	}
	return parts[0] == datadir.Bundles || parts[0] == datadir.Packs
}

// put writes a new file durably.
func (in *restoring) put(name string, r io.Reader) error {
	if err := in.ctx.Err(); err != nil {
		return err
	}
	f, err := in.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, zstd.ErrMagicMismatch) {
		err = errors.Join(errCutOff, err)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// compare compares the checksums of all members with the list in the backup.
func (in *restoring) compare() error {
	want := bufio.NewScanner(in.tar)
	have := bufio.NewScanner(&in.sums)
	for have.Scan() {
		_, name, _ := strings.Cut(have.Text(), "  ")
		if !want.Scan() || want.Text() != have.Text() {
			return slipway.Errorf(slipway.Invalid, "The backup is damaged: %s is not what was backed up. Nothing was restored.", name)
		}
	}
	if want.Scan() || want.Err() != nil {
		return errors.Join(errCutOff, want.Err())
	}
	return nil
}

// database decompresses the database.
func (in *restoring) database() error {
	f, err := in.root.Open(databaseMember)
	if err != nil {
		return err
	}
	defer f.Close()
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer dec.Close()
	return errors.Join(in.put(datadir.Database, dec), in.root.Remove(databaseMember))
}

// checkComplete returns an error if a recorded manifest or pack is missing.
func checkComplete(ctx context.Context, dir string, attach func(dir string) (*bundle.Store, error)) error {
	bundles, err := attach(dir)
	if err != nil {
		return err
	}
	st, err := store.Attach(ctx, filepath.Join(dir, datadir.Database))
	if err != nil {
		return err
	}
	if bundles.Bucket() != "" {
		_, _, err = inBucket(ctx, st, bundles)
		return errors.Join(err, st.Close())
	}
	for n, e := range storedFiles(ctx, st, ever) {
		if err = e; err != nil {
			break
		}
		f, e := n.open(bundles)
		if err = e; err != nil {
			err = errors.Join(slipway.Errorf(slipway.Invalid, "%s is missing in the backup. Nothing was restored.", n.title()), err)
			break
		}
		_ = f.Close() // opened only to check existence
	}
	return errors.Join(err, st.Close())
}

// syncFolders makes the names below dir, and the database, durable.
func syncFolders(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (e.IsDir() || e.Name() == datadir.Database) {
			err = durable.SyncPath(path)
		}
		return err
	})
}

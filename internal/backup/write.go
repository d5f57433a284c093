package backup

import (
	"archive/tar"
	"bufio"
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

// A backup is a tar: the database, manifests and packs under their names in the
// data folder, the registry, the secret key, and a list of checksums in the
// format of sha256sum. With a bucket, bundle.BucketFile replaces manifests and
// packs.
const (
	databaseMember = datadir.Database + ".zst"
	sumsMember     = "SHA256SUMS"
)

// Totals counts the contents of a backup.
type Totals struct {
	Versions, Packs int
	Bytes           int64  // of all members
	Bucket          string // holds manifests and packs; "" if the backup does
}

// Write writes the database, all recorded files, and the registry and key of the
// data folder dir to w. An engine may run meanwhile, in any process: a lease
// delays only the removal of files. temp, an empty folder, holds a snapshot of
// the database meanwhile. progress receives the bytes of packs copied, and of
// all packs.
func Write(ctx context.Context, st *store.Store, bundles *bundle.Store, dir, temp string, w io.Writer, progress func(done, total int64)) (t Totals, err error) {
	err = withLease(ctx, st, "backup", func(ctx context.Context) error {
		b, err := newBackup(ctx, bundles, temp, w, progress)
		if err != nil {
			return err
		}
		err = b.write(st, dir)
		t = b.totals
		return errors.Join(err, b.sums.Close())
	})
	return t, err
}

// backup is a backup in progress.
type backup struct {
	ctx      context.Context
	bundles  *bundle.Store
	temp     string
	tar      *tar.Writer
	sums     *os.File // the last member
	progress func(done, total int64)
	done     int64
	total    int64
	totals   Totals
}

func newBackup(ctx context.Context, bundles *bundle.Store, temp string, w io.Writer, progress func(done, total int64)) (*backup, error) {
	sums, err := os.Create(filepath.Join(temp, sumsMember))
	if err != nil {
		return nil, err
	}
	return &backup{ctx: ctx, bundles: bundles, temp: temp, tar: tar.NewWriter(w), sums: sums, progress: progress}, nil
}

// write adds all members, in the order of the format: database first, checksums
// last.
func (b *backup) write(from *store.Store, dir string) error {
	snapshot := filepath.Join(b.temp, datadir.Database)
	if err := from.Snapshot(b.ctx, snapshot); err != nil {
		return err
	}
	if err := b.addDatabase(snapshot); err != nil {
		return fmt.Errorf("back up the records: %w", err)
	}
	st, err := store.Attach(b.ctx, snapshot)
	if err != nil {
		return err
	}
	if t := &b.totals; b.bundles.Bucket() != "" {
		t.Bucket = b.bundles.Bucket()
		t.Versions, t.Packs, err = b.addBucket(st)
	} else {
		err = b.addStored(st)
	}
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	if err := b.addImages(dir); err != nil {
		return err
	}
	if err := b.addSums(); err != nil {
		return fmt.Errorf("back up the sums: %w", err)
	}
	return b.tar.Close()
}

// addDatabase adds the snapshot of the database, compressed.
func (b *backup) addDatabase(snapshot string) error {
	packed := filepath.Join(b.temp, databaseMember)
	if err := pack(snapshot, packed); err != nil {
		return err
	}
	f, err := os.Open(packed)
	if err != nil {
		return err
	}
	_, err = b.add(databaseMember, f)
	return errors.Join(err, f.Close(), os.Remove(packed))
}

// pack compresses the file at from into a new one at to.
func pack(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close() // once more, when something failed
	enc, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	_, err = io.Copy(enc, in)
	return errors.Join(err, enc.Close(), out.Close())
}

// addStored adds all manifests and packs recorded in st.
func (b *backup) addStored(st *store.Store) error {
	for n, err := range storedFiles(b.ctx, st, ever) {
		if err != nil {
			return err
		}
		b.total += n.pack.Size
	}
	for n, err := range storedFiles(b.ctx, st, ever) {
		if err == nil {
			err = b.addFile(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addFile adds one manifest or pack.
func (b *backup) addFile(n storedFile) error {
	f, err := n.open(b.bundles)
	if errors.Is(err, fs.ErrNotExist) {
		return slipway.Errorf(slipway.Invalid, "%s is missing, so there would be no whole backup. slipway fsck says what else is damaged.", n.title())
	}
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := b.add(n.path(), f)
	switch {
	case err != nil:
		return fmt.Errorf("back up %s: %w", n.path(), err)
	case n.pack.SHA256 == "":
		b.totals.Versions++
		return nil
	case sum != n.pack.SHA256:
		return slipway.Errorf(slipway.Invalid, "%s is damaged, so there would be no whole backup. slipway fsck says what else is.", n.title())
	}
	b.totals.Packs++
	b.done += n.pack.Size
	b.progress(b.done, b.total)
	return nil
}

// add adds a member and returns its sha256, in hex.
func (b *backup) add(name string, f bundle.File) (sum string, err error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if err := b.append(name, info.Size(), io.TeeReader(f, h)); err != nil {
		return "", err
	}
	b.totals.Bytes += info.Size()
	sum = hex.EncodeToString(h.Sum(nil))
	return sum, writeSum(b.sums, sum, name)
}

// append writes one member, without a checksum.
func (b *backup) append(name string, size int64, r io.Reader) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	if err := b.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size}); err != nil {
		return err
	}
	if _, err := io.Copy(b.tar, r); err != nil {
		return err
	}
	return b.tar.Flush() // fails if r was shorter than size
}

func writeSum(w io.Writer, sum, name string) error {
	_, err := fmt.Fprintf(w, "%s  %s\n", sum, name)
	return err
}

// addSums adds the list of checksums.
func (b *backup) addSums() error {
	size, err := b.sums.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := b.sums.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return b.append(sumsMember, size, bufio.NewReader(b.sums))
}

// addBucket adds the address of the bucket, after checking that the bucket holds
// all manifests and packs recorded in st.
func (b *backup) addBucket(st *store.Store) (versions, packs int, err error) {
	f, err := b.bundles.OpenBucketFile()
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	if _, err := b.add(bundle.BucketFile, f); err != nil {
		return 0, 0, err
	}
	return inBucket(b.ctx, st, b.bundles)
}

// registryParts are the backed-up folders of the registry, in order: references
// before blobs, as a blob is pushed before its reference.
var registryParts = []string{"pins", "docker/registry/v2/repositories", "docker/registry/v2/blobs"}

// addImages adds the registry and the keys for sealed passwords. A start that
// finishes a rotation moves the next key to the place of the key: read in this order,
// the backup has the next key under one name or both.
func (b *backup) addImages(dir string) error {
	for _, part := range registryParts {
		if err := b.addTree(dir, path.Join(datadir.Registry, part)); err != nil {
			return err
		}
	}
	return errors.Join(b.addPlain(dir, datadir.NextKey), b.addPlain(dir, datadir.SecretKey))
}

// addTree adds the files below a folder, without unfinished pushes, as a restored
// portal cannot continue a push.
func (b *backup) addTree(dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(name)), func(at string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // no image yet, or an image deleted just now
		case err != nil:
			return err
		case e.IsDir() && e.Name() == "_uploads":
			return fs.SkipDir
		case !e.Type().IsRegular() || strings.HasPrefix(e.Name(), durable.TempPrefix):
			return nil
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		return b.addPlain(dir, filepath.ToSlash(rel))
	})
}

// addPlain adds one file of the data folder, if present.
func (b *backup) addPlain(dir, name string) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = b.add(name, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("back up %s: %w", name, err)
	}
	return nil
}

// isImageMember reports whether addImages may write a member of this name.
func isImageMember(name string) bool {
	return name == datadir.SecretKey || name == datadir.NextKey || fs.ValidPath(name) && strings.HasPrefix(name, datadir.Registry+"/")
}

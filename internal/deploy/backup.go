package deploy

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

	"github.com/klauspost/compress/zstd"

	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// A backup is a tar of these members, in this order; the last has a line for
// each of the others, as sha256sum prints it. Where manifests and packs are in a
// bucket, bundle.BucketFile stands for them.
const (
	databaseName   = "slipway.db"
	backupDatabase = databaseName + ".zst"
	bundlesName    = "bundles" // <namespace>/<version>.json.zst
	packsName      = "packs"   // <namespace>/<sha256>.tar.zst
	backupSums     = "SHA256SUMS"
)

// BackupTotals says what a backup holds.
type BackupTotals struct {
	Versions, Packs int
	Bytes           int64  // of packs and manifests
	Bucket          string // in which they are, not in the backup; "" if they are in it
}

// WriteBackup writes the records and all files that they name to w. The engine
// may go on meanwhile, here or in another process: a lease holds back only the
// removal of files. Images and keys are those of the data folder dir. In temp, a folder of its own, a copy of the records stands
// for a while. progress is told the bytes of packs that were copied, and of all.
func WriteBackup(ctx context.Context, st *store.Store, bundles *bundle.Store, dir, temp string, w io.Writer, progress func(done, total int64)) (t BackupTotals, err error) {
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

// backup is one that is being written.
type backup struct {
	ctx      context.Context
	bundles  *bundle.Store
	temp     string
	tar      *tar.Writer
	sums     *os.File // what will be the last member
	progress func(done, total int64)
	done     int64
	total    int64
	totals   BackupTotals
}

func newBackup(ctx context.Context, bundles *bundle.Store, temp string, w io.Writer, progress func(done, total int64)) (*backup, error) {
	sums, err := os.Create(filepath.Join(temp, backupSums))
	if err != nil {
		return nil, err
	}
	return &backup{ctx: ctx, bundles: bundles, temp: temp, tar: tar.NewWriter(w), sums: sums, progress: progress}, nil
}

func (b *backup) write(from *store.Store, dir string) error {
	snapshot := filepath.Join(b.temp, databaseName)
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
		err = b.addNamed(st)
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

func (b *backup) addDatabase(snapshot string) error {
	packed := filepath.Join(b.temp, backupDatabase)
	if err := pack(snapshot, packed); err != nil {
		return err
	}
	f, err := os.Open(packed)
	if err != nil {
		return err
	}
	_, err = b.add(backupDatabase, f)
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

// addNamed adds all files that the records in st name.
func (b *backup) addNamed(st *store.Store) error {
	for n, err := range allNamed(b.ctx, st, ever) {
		if err != nil {
			return err
		}
		b.total += n.pack.Size
	}
	for n, err := range allNamed(b.ctx, st, ever) {
		if err == nil {
			err = b.addFile(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addFile adds the file that n names.
func (b *backup) addFile(n named) error {
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

func (n named) open(bundles *bundle.Store) (bundle.File, error) {
	if n.pack.SHA256 == "" {
		return bundles.OpenManifest(n.of.Namespace, n.version.Version)
	}
	return bundles.OpenPack(n.of.Namespace, n.pack.SHA256)
}

// path is where n lies in a backup, as in a data folder.
func (n named) path() string {
	if n.pack.SHA256 == "" {
		return path.Join(bundlesName, n.of.Namespace, n.version.Version.Dir()+".json.zst")
	}
	return path.Join(packsName, n.of.Namespace, n.pack.SHA256+".tar.zst")
}

func (n named) title() string {
	if n.pack.SHA256 == "" {
		return fmt.Sprintf("The manifest of version %s of %s (%s)", n.version.Version, n.of.Name, n.of.Namespace)
	}
	return fmt.Sprintf("The pack %s of %s (%s)", n.pack.SHA256, n.of.Name, n.of.Namespace)
}

// add adds a member and returns its sum.
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
	return b.tar.Flush() // fails when it was too short
}

func writeSum(w io.Writer, sum, name string) error {
	_, err := fmt.Fprintf(w, "%s  %s\n", sum, name)
	return err
}

func (b *backup) addSums() error {
	size, err := b.sums.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := b.sums.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return b.append(backupSums, size, bufio.NewReader(b.sums))
}

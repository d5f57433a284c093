package image

import (
	"context"
	"hash/maphash"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// driver is the registry's folder. Looking up a blob, or a repository's link
// to the blob, counts as a use, and Sweep removes no blob used lately. Both
// take the lock of the digest, so a client either learns that the blob is
// missing, or the blob stays.
type driver struct {
	storagedriver.StorageDriver
	root  string
	locks *locks // by digest
	tags  *locks // by repository and tag; taken before a digest's
	pins  pins
	claim func(bytes int64) (release func(), err error) // nil: no check
	every time.Duration                                 // how fresh a file's time must be to be left alone
}

// Paths of distribution's storage layout.
const (
	blobsPath        = "/docker/registry/v2/blobs/sha256"
	repositoriesPath = "/docker/registry/v2/repositories"
)

func newDriver(cfg Config) *driver {
	dir := cfg.Dir
	return &driver{
		StorageDriver: filesystem.New(filesystem.DriverParameters{RootDirectory: dir, MaxThreads: maxThreads}),
		root:          dir, locks: newLocks(), tags: newLocks(), pins: pins{filepath.Join(dir, "pins")}, every: touchEvery, claim: cfg.Claim,
	}
}

// maxThreads bounds concurrent calls of the file system. An upload that waits
// for its client occupies none.
const maxThreads = 100

// file returns the name of the file at path.
func (d *driver) file(path string) string { return filepath.Join(d.root, filepath.FromSlash(path)) }

// Stat implements storagedriver.StorageDriver, and counts as a use of a blob.
func (d *driver) Stat(ctx context.Context, path string) (storagedriver.FileInfo, error) {
	if hex := digestOf(path); hex != "" {
		defer d.locks.lock(hex)()
		if err := d.touch(path); err != nil {
			return nil, err
		}
	}
	return d.StorageDriver.Stat(ctx, path)
}

// GetContent implements storagedriver.StorageDriver.
func (d *driver) GetContent(ctx context.Context, path string) ([]byte, error) {
	if hex := digestOf(path); hex != "" {
		defer d.locks.lock(hex)()
		if err := d.touch(path); err != nil {
			return nil, err
		}
	}
	return d.StorageDriver.GetContent(ctx, path)
}

// PutContent implements storagedriver.StorageDriver.
func (d *driver) PutContent(ctx context.Context, path string, content []byte) error {
	if repository, tag := tagOf(path); tag != "" {
		defer d.tags.lock(tagKey(repository, tag))()
		if err := d.pins.mayTag(repository, tag); err != nil {
			return err
		}
	}
	if hex := digestOf(path); hex != "" {
		defer d.locks.lock(hex)()
	}
	return d.StorageDriver.PutContent(ctx, path, content)
}

// Writer implements storagedriver.StorageDriver.
func (d *driver) Writer(ctx context.Context, path string, more bool) (storagedriver.FileWriter, error) {
	w, err := d.StorageDriver.Writer(ctx, path, more)
	if err != nil || d.claim == nil {
		return w, err
	}
	return &spaceCheckedWriter{FileWriter: w, room: claims{claim: d.claim}}, nil
}

// spaceCheckedWriter checks the free space while writing a file.
type spaceCheckedWriter struct {
	storagedriver.FileWriter
	room claims
}

// claims are the claimed bytes of one writer.
type claims struct {
	claim func(bytes int64) (release func(), err error) // nil: no check
	free  func()                                        // gives the last claim back; nil for none
	left  int64                                         // claimed bytes, not written yet
}

// spaceStep is the number of bytes claimed at once.
const spaceStep = 32 << 20

// take uses bytes of the claim. A used up claim goes back before the next one:
// the bytes on the disk are no longer free.
func (c *claims) take(bytes int64) (err error) {
	if c.left -= bytes; c.left >= 0 || c.claim == nil {
		return nil
	}
	c.release()
	c.free, err = c.claim(spaceStep)
	if err == nil {
		c.left = spaceStep
	}
	return err
}

// release gives the claim back.
func (c *claims) release() {
	if c.free != nil {
		c.free()
	}
	c.free, c.left = nil, 0
}

// Write implements io.Writer.
func (r *spaceCheckedWriter) Write(p []byte) (int, error) {
	if err := r.room.take(int64(len(p))); err != nil {
		return 0, err
	}
	return r.FileWriter.Write(p)
}

// Close implements io.Closer.
func (r *spaceCheckedWriter) Close() error {
	r.room.release()
	return r.FileWriter.Close()
}

// Cancel implements storagedriver.FileWriter.
func (r *spaceCheckedWriter) Cancel(ctx context.Context) error {
	r.room.release()
	return r.FileWriter.Cancel(ctx)
}

// Commit implements storagedriver.FileWriter.
func (r *spaceCheckedWriter) Commit(ctx context.Context) error {
	r.room.release()
	return r.FileWriter.Commit(ctx)
}

// Delete implements storagedriver.StorageDriver, and refuses final tags and
// retained images.
func (d *driver) Delete(ctx context.Context, path string) error {
	if repository, tag := tagOf(path + "/current/link"); tag != "" {
		defer d.tags.lock(tagKey(repository, tag))()
		if err := d.pins.mayTag(repository, tag); err != nil {
			return err
		}
	}
	if repository, hex := revisionOf(path); hex != "" {
		defer d.locks.lock(hex)()
		if err := d.pins.mayDelete(repository, "sha256:"+hex); err != nil {
			return err
		}
	}
	return d.StorageDriver.Delete(ctx, path)
}

// Move implements storagedriver.StorageDriver: a complete upload becomes a
// blob.
func (d *driver) Move(ctx context.Context, from, to string) error {
	hex := digestOf(to)
	if hex == "" {
		return d.StorageDriver.Move(ctx, from, to)
	}
	defer d.locks.lock(hex)()
	if err := d.StorageDriver.Move(ctx, from, to); err != nil {
		return err
	}
	return d.touch(to)
}

// touchEvery is how exactly the time of a use is kept.
const touchEvery = time.Minute

// touch records a use of the file at path. The caller has the digest's lock.
func (d *driver) touch(path string) error {
	name, now := d.file(path), time.Now()
	info, err := os.Stat(name)
	switch {
	case os.IsNotExist(err):
		return nil // the caller's next step reports the missing file
	case err != nil:
		return err
	case now.Sub(info.ModTime()) < d.every && !info.ModTime().After(now):
		return nil
	}
	return os.Chtimes(name, time.Time{}, now)
}

// digestOf returns the digest, in hex, of the blob or link at path; "" for
// other paths.
func digestOf(path string) string {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 3 || parts[n-1] != "data" && parts[n-1] != "link" || len(parts[n-2]) != 64 {
		return ""
	}
	return parts[n-2]
}

// tagOf returns the tag with the current link at path.
func tagOf(path string) (repository, tag string) {
	rest, ok := strings.CutPrefix(path, repositoriesPath+"/")
	rest, current := strings.CutSuffix(rest, "/current/link")
	repository, tag, found := strings.Cut(rest, "/_manifests/tags/")
	if !ok || !current || !found || strings.Contains(tag, "/") {
		return "", ""
	}
	return repository, tag
}

func tagKey(repository, tag string) string { return repository + ":" + tag }

// revisionOf returns the digest, in hex, of the manifest with the link at
// path.
func revisionOf(path string) (repository, hex string) {
	rest, ok := strings.CutPrefix(path, repositoriesPath+"/")
	repository, rest, found := strings.Cut(rest, "/_manifests/revisions/sha256/")
	if !ok || !found {
		return "", ""
	}
	return repository, strings.TrimSuffix(rest, "/link")
}

// locks are locks by name. Two names may share one.
type locks struct {
	seed maphash.Seed
	all  [256]sync.Mutex
}

func newLocks() *locks { return &locks{seed: maphash.MakeSeed()} }

// lock locks name and returns the unlock function.
func (l *locks) lock(name string) (unlock func()) {
	mu := l.of(name)
	mu.Lock()
	return mu.Unlock
}

func (l *locks) of(name string) *sync.Mutex {
	return &l.all[maphash.String(l.seed, name)%uint64(len(l.all))]
}

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

// driver is the registry's folder. A blob that a client has found stays:
// reading a blob, or a repository's link to the blob, counts as a use, and
// Sweep removes no recently used blob. Use and removal hold the digest's lock:
// either the client gets "not found", or the blob stays.
type driver struct {
	storagedriver.StorageDriver
	root       string
	locks      *locks // by digest
	tags       *locks // by repository and tag; taken before a digest's
	pins       pins
	checkSpace func(bytes int64) error
	every      time.Duration // how fresh a file's time must be to be left alone
}

// The paths of distribution's storage.
const (
	blobsPath        = "/docker/registry/v2/blobs/sha256"
	repositoriesPath = "/docker/registry/v2/repositories"
)

func newDriver(cfg Config) *driver {
	dir := cfg.Dir
	return &driver{
		StorageDriver: filesystem.New(filesystem.DriverParameters{RootDirectory: dir, MaxThreads: maxThreads}),
		root:          dir, locks: newLocks(), tags: newLocks(), pins: pins{filepath.Join(dir, "pins")}, every: touchEvery, checkSpace: cfg.CheckSpace,
	}
}

// maxThreads is the largest number of concurrent file system calls. A
// connection that sends a layer holds none between calls.
const maxThreads = 100

// file returns the name of the file at path.
func (d *driver) file(path string) string { return filepath.Join(d.root, filepath.FromSlash(path)) }

// Stat implements storagedriver.StorageDriver. Finding a blob counts as a use.
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
	if err != nil || d.checkSpace == nil {
		return w, err
	}
	return &spaceCheckedFile{FileWriter: w, checkSpace: d.checkSpace}, nil
}

// spaceCheckedFile is a file with a check of the free disk space.
type spaceCheckedFile struct {
	storagedriver.FileWriter
	checkSpace func(bytes int64) error
	left       int64 // bytes still free of the last check
}

// spaceStep is the number of bytes for one check of the free disk space.
const spaceStep = 32 << 20

// Write implements io.Writer.
func (r *spaceCheckedFile) Write(p []byte) (int, error) {
	if r.left -= int64(len(p)); r.left < 0 {
		if err := r.checkSpace(spaceStep); err != nil {
			return 0, err
		}
		r.left = spaceStep
	}
	return r.FileWriter.Write(p)
}

// Delete implements storagedriver.StorageDriver. Final tags and held images
// stay.
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

// Move implements storagedriver.StorageDriver. A complete upload becomes a
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

// touchEvery is the precision of the time of use.
const touchEvery = time.Minute

// touch records a use of the file at path. The caller holds the digest's lock.
func (d *driver) touch(path string) error {
	name, now := d.file(path), time.Now()
	info, err := os.Stat(name)
	switch {
	case os.IsNotExist(err):
		return nil // the caller reports the missing file
	case err != nil:
		return err
	case now.Sub(info.ModTime()) < d.every && !info.ModTime().After(now):
		return nil
	}
	return os.Chtimes(name, time.Time{}, now)
}

// digestOf returns the digest, as hex, of the blob or link at path; "" for
// other files.
func digestOf(path string) string {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 3 || parts[n-1] != "data" && parts[n-1] != "link" || len(parts[n-2]) != 64 {
		return ""
	}
	return parts[n-2]
}

// tagOf returns the tag of the current link at path.
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

// revisionOf returns the digest, as hex, of the manifest link at path.
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

// lock locks name and returns the function to unlock.
func (l *locks) lock(name string) (unlock func()) {
	mu := l.of(name)
	mu.Lock()
	return mu.Unlock
}

func (l *locks) of(name string) *sync.Mutex {
	return &l.all[maphash.String(l.seed, name)%uint64(len(l.all))]
}

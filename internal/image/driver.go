package image

import (
	"context"
	"hash/maphash"
	"os"
	"path/filepath"
	"regexp"
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
	if strings.HasPrefix(path, blobsPath) { // a manifest
		share := shareOf(ctx)
		if err := share.take(int64(len(content))); err != nil {
			responseOf(ctx).refuseSpace(err)
			return err
		}
		share.release()
	}
	return d.StorageDriver.PutContent(ctx, path, content)
}

// Writer implements storagedriver.StorageDriver.
func (d *driver) Writer(ctx context.Context, path string, more bool) (storagedriver.FileWriter, error) {
	w, err := d.StorageDriver.Writer(ctx, path, more)
	answer := responseOf(ctx)
	if err != nil || d.claim == nil && (answer == nil || !answer.account.counts()) {
		return w, err
	}
	return &spaceCheckedWriter{FileWriter: w, room: claims{claim: d.claim}, share: shareOf(ctx), answer: answer}, nil
}

// spaceCheckedWriter checks the free space, and the sender's account, while writing a
// file.
type spaceCheckedWriter struct {
	storagedriver.FileWriter
	room   claims
	share  share
	answer *response // nil outside of requests
}

// share counts the bytes of one writer in the account of the sender, in steps.
type share struct {
	account Account
	left    int64 // counted bytes, not written yet
}

// shareStep is the number of bytes counted at once.
const shareStep = 1 << 20

// shareOf returns an empty share of the sender of a request.
func shareOf(ctx context.Context) share {
	if a := responseOf(ctx); a != nil {
		return share{account: a.account}
	}
	return share{}
}

// take counts bytes: a step, or only the missing bytes where a step does not fit.
func (s *share) take(bytes int64) error {
	missing := bytes - s.left
	if missing <= 0 || !s.account.counts() {
		s.left = max(s.left-bytes, 0)
		return nil
	}
	step := max(missing, shareStep)
	err := s.account.Take(step)
	if err != nil && step > missing {
		step = missing
		err = s.account.Take(step)
	}
	if err == nil {
		s.left += step - bytes
	}
	return err
}

// release gives the unused part of a step back.
func (s *share) release() {
	if s.account.counts() && s.left > 0 {
		s.account.Return(s.left)
	}
	s.left = 0
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

// Write implements io.Writer. A refusal becomes the answer to the client.
func (r *spaceCheckedWriter) Write(p []byte) (int, error) {
	err := r.room.take(int64(len(p)))
	if err == nil {
		err = r.share.take(int64(len(p)))
	}
	if err != nil {
		r.answer.refuseSpace(err)
		return 0, err
	}
	return r.FileWriter.Write(p)
}

// release gives back all that was claimed and not written.
func (r *spaceCheckedWriter) release() {
	r.room.release()
	r.share.release()
}

// Close implements io.Closer.
func (r *spaceCheckedWriter) Close() error {
	r.release()
	return r.FileWriter.Close()
}

// Cancel implements storagedriver.FileWriter.
func (r *spaceCheckedWriter) Cancel(ctx context.Context) error {
	r.release()
	written := r.FileWriter.Size()
	err := r.FileWriter.Cancel(ctx)
	if err == nil && r.share.account.counts() {
		r.share.account.Return(written)
	}
	return err
}

// Commit implements storagedriver.FileWriter.
func (r *spaceCheckedWriter) Commit(ctx context.Context) error {
	r.release()
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
	return d.deleteCounted(ctx, path)
}

// deleteCounted deletes a path. The bytes of an upload that became no blob go back to
// the sender's account.
func (d *driver) deleteCounted(ctx context.Context, path string) error {
	gone := int64(0)
	if strings.Contains(path, "/_uploads/") {
		if info, err := os.Stat(filepath.Join(d.file(path), "data")); err == nil {
			gone = info.Size()
		}
	}
	err := d.StorageDriver.Delete(ctx, path)
	if a := responseOf(ctx); err == nil && a != nil && a.account.counts() && gone > 0 {
		a.account.Return(gone)
	}
	return err
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

// digestOf returns the digest, in hex, of the blob or link at path, of any algorithm;
// "" for other paths.
func digestOf(path string) string {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 3 || parts[n-1] != "data" && parts[n-1] != "link" || !hexForm.MatchString(parts[n-2]) {
		return ""
	}
	return parts[n-2]
}

// hexForm is the form of a digest without the algorithm: SHA-256, SHA-384 or SHA-512.
var hexForm = regexp.MustCompile(`^([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$`)

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

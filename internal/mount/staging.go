package mount

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// syncEach is up to how many new files and folders are made durable one by one.
// Above, the whole file system is.
const syncEach = 64

// staging is a version during writing. The list of its files is in the record on
// disk, not in memory.
type staging struct {
	dir     string
	version slipway.Version
	stamp   time.Time // of new files
	at      *dagsDir
	masked  bool // the umask removes permissions needed by files

	record  *os.File // read and written
	list    *bundle.ListWriter
	last    string         // path of the last file
	folders int            // below dags
	missing missingFiles   // contents to unpack
	links   []slipway.File // symlinks to make

	mu       sync.Mutex // guards fresh and done while files are written
	fresh    []string   // paths written rather than linked, at most syncEach and one
	done     int64      // bytes unpacked
	progress func(done, total int64)

	reserve int64 // bytes to leave free on the disk
}

// addFresh notes a file with written, not linked, content.
func (s *staging) addFresh(f recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fresh) <= syncEach {
		s.fresh = append(s.fresh, f.Path)
	}
}

// nextStamp returns the time for files written at now: in whole seconds, as
// every file system keeps whole seconds, and later than any version on disk,
// since Python compares source files by second and size.
func nextStamp(on []MountedVersion, now time.Time) time.Time {
	stamp := now.Truncate(time.Second)
	for _, v := range on {
		if !stamp.After(v.MountedAt) {
			stamp = v.MountedAt.Truncate(time.Second).Add(time.Second)
		}
	}
	return stamp
}

// newStaging begins a version in a temporary folder in versions, and the record in
// a temporary file beside.
func newStaging(versions string, v slipway.Version, stamp time.Time) (*staging, error) {
	dir, err := os.MkdirTemp(versions, durable.TempPattern)
	if err != nil {
		return nil, err
	}
	s := &staging{dir: dir, version: v, stamp: stamp}
	if err := s.open(versions); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *staging) open(versions string) (err error) {
	if err := errors.Join(s.makeRoot(), os.Chtimes(s.dir, s.stamp, s.stamp)); err != nil {
		return err
	}
	if s.at, err = createDagsDir(s.dir); err != nil {
		return err
	}
	if s.record, err = os.CreateTemp(versions, durable.TempPattern); err != nil {
		return err
	}
	s.list = bundle.NewListWriter(s.record, s.version)
	return nil
}

// close removes the leftovers of a failure, or the damaged version that was
// replaced.
func (s *staging) close() error {
	if s.at != nil {
		s.at.close()
	}
	if s.record != nil {
		_ = s.record.Close()
		_ = os.Remove(s.record.Name()) // finds nothing once renamed
	}
	return durable.RemoveTree(s.dir)
}

// makeRoot makes the dags folder. Folders below are made on entering.
func (s *staging) makeRoot() error {
	dags := filepath.Join(s.dir, dagsName)
	if err := os.Mkdir(dags, 0o777); err != nil {
		return err
	}
	info, err := os.Stat(dags)
	if err != nil {
		return err
	}
	s.masked = info.Mode()&0o555 != 0o555
	return os.Chmod(dags, 0o700)
}

// addLinks makes the symlinks. Nothing is ever written through one: no path of a
// manifest lies below another.
func (s *staging) addLinks() error {
	for _, f := range s.links {
		if err := s.at.symlink(recorded{File: f}); err != nil {
			return fmt.Errorf("make symlinks: %w", err)
		}
	}
	return nil
}

// seal takes the right to write from the folders.
func (s *staging) seal() error {
	return s.eachFolder(func(dir string) error { return os.Chmod(dir, 0o555) })
}

// eachFolder calls fn with every folder of the version on disk, parents first.
func (s *staging) eachFolder(fn func(path string) error) error {
	dags := filepath.Join(s.dir, dagsName)
	if err := errors.Join(fn(s.dir), fn(dags)); err != nil {
		return err
	}
	last := ""
	list := bundle.NewListReader(io.NewSectionReader(s.record, 0, math.MaxInt64))
	for {
		f, err := list.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return inVersion(s.version, err)
		}
		for _, dir := range bundle.NewFolders(last, f.Path) {
			if err := fn(filepath.Join(dags, dir)); err != nil {
				return err
			}
		}
		last = f.Path
	}
}

// place makes s durable and renames s to the name of the version. The record is
// renamed first: a version without a record cannot appear.
func (s *staging) place(ctx context.Context, m *records) error {
	if err := s.sync(ctx); err != nil {
		return fmt.Errorf("make durable: %w", err)
	}
	if err := os.Rename(s.record.Name(), m.recordPath(s.version)); err != nil {
		return err
	}
	path := m.versionPath(s.version)
	err := os.Rename(s.dir, path)
	if errors.Is(err, fs.ErrExist) {
		err = durable.Exchange(s.dir, path) // a damaged version is in the way
	}
	if err != nil {
		return err
	}
	return durable.SyncPath(m.versions())
}

func (s *staging) sync(ctx context.Context) error {
	if len(s.fresh)+s.folders > syncEach {
		return durable.SyncTree(filepath.Dir(s.dir))
	}
	paths := []string{s.record.Name()}
	for _, path := range s.fresh {
		paths = append(paths, filepath.Join(s.dir, dagsName, path))
	}
	err := s.eachFolder(func(dir string) error {
		paths = append(paths, dir)
		return nil
	})
	if err != nil {
		return err
	}
	return durable.SyncPaths(ctx, paths)
}

// write makes the file f with the bytes written by fill.
func (s *staging) write(at *dagsDir, f recorded, fill func(io.Writer) error) error {
	out, err := at.create(f)
	if err != nil {
		return err
	}
	err = fill(out)
	if s.masked {
		err = errors.Join(err, out.chmod(mode(f.File)))
	}
	if err := errors.Join(err, out.close()); err != nil {
		return err
	}
	return at.setTime(f)
}

// unlinkable reports whether err means: no hard link possible, while a copy is.
func unlinkable(err error) bool {
	return errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EXDEV) ||
		errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP)
}

// verified fills a file with r, and fails unless the content has f's SHA-256.
func verified(f recorded, r io.Reader) func(io.Writer) error {
	return func(w io.Writer) error {
		sum := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, sum), r); err != nil {
			return err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
			return bundle.ContentError(f.SHA256, got)
		}
		return nil
	}
}

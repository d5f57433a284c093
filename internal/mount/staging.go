package mount

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// syncEach is up to how many new files and folders are made durable one by one.
// Above, the whole file system is.
const syncEach = 64

// staging is a version during writing.
type staging struct {
	dir     string
	man     slipway.Manifest
	order   []int      // of the files, folder by folder
	files   []recorded // files of man, with their times on disk
	inPlace []bool     // whether a file is in place
	dirs    []string   // the folders below dags, parents first
	at      *dagsDir
	masked  bool // the umask removes permissions needed by files

	mu       sync.Mutex // guards fresh and done while files are written
	written  []string   // paths written rather than linked
	done     int64      // bytes unpacked
	total    int64      // bytes to unpack
	progress func(done, total int64)

	reserve int64 // bytes to leave free on the disk
}

// addWritten notes a file with written, not linked, content.
func (s *staging) addWritten(f recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = append(s.written, f.Path)
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

// newStaging begins a version in a temporary folder in versions.
func newStaging(versions string, man slipway.Manifest, stamp time.Time) (*staging, error) {
	dir, err := os.MkdirTemp(versions, durable.TempPattern)
	if err != nil {
		return nil, err
	}
	s := &staging{dir: dir, man: man, order: byFolder(man.Files), dirs: foldersOf(man.Files),
		files: make([]recorded, len(man.Files)), inPlace: make([]bool, len(man.Files))}
	for i, f := range man.Files {
		s.files[i].File = f
		if f.Link == "" {
			s.files[i].MTime = stamp.Unix()
		}
	}
	if err := errors.Join(s.makeRoot(), os.Chtimes(dir, stamp, stamp)); err != nil {
		return nil, errors.Join(err, durable.RemoveTree(dir))
	}
	if s.at, err = createDagsDir(dir); err != nil {
		return nil, errors.Join(err, durable.RemoveTree(dir))
	}
	return s, nil
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

// reuseLast takes unchanged files from the current version, or else from the
// version mounted last.
func (s *staging) reuseLast(ctx context.Context, m *records, on []MountedVersion) error {
	for _, v := range on {
		before, ok, err := m.recent(v.Version)
		if err != nil {
			return err
		}
		if ok && v.Version != s.man.Version {
			return s.reuse(ctx, m.versionPath(v.Version), before)
		}
	}
	return nil
}

// links makes the symlinks. Nothing is ever written through one: no path of a
// manifest lies below another.
func (s *staging) links() error {
	for _, i := range s.order {
		f := s.files[i]
		if f.Link == "" {
			continue
		}
		if err := s.at.symlink(f); err != nil {
			return err
		}
		s.inPlace[i] = true
	}
	return nil
}

// seal takes the right to write from the folders.
func (s *staging) seal() error {
	for _, dir := range s.paths() {
		if err := os.Chmod(dir, 0o555); err != nil {
			return err
		}
	}
	return nil
}

// paths returns every folder of the version on disk.
func (s *staging) paths() []string {
	dags := filepath.Join(s.dir, dagsName)
	list := append(make([]string, 0, 2+len(s.dirs)), s.dir, dags)
	for _, dir := range s.dirs {
		list = append(list, filepath.Join(dags, dir))
	}
	return list
}

// place makes s durable and renames s to the name of the version. The record is
// renamed first: a version without a record cannot appear.
func (s *staging) place(ctx context.Context, m *records) error {
	r := record{s.man.Version, s.files}
	temp, err := r.write(m.versions())
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	defer os.Remove(temp) // finds nothing once renamed
	if err := s.sync(ctx, temp); err != nil {
		return fmt.Errorf("make durable: %w", err)
	}
	if err := os.Rename(temp, m.recordPath(s.man.Version)); err != nil {
		return err
	}
	path := m.versionPath(s.man.Version)
	err = os.Rename(s.dir, path)
	if errors.Is(err, fs.ErrExist) {
		err = durable.Exchange(s.dir, path) // a damaged version is in the way
	}
	if err != nil {
		return err
	}
	if err := durable.SyncPath(m.versions()); err != nil {
		return err
	}
	m.last.put(r)
	return nil
}

func (s *staging) sync(ctx context.Context, record string) error {
	if len(s.written)+len(s.dirs) > syncEach {
		return durable.SyncTree(filepath.Dir(s.dir))
	}
	paths := append(s.paths(), record)
	for _, path := range s.written {
		paths = append(paths, filepath.Join(s.dir, dagsName, path))
	}
	return durable.SyncPaths(ctx, paths)
}

// unpack writes every file not in place yet.
func (s *staging) unpack(ctx context.Context, src bundle.Source) error {
	u := &unpacker{staging: s, byContent: map[string][]recorded{}, idle: make(chan *unpackWorker, unpackers)}
	places := u.missing()
	if len(places) == 0 {
		return nil
	}
	if err := u.checkSpace(); err != nil {
		return err
	}
	defer u.close()
	for range unpackers {
		if err := u.startWorker(); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	read := bundle.EachFrame(ctx, src, places, func(p slipway.Place, frame io.Reader) error {
		return u.frame(g, p, frame)
	})
	if err := g.Wait(); err != nil { // the cause of the end of reading, too
		return err
	}
	if read != nil {
		return read
	}
	for sha := range u.byContent {
		return fmt.Errorf("content %s is missing from its pack", sha)
	}
	return nil
}

// reuse takes unchanged files from the previous version: as hard links, or as
// copies where the file system does not link. Other files remain to be written.
// A file is only taken for the same path: path and time together always mean one
// content, as caches of Python assume.
func (s *staging) reuse(ctx context.Context, from string, before record) error {
	old := make(map[string]recorded, len(before.Files))
	for _, f := range before.Files {
		old[f.Path] = f
	}
	g, ctx := errgroup.WithContext(ctx)
	half := len(s.order) / 2
	for _, part := range [][]int{s.order[:half], s.order[half:]} {
		g.Go(func() error { return s.reusePart(ctx, part, from, old) })
	}
	return g.Wait()
}

// reusePart is reuse for the files with the indexes in part.
func (s *staging) reusePart(ctx context.Context, part []int, from string, old map[string]recorded) error {
	src, err := openDagsDir(from)
	if err != nil {
		return nil // nothing to take
	}
	defer src.close()
	dst, err := createDagsDir(s.dir)
	if err != nil {
		return err
	}
	defer dst.close()
	for _, i := range part {
		f := &s.files[i]
		was, ok := old[f.Path]
		if f.Link != "" || !ok || !was.Same(f.File) || src.check(was) != nil {
			continue
		}
		f.MTime = was.MTime
		if err := s.take(src, dst, *f); err != nil {
			return err
		}
		if s.inPlace[i] = true; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// take makes f a hard link to the file of the same path in src, or else a copy.
func (s *staging) take(src, dst *dagsDir, f recorded) error {
	err := dst.link(src, f)
	if !unlinkable(err) {
		return err
	}
	in, err := src.root.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	s.addWritten(f)
	return s.write(dst, f, verified(f, in))
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

package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// syncEach is up to how many new files and folders are made durable one by one.
// Above, the whole file system is.
const syncEach = 64

// stage is a version that is being written.
type stage struct {
	dir    string
	man    slipway.Manifest
	order  []int      // of the files, folder by folder
	files  []recorded // man's, with the times they get
	have   []bool     // whether a file is in place
	dirs   []string   // the folders below dags, parents first
	at     *folders
	masked bool // whether the umask takes away permissions that files need

	mu    sync.Mutex // guards fresh and done while files are written
	fresh []string   // the paths whose contents were written
	done  int64      // bytes unpacked
	total int64      // bytes to unpack
	tell  func(done, total int64)

	keep int64 // bytes that stay free
}

// wrote notes that the content of f was written, and not linked.
func (s *stage) wrote(f recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh = append(s.fresh, f.Path)
}

// stage puts man's version on disk.
func (m *Mount) stage(ctx context.Context, man slipway.Manifest, src bundle.Source, tell func(done, total int64)) error {
	if err := m.furnish(); err != nil {
		return err
	}
	on, err := m.onDisk()
	if err != nil {
		return err
	}
	s, err := newStage(m.versions(), man, nextStamp(on, time.Now()))
	if err != nil {
		return err
	}
	s.tell, s.keep = tell, m.keep
	defer durable.RemoveTree(s.dir) // what is left if this fails, or the damaged version that was there
	defer s.at.close()
	if err := m.reuseLast(ctx, s, on); err != nil {
		return fmt.Errorf("link files: %w", err)
	}
	if err := s.links(); err != nil {
		return fmt.Errorf("make symlinks: %w", err)
	}
	if err := s.unpack(ctx, src); err != nil {
		return err
	}
	if err := s.seal(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return m.place(ctx, s)
}

// nextStamp returns the time that files written at now get: whole seconds,
// which every file system keeps, and later than those of any version on disk,
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

// newStage begins a version in a temporary folder in versions.
func newStage(versions string, man slipway.Manifest, stamp time.Time) (*stage, error) {
	dir, err := os.MkdirTemp(versions, durable.TempPattern)
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, man: man, order: byFolder(man.Files), dirs: foldersOf(man.Files),
		files: make([]recorded, len(man.Files)), have: make([]bool, len(man.Files))}
	for i, f := range man.Files {
		s.files[i].File = f
		if f.Link == "" {
			s.files[i].MTime = stamp.Unix()
		}
	}
	if err := errors.Join(s.makeRoot(), os.Chtimes(dir, stamp, stamp)); err != nil {
		return nil, errors.Join(err, durable.RemoveTree(dir))
	}
	if s.at, err = newFolders(dir); err != nil {
		return nil, errors.Join(err, durable.RemoveTree(dir))
	}
	return s, nil
}

// makeRoot makes the dags folder. Those below it are made when they are entered.
func (s *stage) makeRoot() error {
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

// reuseLast takes what is the same from the current version, or else from the
// one mounted last.
func (m *Mount) reuseLast(ctx context.Context, s *stage, on []MountedVersion) error {
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
func (s *stage) links() error {
	for _, i := range s.order {
		f := s.files[i]
		if f.Link == "" {
			continue
		}
		if err := s.at.symlink(f); err != nil {
			return err
		}
		s.have[i] = true
	}
	return nil
}

// seal takes the right to write from the folders.
func (s *stage) seal() error {
	for _, dir := range s.paths() {
		if err := os.Chmod(dir, 0o555); err != nil {
			return err
		}
	}
	return nil
}

// paths returns every folder of the version on disk.
func (s *stage) paths() []string {
	dags := filepath.Join(s.dir, dagsName)
	list := append(make([]string, 0, 2+len(s.dirs)), s.dir, dags)
	for _, dir := range s.dirs {
		list = append(list, filepath.Join(dags, dir))
	}
	return list
}

// place makes s durable and gives it its name: the record first, so that there
// is no version without one.
func (m *Mount) place(ctx context.Context, s *stage) error {
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
	m.last.keep(r)
	return nil
}

func (s *stage) sync(ctx context.Context, record string) error {
	if len(s.fresh)+len(s.dirs) > syncEach {
		return durable.SyncTree(filepath.Dir(s.dir))
	}
	paths := append(s.paths(), record)
	for _, path := range s.fresh {
		paths = append(paths, filepath.Join(s.dir, dagsName, path))
	}
	return durable.SyncPaths(ctx, paths)
}

// unpack writes every file that is not in place yet.
func (s *stage) unpack(ctx context.Context, src bundle.Source) error {
	u := &unpacking{stage: s, wanted: map[string][]recorded{}, idle: make(chan *unpacker, unpackers)}
	places := u.want()
	if len(places) == 0 {
		return nil
	}
	if err := u.room(); err != nil {
		return err
	}
	defer u.close()
	for range unpackers {
		if err := u.hire(); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	read := bundle.EachFrame(ctx, src, places, func(p slipway.Place, frame io.Reader) error {
		return u.frame(g, p, frame)
	})
	if err := g.Wait(); err != nil { // it is why reading ended, too
		return err
	}
	if read != nil {
		return read
	}
	for sha := range u.wanted {
		return fmt.Errorf("content %s is missing from its pack", sha)
	}
	return nil
}

// reuse takes from the version before what is the same in s: as hard links, or
// as copies where the file system does not link. What it cannot take is left
// to be written. A file is only ever taken for the same path, so that path and
// time together always mean one content, as Python's caches assume.
func (s *stage) reuse(ctx context.Context, from string, before record) error {
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

// reusePart is reuse for the files whose indexes are in part.
func (s *stage) reusePart(ctx context.Context, part []int, from string, old map[string]recorded) error {
	src, err := openFolders(from)
	if err != nil {
		return nil // there is nothing to take from
	}
	defer src.close()
	dst, err := newFolders(s.dir)
	if err != nil {
		return err
	}
	defer dst.close()
	for _, i := range part {
		f := &s.files[i]
		was, ok := old[f.Path]
		if f.Link != "" || !ok || !was.Same(f.File) || src.look(was) != nil {
			continue
		}
		f.MTime = was.MTime
		if err := s.take(src, dst, *f); err != nil {
			return err
		}
		if s.have[i] = true; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// take makes f a hard link to the file of the same path in src, or else a copy.
func (s *stage) take(src, dst *folders, f recorded) error {
	err := dst.link(src, f)
	if !unlinkable(err) {
		return err
	}
	in, err := src.root.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	s.wrote(f)
	return s.write(dst, f, verified(f, in))
}

// write makes the file f with what fill writes.
func (s *stage) write(at *folders, f recorded, fill func(io.Writer) error) error {
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
	return at.date(f)
}

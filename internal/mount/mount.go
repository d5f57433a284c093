// Package mount keeps the folder on the side of Airflow: it writes versions of DAG
// bundles to disk, verified and whole, and turns the link `current` to one of them.
package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// The names in a mount's folder that Airflow and people rely on.
const (
	currentName  = "current"
	imageName    = "image"
	versionsName = "versions"
	inUseName    = "in-use"
	dagsName     = "dags"
)

// Mount is the folder in which Airflow finds its DAGs, at current/dags.
type Mount struct {
	dir        string
	lock       *os.File
	mu         sync.Mutex // held by what adds a version, takes one away or turns current
	last       recordCache
	reserve    int64    // bytes that stay free on its disk
	leftovers  []string // leftovers that could not be removed
	prefetches prefetcher
}

// KeepFree has m refuse versions for which there is no room, but for so many
// bytes. It is called before anything is mounted.
func (m *Mount) KeepFree(bytes int64) { m.reserve = bytes }

// Open makes the mount's folders in dir if need be, removes what a crash
// left behind, and locks it against other agents until Close. What cannot be
// removed is no error: Prune tries again, and says why.
func Open(dir string) (*Mount, error) {
	m := &Mount{dir: dir}
	if err := m.ensureFolders(); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written to it
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, slipway.Errorf(slipway.Conflict, "Another agent uses the folder %s.", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	m.lock = lock
	if err := m.clean(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// ensureFolders makes the folders that somebody may have deleted by hand.
func (m *Mount) ensureFolders() error {
	if err := durable.MakeFolders(m.versions(), 0o755); err != nil {
		return err
	}
	return makeInUse(filepath.Join(m.dir, inUseName))
}

// Close lets another agent use the folder. What is mounted stays.
func (m *Mount) Close() error { return m.lock.Close() }

// clean removes leftovers, as far as that is possible.
func (m *Mount) clean() error {
	for _, dir := range []string{m.dir, m.versions()} {
		left, err := durable.Leftovers(dir)
		if err != nil {
			return err
		}
		for _, path := range left {
			if m.mayBeWritten(path) {
				continue
			}
			if durable.RemoveTree(path) != nil && !strings.HasPrefix(filepath.Base(path), quarantinePrefix) {
				m.leftovers = append(m.leftovers, path) // what was set aside, Prune finds
			}
		}
	}
	return nil
}

// writesEnd is how long a file of somebody else is left alone that is being
// written in the mount's folder, such as image.env.
const writesEnd = time.Hour

// mayBeWritten reports whether the leftover at path may be a file that somebody
// else is about to give its name. Versions and links are written under the lock.
func (m *Mount) mayBeWritten(path string) bool {
	info, err := os.Lstat(path)
	return filepath.Dir(path) == m.dir && err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) < writesEnd
}

func (m *Mount) versions() string                     { return filepath.Join(m.dir, versionsName) }
func (m *Mount) versionPath(v slipway.Version) string { return filepath.Join(m.versions(), v.Dir()) }
func (m *Mount) recordPath(v slipway.Version) string  { return m.versionPath(v) + recordSuffix }

// Current returns the version that current points to, or that it points to the
// image. Before either, it is neither, nor where somebody else has put a link
// to elsewhere. It fails where there is a file or a folder of that name, which
// is somebody's.
func (m *Mount) Current() (v slipway.Version, image bool, err error) {
	to, err := m.target()
	if err != nil || to == imageName {
		return "", err == nil, err
	}
	name, below := strings.CutPrefix(to, versionsName+"/")
	if v, ok := slipway.VersionOfDir(name); below && ok {
		return v, false, nil
	}
	return "", false, nil
}

// target returns what current points to, "" where it is not there.
func (m *Mount) target() (string, error) {
	path := filepath.Join(m.dir, currentName)
	to, err := os.Readlink(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case errors.Is(err, unix.EINVAL):
		return "", slipway.Errorf(slipway.Conflict, "%s is a file or a folder, not the link that Slipway makes there. It is not deleted: move it away.", path)
	}
	return to, err
}

// foreign reports whether current points to what Slipway did not put there.
func (m *Mount) foreign() (bool, error) {
	to, err := m.target()
	if err != nil || to == "" {
		return false, err
	}
	v, image, err := m.Current()
	return v == "" && !image, err
}

// Mount makes man's version current. Unless it is on disk already, its files
// are linked from the version before or read from src, and verified; only a
// complete and durable version becomes current. Progress, if not nil, is told
// the bytes written of those to write.
func (m *Mount) Mount(ctx context.Context, man slipway.Manifest, src bundle.Source, progress func(done, total int64)) (err error) {
	defer m.prefetches.preempt(man.Version)(&err)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx, man, src, progress); err != nil {
		return fmt.Errorf("mount %s: %w", man.Version, err)
	}
	return m.turn(versionsName + "/" + man.Version.Dir())
}

// ready puts man's version on disk unless it is there.
func (m *Mount) ready(ctx context.Context, man slipway.Manifest, src bundle.Source, progress func(done, total int64)) error {
	if err := bundle.CheckManifest(man); err != nil {
		return err
	}
	ready, err := m.complete(man)
	if err == nil && !ready {
		err = m.stage(ctx, man, src, progress)
	}
	return err
}

// UseImage makes the image current, whose own DAGs lie at dagsPath in the
// Airflow container.
func (m *Mount) UseImage(dagsPath string) (err error) {
	if !filepath.IsAbs(dagsPath) || filepath.Clean(dagsPath) != dagsPath {
		return fmt.Errorf("%q is no absolute path of a dags folder", dagsPath)
	}
	defer m.prefetches.preempt("")(&err)
	m.mu.Lock()
	defer m.mu.Unlock()
	image := filepath.Join(m.dir, imageName)
	if err := durable.MakeFolders(image, 0o755); err != nil {
		return err
	}
	if err := putLink(filepath.Join(image, dagsName), filepath.Join(m.dir, ".tmp-image-dags"), dagsPath); err != nil {
		return fmt.Errorf("use the image's DAGs: %w", err)
	}
	return m.turn(imageName)
}

// turn makes current point to the name to in the mount's folder.
func (m *Mount) turn(to string) error {
	old, _, err := m.Current()
	if err != nil {
		return err
	}
	if old != "" && to != versionsName+"/"+old.Dir() {
		// The record's time says when its version was current last.
		if err := os.Chtimes(m.recordPath(old), time.Time{}, time.Now()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := putLink(filepath.Join(m.dir, currentName), filepath.Join(m.dir, ".tmp-current"), to); err != nil {
		return fmt.Errorf("turn %s to %s: %w", filepath.Join(m.dir, currentName), to, err)
	}
	return nil
}

// putLink makes path a symlink to to, in one step and durably. It is made at
// temp first.
func putLink(path, temp, to string) error {
	if old, err := os.Readlink(path); err == nil && old == to {
		return nil
	}
	if err := os.Symlink(to, temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return durable.SyncPath(filepath.Dir(path))
}

// Prefetch puts man's version on disk as Mount does, beside the one that is current.
// Mount and UseImage do not wait for it: they call it off.
func (m *Mount) Prefetch(ctx context.Context, man slipway.Manifest, src bundle.Source) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, end := m.prefetches.begin(ctx)
	defer end()
	err := m.ready(ctx, man, src, nil)
	if err != nil && errors.Is(context.Cause(ctx), ErrPreempted) {
		err = ErrPreempted // else it is how the download ended
	}
	if err != nil {
		return fmt.Errorf("add %s: %w", man.Version, err)
	}
	return nil
}

// SweepMarks removes from in-use what is no mark, which is an empty file with a
// version's name: every user may write there, and could fill the disk. It looks
// at a part of a large folder at a time, and returns how many are gone. The
// error names something that cannot be removed: a folder with contents, say.
func (m *Mount) SweepMarks() (removed int, err error) {
	path := filepath.Join(m.dir, inUseName)
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for what is no mark: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxMarks)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("look for what is no mark: %w", err)
	}
	var why error // of the first that stays
	for _, e := range entries {
		gone, err := sweep(int(dir.Fd()), e.Name())
		if gone {
			removed++
		}
		if err != nil && why == nil {
			why = slipway.Errorf(slipway.Conflict, "%s holds %q, which is no mark of a version and cannot be removed: %v. Remove it by hand.", path, e.Name(), err)
		}
	}
	return removed, why
}

// Manifest returns the manifest of a version that is on disk, and whether it
// is: that one is switched to without asking anybody.
func (m *Mount) Manifest(v slipway.Version) (slipway.Manifest, bool, error) {
	r, ok, err := m.recent(v)
	return r.manifest(), ok, err
}

// Intact reports, at a glance, whether v is what current points to, and on
// disk; with v "" whether the image is.
func (m *Mount) Intact(v slipway.Version) bool {
	to := imageName
	if v != "" {
		to = versionsName + "/" + v.Dir()
		if _, err := os.Lstat(m.recordPath(v)); err != nil {
			return false
		}
	}
	if got, err := os.Readlink(filepath.Join(m.dir, currentName)); err != nil || got != to {
		return false
	}
	_, err := os.Lstat(filepath.Join(m.dir, to, dagsName))
	return !errors.Is(err, fs.ErrNotExist)
}

// TurnedAt returns when current was turned to what it points to; the zero time
// where that is not known.
func (m *Mount) TurnedAt() time.Time {
	info, err := os.Lstat(filepath.Join(m.dir, currentName))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

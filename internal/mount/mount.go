// Package mount keeps the folder on the side of Airflow: it writes versions of DAG
// bundles to disk, verified and whole, and turns the link `current` to one of them.
package mount

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// Mount is the folder in which Airflow finds its DAGs, at current/dags.
type Mount struct {
	layout
	currentLink
	marks
	records
	lock       *os.File
	mu         sync.Mutex // held to add a version, to remove one, or to turn current
	reserve    int64      // bytes that stay free on the disk
	leftovers  leftovers
	prefetches prefetcher
}

// KeepFree has m refuse versions for which there is no room, but for so many
// bytes. It is called before anything is mounted.
func (m *Mount) KeepFree(bytes int64) { m.reserve = bytes }

// Open makes the mount's folders in dir if need be, removes what a crash
// left behind, and locks it against other agents until Close. What cannot be
// removed is no error: Prune tries again, and says why.
func Open(dir string) (*Mount, error) {
	l := layout{dir}
	m := &Mount{layout: l, currentLink: currentLink{l}, marks: marks{l}, records: records{layout: l}, leftovers: leftovers{layout: l}}
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
	if err := m.leftovers.clean(); err != nil {
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

// Versions returns the versions on disk: the current one, then the others, the
// last replaced first.
func (m *Mount) Versions() ([]MountedVersion, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.onDisk()
}

// Prune removes versions that were replaced, and needed by Airflow's runs,
// longer than keepFor before now, but never the current one, nor the keepLast
// that were replaced last. It returns those that are gone; what cannot be
// removed stays for the next time, and the error names it. Mounts need not wait
// for it.
func (m *Mount) Prune(ctx context.Context, keepLast int, keepFor time.Duration, now time.Time) (gone []slipway.Version, err error) {
	aside, err := m.quarantineOld(keepLast, keepFor, now)
	if err != nil {
		err = fmt.Errorf("prune: %w", err)
	}
	for _, v := range aside {
		if ctx.Err() != nil {
			return gone, errors.Join(err, ctx.Err())
		}
		if failed := durable.RemoveTree(m.quarantinePath(v)); failed != nil {
			err = errors.Join(err, fmt.Errorf("prune %s: %w", v, failed))
			continue
		}
		gone = append(gone, v)
	}
	return gone, err
}

// quarantineOld gives the versions to be removed names of leftovers, so that none
// is ever seen half removed, and returns them with those of an earlier try. It
// goes on after an error.
func (m *Mount) quarantineOld(keepLast int, keepFor time.Duration, now time.Time) ([]slipway.Version, error) {
	before := now.Add(-keepFor)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ensureFolders(); err != nil {
		return nil, err
	}
	on, err := m.onDisk()
	if err != nil {
		return nil, err
	}
	if strange, err := m.foreign(); err != nil || strange {
		return nil, err // it may lead to any of them
	}
	errs := m.leftovers.retry()
	for _, v := range on {
		keepLast-- // below zero for those after the last to keep
		if v.Current {
			keepLast++
		}
		if v.Current || keepLast >= 0 || v.ReplacedAt.After(before) {
			continue
		}
		errs = errors.Join(errs, quarantine(m.marks, v.Version, before, now))
	}
	aside, err := m.quarantined()
	return aside, errors.Join(errs, err)
}

// Scrub hashes every file on disk again, at bytesPerSecond if that is not 0,
// and returns what is damaged. Nothing is linked from a damaged version any
// more, and the next Mount of it writes it anew.
func (m *Mount) Scrub(ctx context.Context, bytesPerSecond int64) ([]Damage, error) {
	on, err := m.Versions()
	if err != nil {
		return nil, fmt.Errorf("scrub: %w", err)
	}
	s := &scrub{ctx: ctx, rate: bytesPerSecond, sums: map[inode]string{}}
	var all []Damage
	for _, v := range on {
		found, err := m.scrub(s, v.Version)
		if err != nil {
			return all, fmt.Errorf("scrub %s: %w", v.Version, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// scrub checks version v.
func (m *Mount) scrub(s *scrub, v slipway.Version) ([]Damage, error) {
	r, ok, err := m.record(v)
	if err != nil || !ok {
		return nil, err
	}
	at, err := openDagsDir(m.versionPath(v))
	if err != nil {
		return m.dropRecord(v, []Damage{{v, "", err.Error()}})
	}
	defer at.close()
	var found []Damage
	for _, i := range byFolder(r.manifest().Files) {
		why, err := s.file(at, r.Files[i])
		if err != nil {
			return nil, err
		}
		if why != "" {
			found = append(found, Damage{v, r.Files[i].Path, why})
		}
	}
	return m.dropRecord(v, append(found, undeployed(at, r)...))
}

// dropRecord takes the record from a version that is damaged. Without one it was
// pruned in the meantime, and only looked damaged.
func (m *Mount) dropRecord(v slipway.Version, found []Damage) ([]Damage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(found) == 0 {
		return nil, nil
	}
	err := os.Remove(m.recordPath(v))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return found, err
}

// stage puts man's version on disk.
func (m *Mount) stage(ctx context.Context, man slipway.Manifest, src bundle.Source, progress func(done, total int64)) error {
	if err := m.ensureFolders(); err != nil {
		return err
	}
	on, err := m.onDisk()
	if err != nil {
		return err
	}
	s, err := newStaging(m.versions(), man, nextStamp(on, time.Now()))
	if err != nil {
		return err
	}
	s.progress, s.reserve = progress, m.reserve
	defer durable.RemoveTree(s.dir) // what is left if this fails, or the damaged version that was there
	defer s.at.close()
	if err := s.reuseLast(ctx, &m.records, on); err != nil {
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
	return s.place(ctx, &m.records)
}

// Package mount keeps the folder on the side of Airflow: verified, whole
// versions of DAG bundles, and the link `current` to one of them.
package mount

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
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

// Mount is the folder with the DAGs of Airflow, at current/dags.
type Mount struct {
	layout
	currentLink
	marks
	records
	lock       *os.File
	mu         sync.Mutex // held to add a version, to remove one, or to turn current
	reserve    int64      // bytes to leave free on the disk
	leftovers  leftovers
	prefetches prefetcher
}

// KeepFree makes m refuse versions that would leave less than bytes free. Call
// KeepFree before the first mount.
func (m *Mount) KeepFree(bytes int64) { m.reserve = bytes }

// Open makes the folders of the mount in dir, removes leftovers of a crash, and
// locks dir against other agents until Close. A leftover that cannot be removed
// is no error: Prune tries again, and returns the error.
func Open(dir string) (*Mount, error) {
	l := layout{dir}
	m := &Mount{layout: l, currentLink: currentLink{l}, marks: marks{l}, records: records{l}, leftovers: leftovers{layout: l}}
	if err := m.ensureFolders(); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, slipway.Errorf(slipway.Conflict, "Another agent uses the folder %s.", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	m.lock = lock
	err = errors.Join(m.leftovers.clean(), durable.OpenFolder(m.versions(), 0o755), durable.OpenFolder(filepath.Join(dir, imageName), 0o755))
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// ensureFolders makes the folders of the mount where somebody has deleted
// folders by hand.
func (m *Mount) ensureFolders() error {
	if err := durable.MakeFolders(m.versions(), 0o755); err != nil {
		return err
	}
	return makeInUse(filepath.Join(m.dir, inUseName))
}

// Close lets another agent use the folder. The mounted version stays.
func (m *Mount) Close() error { return m.lock.Close() }

// Mount makes v current. A version that is complete on disk is made current
// without src. Any other is written first: files are linked from the previous
// version or read from src, and verified. Only a complete and durable version
// becomes current. Progress may be nil; else it gets the bytes written and the
// bytes to write.
func (m *Mount) Mount(ctx context.Context, v slipway.Version, src Source, progress func(done, total int64)) (err error) {
	defer m.prefetches.preempt(v)(&err)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ready(ctx, v, src, progress); err != nil {
		return fmt.Errorf("mount %s: %w", v, err)
	}
	return m.turn(versionsName + "/" + v.Dir())
}

// ready puts v on disk unless complete there. What is damaged is repaired by the
// record, or else by the manifest, where contents may lie in other packs by now.
func (m *Mount) ready(ctx context.Context, v slipway.Version, src Source, progress func(done, total int64)) error {
	if _, ok := v.Time(); !ok {
		return fmt.Errorf("%q is no bundle version", v)
	}
	found, err := m.condition(v)
	if err != nil || found.complete {
		return err
	}
	if found.recorded && m.repair(ctx, v, src, progress) == nil {
		return nil
	}
	man, err := m.download(ctx, v, src)
	if err != nil {
		return err
	}
	err = m.stageManifest(ctx, man, found.recorded, src, progress)
	return errors.Join(err, man.close())
}

// repair writes v anew by its record.
func (m *Mount) repair(ctx context.Context, v slipway.Version, src bundle.Source, progress func(done, total int64)) error {
	list, ok, err := m.record(v)
	if err != nil {
		return err
	}
	if !ok {
		return fs.ErrNotExist
	}
	defer list.close()
	return m.stage(ctx, list, src, progress)
}

// stageManifest puts the version of man on disk; where recorded, only with the same
// files.
func (m *Mount) stageManifest(ctx context.Context, man *manifest, recorded bool, src bundle.Source, progress func(done, total int64)) error {
	if recorded {
		list, err := man.files()
		if err != nil {
			return err
		}
		err = m.compare(list)
		if list.close(); err != nil {
			return err
		}
	}
	list, err := man.files()
	if err != nil {
		return err
	}
	defer list.close()
	return m.stage(ctx, list, src, progress)
}

// UseImage makes the image current, with its own DAGs at dagsPath in the Airflow
// container.
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

// Prefetch puts v on disk like Mount, beside the current version. Mount and
// UseImage cancel a running Prefetch instead of waiting.
func (m *Mount) Prefetch(ctx context.Context, v slipway.Version, src Source) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx, end := m.prefetches.begin(ctx)
	defer end()
	err := m.ready(ctx, v, src, nil)
	if err != nil && errors.Is(context.Cause(ctx), ErrPreempted) {
		err = ErrPreempted // without the error of the aborted download
	}
	if err != nil {
		return fmt.Errorf("add %s: %w", v, err)
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

// Prune removes versions that were replaced, and last marked by Airflow, more
// than keepFor before now. The current version stays, and the keepLast versions
// replaced last. Prune returns the removed versions. A version that cannot be
// removed stays until the next Prune, and the error names the path. Mount need
// not wait for Prune.
func (m *Mount) Prune(ctx context.Context, keepLast int, keepFor time.Duration, now time.Time) (gone []slipway.Version, err error) {
	old, err := m.renameOld(keepLast, keepFor, now)
	if err != nil {
		err = fmt.Errorf("prune: %w", err)
	}
	for _, v := range old {
		if ctx.Err() != nil {
			return gone, errors.Join(err, ctx.Err())
		}
		if failed := durable.RemoveTree(m.removedPath(v)); failed != nil {
			err = errors.Join(err, fmt.Errorf("prune %s: %w", v, failed))
			continue
		}
		gone = append(gone, v)
	}
	return gone, err
}

// renameOld renames the versions to be removed to names of leftovers, lest a half
// removed version be visible, and returns all versions so renamed, those of earlier
// calls included. An error does not stop the rest.
func (m *Mount) renameOld(keepLast int, keepFor time.Duration, now time.Time) ([]slipway.Version, error) {
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
		return nil, err // the link may lead to any version
	}
	errs := m.leftovers.retry()
	for _, v := range on {
		keepLast-- // below zero after the last version to keep
		if v.Current {
			keepLast++
		}
		if v.Current || keepLast >= 0 || v.ReplacedAt.After(before) {
			continue
		}
		errs = errors.Join(errs, renameUnneeded(m.marks, v.Version, before, now))
	}
	old, err := m.removed()
	return old, errors.Join(errs, err)
}

// Scrub hashes every file on disk, at bytesPerSecond unless 0, and returns the
// damaged files. Later versions take no links from a damaged version, and the
// next Mount writes the damaged version anew.
func (m *Mount) Scrub(ctx context.Context, bytesPerSecond int64) ([]Damage, error) {
	on, err := m.Versions()
	if err != nil {
		return nil, fmt.Errorf("scrub: %w", err)
	}
	s := &scrub{ctx: ctx, rate: bytesPerSecond, seed: maphash.MakeSeed()}
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
	list, ok, err := m.record(v)
	if err != nil || !ok {
		return nil, err
	}
	defer list.close()
	at, err := openDagsDir(m.versionPath(v))
	if err != nil {
		return m.dropRecord(v, []Damage{{v, "", err.Error()}})
	}
	defer at.close()
	found, sound, err := s.version(at, list)
	if err != nil || !sound {
		return nil, err // without a sound record, the next Mount writes the version anew
	}
	return m.dropRecord(v, found)
}

// dropRecord removes the record of a damaged version. A version without a record
// was pruned meanwhile, and is not damaged.
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

// stage puts the version of list on disk.
func (m *Mount) stage(ctx context.Context, list *fileList, src bundle.Source, progress func(done, total int64)) (err error) {
	if err := m.ensureFolders(); err != nil {
		return err
	}
	on, err := m.onDisk()
	if err != nil {
		return err
	}
	s, err := newStaging(m.versions(), list.version, nextStamp(on, time.Now()))
	if err != nil {
		return InodesUsedUp(m.dir, err)
	}
	s.progress, s.reserve = progress, m.reserve
	defer s.close()
	defer func() { err = InodesUsedUp(m.dir, err) }() // before the leftovers go
	before, err := m.previous(on, list.version)
	if err != nil {
		return fmt.Errorf("link files: %w", err)
	}
	defer before.close()
	if err := s.adopt(ctx, list, before); err != nil {
		return err
	}
	if err := s.addLinks(); err != nil {
		return err
	}
	if err := s.unpack(ctx, src); err != nil {
		return err
	}
	if err := s.seal(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return s.place(ctx, &m.records)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"slipway/internal/durable"
)

// rsync measures a change of one file against what careful teams do today:
// rsync into a folder of its own, whose other files are hard links to the one
// before, a symlink that is swapped, and all of it made durable. Both in turn.
func (b *bench) rsync(ctx context.Context) error {
	if _, err := exec.LookPath("rsync"); err != nil {
		b.note("one file changed, against rsync --link-dest", "not measured: rsync is not installed")
		return nil
	}
	for _, kind := range []string{"medium", "large"} {
		if err := b.rsyncOf(ctx, kind); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

func (b *bench) rsyncOf(ctx context.Context, kind string) (err error) {
	f, err := b.followed(ctx, "rsync-"+kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close(), durable.RemoveTree(f.p.data)) }()
	of, err := f.p.firstDeployment(ctx)
	if err != nil {
		return err
	}
	dir, err := b.project(ctx, kind)
	if err != nil {
		return err
	}
	if err := f.pack(ctx, of, dir); err != nil {
		return err
	}
	theirs := rsynced{source: filepath.Join(dir, "dags") + "/", dir: filepath.Join(b.dir, "rsynced-"+kind)}
	if err := os.MkdirAll(theirs.dir, 0o755); err != nil {
		return err
	}
	if _, err := theirs.publish(ctx); err != nil {
		return err
	}
	return b.rsyncPairs(ctx, kind, f, of, dir, &theirs)
}

func (b *bench) rsyncPairs(ctx context.Context, kind string, f *follower, of, dir string, theirs *rsynced) error {
	var ours, base, mount sample
	for i := range b.pairs + 1 {
		archive, err := oneChanged(ctx, dir, i)
		if err != nil {
			return err
		}
		if err := settle(ctx, b.dir); err != nil {
			return err
		}
		took, step, err := f.deploy(ctx, of, archive, "merge", "add")
		if err != nil {
			return err
		}
		if err := settle(ctx, b.dir); err != nil {
			return err
		}
		theirTook, err := theirs.publish(ctx)
		if err != nil {
			return err
		}
		if i > 0 { // the first is to warm up
			ours, base, mount = append(ours, took*1000), append(base, theirTook*1000), append(mount, step["mount"])
		}
	}
	b.compare(kind+", one file: upload to mounted, ms, against rsync --link-dest, swap and sync -f", "%.0f", ours, base, 1)
	b.note("of it: mounting", mount.text("%.0f"))
	return nil
}

// oneChanged changes the i-th Python file in dir, and packs it alone.
func oneChanged(ctx context.Context, dir string, i int) (archive string, err error) {
	path, err := changeOne(dir, i)
	if err != nil {
		return "", err
	}
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return "", err
	}
	archive = dir + "-one.tar.gz"
	return archive, output(exec.CommandContext(ctx, "tar", "-C", dir, "-czf", archive, name))
}

// rsynced is a folder with a version for each run, and current.
type rsynced struct {
	source, dir string
	n           int
}

// publish makes source the current version, and returns the seconds that took.
func (r *rsynced) publish(ctx context.Context) (float64, error) {
	r.n++
	next := fmt.Sprintf("v%d", r.n)
	began := time.Now()
	args := []string{"-a", r.source, filepath.Join(r.dir, next) + "/"}
	if r.n > 1 {
		args = append([]string{fmt.Sprintf("--link-dest=%s", filepath.Join(r.dir, fmt.Sprintf("v%d", r.n-1)))}, args...)
	}
	if err := output(exec.CommandContext(ctx, "rsync", args...)); err != nil {
		return 0, err
	}
	if err := output(exec.CommandContext(ctx, "sync", "-f", r.dir)); err != nil {
		return 0, err
	}
	temp := filepath.Join(r.dir, "current.next")
	if err := errors.Join(os.Symlink(next, temp), os.Rename(temp, filepath.Join(r.dir, "current"))); err != nil {
		return 0, err
	}
	err := output(exec.CommandContext(ctx, "sync", r.dir))
	return time.Since(began).Seconds(), err
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// storage measures what a version costs of which one file changed: against
// that file by gzip -6, and the list of all files.
func (b *bench) storage(ctx context.Context) (err error) {
	f, err := b.followed(ctx, "storage")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	of, err := f.p.firstDeployment(ctx)
	if err != nil {
		return err
	}
	dir, err := b.project(ctx, "medium")
	if err != nil {
		return err
	}
	if err := f.pack(ctx, of, dir); err != nil {
		return err
	}
	var added, least sample
	for i := range b.pairs {
		was, err := f.stored()
		if err != nil {
			return err
		}
		changed, err := changeOne(dir, i)
		if err != nil {
			return err
		}
		file, err := gzipSize(changed)
		if err != nil {
			return err
		}
		if err := f.pack(ctx, of, dir); err != nil {
			return err
		}
		is, err := f.stored()
		if err != nil {
			return err
		}
		added = append(added, float64(is.all()-was.all())/1000)
		least = append(least, float64(file+is.manifests-was.manifests)/1000)
	}
	b.compare("storage of a version, one of 2,000 files changed, kB, against the file by gzip and its manifest", "%.1f", added, least, 1)
	return nil
}

// pack deploys the project in dir.
func (f *follower) pack(ctx context.Context, of, dir string) error {
	archive := dir + ".tar.gz"
	if err := output(exec.CommandContext(ctx, "tar", "--sort=name", "-C", dir, "-czf", archive, "dags")); err != nil {
		return err
	}
	_, _, err := f.deploy(ctx, of, archive)
	return err
}

// stored is what a portal stores of DAG bundles, in bytes.
type stored struct{ packs, manifests int64 }

func (s stored) all() int64 { return s.packs + s.manifests }

func (f *follower) stored() (s stored, err error) {
	if s.packs, err = treeSize(filepath.Join(f.p.data, "packs")); err != nil {
		return s, err
	}
	s.manifests, err = treeSize(filepath.Join(f.p.data, "bundles"))
	return s, err
}

// changeOne changes the i-th Python file in dir and returns its path.
func changeOne(dir string, i int) (path string, err error) {
	var files []string
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".py") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return files[i], appendLine(files[i], fmt.Sprintf("# changed: %d", i))
}

// gzipSize returns the size of a file by gzip.
func gzipSize(path string) (int64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command("gzip", "-6")
	cmd.Stdin = bytes.NewReader(content)
	out, err := cmd.Output()
	return int64(len(out)), err
}

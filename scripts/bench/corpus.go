package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// archive returns the project kind as a .tar.gz, after 1 % of its files were
// changed n times. They are made once and kept.
func (b *bench) archive(ctx context.Context, kind string, n int) (string, error) {
	path := filepath.Join(b.kept, fmt.Sprintf("%s-%d.tar.gz", kind, n))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	dir, err := b.project(ctx, kind)
	if err != nil {
		return "", err
	}
	for i := range n {
		if err := change(dir, i+1); err != nil {
			return "", err
		}
	}
	temp := path + ".part"
	pack := fmt.Sprintf("tar -C %q -cf - dags | gzip -6 > %q", dir, temp)
	if err := output(exec.CommandContext(ctx, "sh", "-c", pack)); err != nil {
		return "", err
	}
	return path, errors.Join(os.Rename(temp, path), os.RemoveAll(dir))
}

// project writes the project kind to a new folder, below dags.
func (b *bench) project(ctx context.Context, kind string) (string, error) {
	dir, err := os.MkdirTemp(b.dir, kind+"-")
	if err != nil {
		return "", err
	}
	return dir, output(exec.CommandContext(ctx, "go", "run", "./scripts/corpus", kind, filepath.Join(dir, "dags")))
}

// change changes 1 % of the files in dir, picked evenly; others for each turn.
func change(dir string, turn int) error {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := turn % 100; i < len(files); i += 100 {
		if err := appendLine(files[i], fmt.Sprintf("# changed in turn %d", turn)); err != nil {
			return err
		}
	}
	return nil
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// untar measures what teams do today: unpack an archive and make it durable.
// It returns the seconds that took, and those of the processor.
func (b *bench) untar(ctx context.Context, archive string) (took, busy float64, err error) {
	dir, err := os.MkdirTemp(b.dir, "tar-")
	if err != nil {
		return 0, 0, err
	}
	if err := settle(ctx, dir); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	tar := exec.CommandContext(ctx, "tar", "xzf", archive, "-C", dir)
	if err := output(tar); err != nil {
		return 0, 0, err
	}
	err = output(exec.CommandContext(ctx, "sync", "-f", dir))
	return time.Since(began).Seconds(), (tar.ProcessState.UserTime() + tar.ProcessState.SystemTime()).Seconds(), err
}

// settle writes out what earlier runs left in memory, so that none pays for
// another.
func settle(ctx context.Context, dir string) error {
	return output(exec.CommandContext(ctx, "sync", "-f", dir))
}

// treeSize returns the bytes of all files below dir, each counted once however
// many names it has.
func treeSize(dir string) (n int64, err error) {
	seen := map[uint64]bool{}
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file
		}
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && !seen[st.Ino] {
			seen[st.Ino] = true
			n += info.Size()
		}
		return nil
	})
	return n, err
}

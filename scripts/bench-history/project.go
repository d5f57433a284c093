package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

// change changes 1 % of the files in dir, picked evenly, others in each turn,
// and returns their paths below dir.
func change(dir string, turn int) (changed []string, err error) {
	var files []string
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	for i := turn % 100; i < len(files); i += 100 {
		path, relErr := filepath.Rel(dir, files[i])
		err = errors.Join(err, relErr, appendLine(files[i], fmt.Sprintf("# changed in turn %d", turn)))
		changed = append(changed, path)
	}
	return changed, err
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// packed returns names below dir, with all that is below them, as a .tar.gz.
func packed(dir string, names []string) ([]byte, error) {
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	out := tar.NewWriter(zip)
	for _, name := range names {
		err = errors.Join(err, addTree(out, dir, name))
	}
	err = errors.Join(err, out.Close(), zip.Close())
	return b.Bytes(), err
}

func addTree(out *tar.Writer, dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Name: filepath.ToSlash(below), Mode: 0o644, Size: int64(len(b))}); err != nil {
			return err
		}
		_, err = out.Write(b)
		return err
	})
}

// sizes returns how many files there are in dir, and their bytes.
func sizes(dir string) (n int, size int64, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		info, statErr := e.Info()
		if errors.Is(statErr, fs.ErrNotExist) {
			continue // dropped meanwhile
		}
		if statErr != nil {
			return n, size, statErr
		}
		n, size = n+1, size+info.Size()
	}
	return n, size, err
}

// quantile returns the q-quantile of values, 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// cpuTime returns how long this process has computed.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// anonymous returns the anonymous resident memory of this process, in bytes.
func anonymous() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	kib, _ := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
	return kib * 1024
}

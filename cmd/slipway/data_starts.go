package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The file that locks a data folder also holds the last number that starts, stops
// and rounds of deletion were counted up to, as the database has it. A database
// with a lower number is an older one that somebody put there.

// lastStart reads the number, 0 where there is none.
func lastStart(lock *os.File) (int64, error) {
	text, err := io.ReadAll(io.LimitReader(io.NewSectionReader(lock, 0, 64), 64))
	if err != nil {
		return 0, fmt.Errorf("read the lock of the data folder: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, nil // of an older Slipway, or cut off
	}
	return n, nil
}

// noted is lastStart for who does not hold the lock.
func noted(dir string) (int64, error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the lock of the data folder: %w", err)
	}
	defer f.Close()
	return lastStart(f)
}

// noteStart writes the number of a start, durably; 0 for none.
func noteStart(lock *os.File, n int64) error {
	text := strconv.FormatInt(n, 10) + "\n"
	if n == 0 {
		text = ""
	}
	_, err := lock.WriteAt([]byte(text), 0)
	if err := errors.Join(err, lock.Truncate(int64(len(text))), lock.Sync()); err != nil {
		return fmt.Errorf("write the lock of the data folder: %w", err)
	}
	return nil
}

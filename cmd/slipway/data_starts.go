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

// The lock file of a data folder also holds the number of the last start, stop
// or round of deletion, as counted in the database. A database with a lower
// number is an older copy.

// lastStart reads the number from the lock, 0 for none.
func lastStart(lock *os.File) (int64, error) {
	text, err := io.ReadAll(io.LimitReader(io.NewSectionReader(lock, 0, 64), 64))
	if err != nil {
		return 0, fmt.Errorf("read the lock of the data folder: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, nil // written by an older Slipway, or incomplete
	}
	return n, nil
}

// sharedLastStart reads the number like lastStart, for a process without the lock.
func sharedLastStart(dir string) (int64, error) {
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

// noteStart writes the number to the lock, durably; 0 clears the lock file.
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

//go:build unix && !linux

package durable

import (
	"io/fs"
	"path/filepath"
)

// SyncTree makes everything below dir durable.
func SyncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return SyncPath(path)
	})
}

// Exchange swaps a and b.
func Exchange(a, b string) error { return exchangeInSteps(a, b) }

//go:build unix && !linux

package bundle

import (
	"io/fs"
	"path/filepath"
)

// syncTree makes everything below dir durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return SyncPath(path)
	})
}

// exchange swaps what lies at a and b.
func exchange(a, b string) error { return exchangeInSteps(a, b) }

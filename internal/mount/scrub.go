package mount

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"path"
	"syscall"
	"time"

	"slipway/internal/slipway"
)

// Damage is a difference between a mounted version and the deployed files.
type Damage struct {
	Version slipway.Version
	Path    string
	Why     string
}

// scrub is one pass over all versions.
type scrub struct {
	ctx  context.Context
	rate int64
	sums map[inode]string // hashed files; versions share inodes
}

type inode struct{ dev, ino uint64 }

// file returns the damage of f in words, "" for a sound file.
func (s *scrub) file(at *dagsDir, f recorded) (string, error) {
	if err := s.ctx.Err(); err != nil {
		return "", err
	}
	if err := at.check(f); err != nil {
		return err.Error(), nil
	}
	if f.Link != "" {
		return "", nil
	}
	sum, err := s.sum(at, f)
	switch {
	case s.ctx.Err() != nil:
		return "", s.ctx.Err()
	case err != nil:
		return err.Error(), nil
	case sum != f.SHA256:
		return "its SHA-256 is " + sum, nil
	}
	return "", nil
}

// sum returns the SHA-256 of the file f. Each inode is hashed once.
func (s *scrub) sum(at *dagsDir, f recorded) (string, error) {
	in, err := at.root.Open(f.Path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return "", err
	}
	var id inode
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id = inode{uint64(st.Dev), st.Ino} //nolint:unconvert // the field's type differs by platform
	}
	if sum, ok := s.sums[id]; ok {
		return sum, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, in); err != nil {
		return "", err
	}
	s.sums[id] = hex.EncodeToString(h.Sum(nil))
	return s.sums[id], s.pause(f.Size)
}

// pause waits as long as size bytes may take.
func (s *scrub) pause(size int64) error {
	if s.rate <= 0 {
		return nil
	}
	select {
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-time.After(time.Duration(float64(size) / float64(s.rate) * float64(time.Second))):
		return nil
	}
}

// undeployed returns files that were not deployed. Python's caches are left out:
// an Airflow running as root writes caches even to read-only folders.
func undeployed(at *dagsDir, r record) (found []Damage) {
	known := map[string]bool{}
	for _, f := range r.Files {
		known[f.Path] = true
	}
	err := fs.WalkDir(at.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path.Base(name) == "__pycache__":
			return fs.SkipDir
		case !d.IsDir() && !known[name]:
			found = append(found, Damage{r.Version, name, "it was not deployed"})
		}
		return nil
	})
	if err != nil {
		found = append(found, Damage{r.Version, "", err.Error()})
	}
	return found
}

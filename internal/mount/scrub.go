package mount

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"io"
	"path"
	"slices"
	"syscall"
	"time"

	"slipway/internal/durable"
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
	ctx    context.Context
	rate   int64
	sound  []inode // hashed files of other versions with sound content, sorted
	now    []inode // the same of the version at hand
	seed   maphash.Seed
	hashes []uint64 // of the paths of the version at hand
}

// inode is a file with more than one name, and the first bytes of its SHA-256: versions
// share files.
type inode struct{ dev, ino, sum uint64 }

func (i inode) compare(j inode) int {
	return cmp.Or(cmp.Compare(i.dev, j.dev), cmp.Compare(i.ino, j.ino), cmp.Compare(i.sum, j.sum))
}

// version returns the damage of one version, and whether its list is sound.
func (s *scrub) version(at *dagsDir, list *fileList) (found []Damage, sound bool, err error) {
	s.now, s.hashes = s.now[:0], s.hashes[:0]
	var failed error
	err = list.each(func(f recorded) error {
		s.hashes = append(s.hashes, maphash.String(s.seed, f.Path))
		why, err := s.file(at, f)
		if why != "" {
			found = append(found, Damage{list.version, f.Path, why})
		}
		failed = err
		return err
	})
	if err != nil {
		return nil, false, failed
	}
	s.sound = append(s.sound, s.now...)
	slices.SortFunc(s.sound, inode.compare)
	slices.Sort(s.hashes)
	return append(found, s.undeployed(at, list.version)...), true, nil
}

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

// sum returns the SHA-256 of the file f. A sound file is read once, whatever the
// number of its names.
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
	id, shared := inode{sum: firstBytes(f.SHA256)}, false
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		id.dev, id.ino, shared = uint64(st.Dev), st.Ino, st.Nlink > 1 //nolint:unconvert // the fields' types differ by platform
	}
	if _, known := slices.BinarySearchFunc(s.sound, id, inode.compare); known {
		return f.SHA256, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, in); err != nil {
		return "", err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if shared && sum == f.SHA256 {
		s.now = append(s.now, id)
	}
	return sum, s.pause(f.Size)
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
func (s *scrub) undeployed(at *dagsDir, v slipway.Version) (found []Damage) {
	for folders := []string{"."}; len(folders) > 0; {
		folder := folders[0]
		folders = folders[1:]
		dir, err := at.root.Open(folder)
		if err != nil {
			found = append(found, Damage{v, folder, err.Error()})
			continue
		}
		for entry, err := range durable.Entries(dir) {
			if err != nil {
				found = append(found, Damage{v, folder, err.Error()})
				break
			}
			name := path.Join(folder, entry.Name())
			_, known := slices.BinarySearch(s.hashes, maphash.String(s.seed, name))
			switch {
			case !entry.IsDir() && !known:
				found = append(found, Damage{v, name, "it was not deployed"})
			case entry.IsDir() && entry.Name() != "__pycache__":
				folders = append(folders, name)
			}
		}
		_ = dir.Close() // opened for reading only
	}
	slices.SortFunc(found, func(a, b Damage) int { return cmp.Compare(a.Path, b.Path) })
	return found
}

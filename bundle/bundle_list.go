package bundle

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway"
)

// Namespaces yields every namespace that has bundles or packs, by name.
func (s *Store) Namespaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		bundles, err := os.ReadDir(filepath.Join(s.dir, "bundles"))
		packs, err2 := os.ReadDir(filepath.Join(s.dir, "packs"))
		if err := errors.Join(err, err2); err != nil {
			yield("", err)
			return
		}
		var names []string
		for _, e := range slices.Concat(bundles, packs) {
			names = append(names, e.Name())
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Manifests yields the versions of ns that have a manifest, by name.
func (s *Store) Manifests(ns string) iter.Seq2[slipway.Version, error] {
	return func(yield func(slipway.Version, error) bool) {
		dir, err := s.folder("bundles", ns)
		for name, err := range suffixed(dir, manifestSuffix, err) {
			v, ok := slipway.VersionOfDir(name)
			if (ok || err != nil) && !yield(v, err) {
				return
			}
		}
	}
}

// Packs yields the packs of ns, by name.
func (s *Store) Packs(ns string) iter.Seq2[Pack, error] {
	return func(yield func(Pack, error) bool) {
		dir, err := s.folder("packs", ns)
		for name, err := range suffixed(dir, packSuffix, err) {
			if err == nil && !isSHA256(name) {
				continue
			}
			p := Pack{SHA256: name}
			if err == nil {
				p.Size, err = fileSize(filepath.Join(dir, name+packSuffix))
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue // dropped meanwhile
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// suffixed yields the names in dir that end in suffix, without it. A folder
// that does not exist is empty. An err given is all it yields.
func suffixed(dir, suffix string, err error) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var entries []os.DirEntry
		if err == nil {
			entries, err = os.ReadDir(dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield("", err)
			return
		}
		for _, e := range entries {
			name, ok := strings.CutSuffix(e.Name(), suffix)
			if ok && !yield(name, nil) {
				return
			}
		}
	}
}

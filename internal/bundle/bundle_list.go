package bundle

import (
	"errors"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// Namespaces yields every namespace that has bundles or packs, by name.
func (s *Store) Namespaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var names []string
		for _, kind := range []string{bundlesKind, packsKind} {
			for e, err := range s.in.list(kind) {
				if err != nil {
					yield("", err)
					return
				}
				names = append(names, e.Name())
			}
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
		for e, err := range s.suffixed(bundlesKind, ns, manifestSuffix) {
			if err != nil {
				yield("", err)
				return
			}
			v, ok := slipway.VersionOfDir(strings.TrimSuffix(e.Name(), manifestSuffix))
			if ok && !yield(v, nil) {
				return
			}
		}
	}
}

// Packs yields the packs of ns, by name.
func (s *Store) Packs(ns string) iter.Seq2[Pack, error] {
	return func(yield func(Pack, error) bool) {
		for e, err := range s.suffixed(packsKind, ns, packSuffix) {
			if err != nil {
				yield(Pack{}, err)
				return
			}
			p := Pack{SHA256: strings.TrimSuffix(e.Name(), packSuffix)}
			if !isSHA256(p.SHA256) {
				continue
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // dropped meanwhile
			}
			if err == nil {
				p.Size = info.Size()
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// suffixed yields what of kind ns has whose name ends in suffix.
func (s *Store) suffixed(kind, ns, suffix string) iter.Seq2[fs.DirEntry, error] {
	return func(yield func(fs.DirEntry, error) bool) {
		dir, err := folderName(kind, ns)
		if err != nil {
			yield(nil, err)
			return
		}
		for e, err := range s.in.list(dir) {
			if (err != nil || strings.HasSuffix(e.Name(), suffix)) && !yield(e, err) {
				return
			}
		}
	}
}

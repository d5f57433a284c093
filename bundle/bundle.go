// Package bundle keeps DAG bundles: it reads the archives that come in, stores
// their contents in packs and their versions as manifests, and mounts versions
// beside Airflow.
package bundle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"slipway"
)

// Store is the bundles and packs of an installation, in a folder. A namespace
// is the part of it that belongs to one Deployment.
type Store struct {
	dir string
	mu  sync.Mutex // held while a manifest is compared and put
}

// Open makes the folders of the store in dir if need be, and removes what a
// crash left behind. No one else may be using dir.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir}
	for _, kind := range []string{"bundles", "packs"} {
		if err := makeFolders(filepath.Join(dir, kind), 0o700); err != nil {
			return nil, err
		}
		left, err := filepath.Glob(filepath.Join(globQuote(dir), kind, "*", tempPattern))
		if err != nil {
			return nil, fmt.Errorf("find leftovers: %w", err)
		}
		for _, name := range left {
			if err := os.Remove(name); err != nil {
				return nil, fmt.Errorf("remove a leftover: %w", err)
			}
		}
	}
	return s, nil
}

// globQuote returns a pattern that matches dir alone.
func globQuote(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// folder returns the folder of kind for ns, and refuses an ns that would lead
// elsewhere.
func (s *Store) folder(kind, ns string) (string, error) {
	if ns == "" || ns[0] == '.' || !filepath.IsLocal(ns) || strings.ContainsAny(ns, `/\`) {
		return "", fmt.Errorf("%q cannot name a namespace", ns)
	}
	return filepath.Join(s.dir, kind, ns), nil
}

// madeFolder is folder, made if need be.
func (s *Store) madeFolder(kind, ns string) (string, error) {
	dir, err := s.folder(kind, ns)
	if err != nil {
		return "", err
	}
	return dir, makeFolders(dir, 0o700)
}

func (s *Store) manifestPath(ns string, v slipway.Version) (string, error) {
	dir, err := s.folder("bundles", ns)
	if _, ok := v.Time(); err == nil && !ok {
		err = fmt.Errorf("%q is no bundle version", v)
	}
	return filepath.Join(dir, v.Dir()+manifestSuffix), err
}

func (s *Store) packPath(ns, sha string) (string, error) {
	dir, err := s.folder("packs", ns)
	if err == nil && !isSHA256(sha) {
		err = fmt.Errorf("%q is no SHA-256", sha)
	}
	return filepath.Join(dir, sha+packSuffix), err
}

// isSHA256 reports whether s is a SHA-256 in lower-case hex.
func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && s == strings.ToLower(s)
}

// DropManifest deletes the manifest of version v. One that is gone already is
// no error.
func (s *Store) DropManifest(ns string, v slipway.Version) error {
	path, err := s.manifestPath(ns, v)
	return dropFile(path, err)
}

// DropPack deletes a pack. One that is gone already is no error.
func (s *Store) DropPack(ns, sha string) error {
	path, err := s.packPath(ns, sha)
	return dropFile(path, err)
}

func dropFile(path string, err error) error {
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// DropNamespace deletes everything of ns.
func (s *Store) DropNamespace(ns string) error {
	bundles, err := s.folder("bundles", ns)
	if err != nil {
		return err
	}
	packs, err := s.folder("packs", ns)
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(bundles), os.RemoveAll(packs))
}

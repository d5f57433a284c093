// Package bundle keeps DAG bundles: it reads the archives that come in, stores
// their contents in packs and their versions as manifests, and mounts versions
// beside Airflow.
package bundle

import (
	"context"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// Store is the bundles and packs of an installation, in its data folder or in a
// bucket. A namespace is the part of it that belongs to one Deployment.
type Store struct {
	dir string // the data folder
	in  depot
	mu  sync.Mutex // held while a manifest is compared and put
}

// Open makes the folders of the store in dir if need be, and removes what a
// crash left behind. No one else may be using dir.
func Open(dir string) (*Store, error) {
	if err := InFolder(dir); err != nil {
		return nil, err
	}
	for _, kind := range []string{bundlesKind, packsKind} {
		if err := durable.MakeFolders(filepath.Join(dir, kind), 0o700); err != nil {
			return nil, err
		}
		if err := durable.RemoveLeftovers(dir, kind, "*"); err != nil {
			return nil, err
		}
	}
	return Attach(dir), nil
}

// isSHA256 reports whether s is a SHA-256 in lower-case hex.
func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && s == strings.ToLower(s)
}

// DropManifest deletes the manifest of version v. One that is gone already is
// no error.
func (s *Store) DropManifest(ns string, v slipway.Version) error {
	name, err := manifestName(ns, v)
	if err != nil {
		return err
	}
	return s.in.drop(name)
}

// DropPack deletes a pack. One that is gone already is no error.
func (s *Store) DropPack(ns, sha string) error {
	name, err := packName(ns, sha)
	if err != nil {
		return err
	}
	return s.in.drop(name)
}

// DropNamespace deletes everything of ns.
func (s *Store) DropNamespace(ns string) error {
	bundles, err := folderName(bundlesKind, ns)
	if err != nil {
		return err
	}
	packs, err := folderName(packsKind, ns)
	if err != nil {
		return err
	}
	return errors.Join(s.in.dropAll(bundles), s.in.dropAll(packs))
}

// ManifestURL returns an address at which everybody can read a manifest for a
// while; "" if there is none, as in a folder.
func (s *Store) ManifestURL(ctx context.Context, ns string, v slipway.Version) (string, error) {
	name, err := manifestName(ns, v)
	if err != nil {
		return "", err
	}
	return s.in.sign(ctx, name), nil
}

// PackURL is ManifestURL for a pack.
func (s *Store) PackURL(ctx context.Context, ns, sha string) (string, error) {
	name, err := packName(ns, sha)
	if err != nil {
		return "", err
	}
	return s.in.sign(ctx, name), nil
}

// Package bundle stores DAG bundles: contents of uploads in packs, versions
// as manifests, in the data folder or in a bucket.
package bundle

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"slipway/internal/archive"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// Store holds the manifests and packs of an installation, in its data folder
// or in a bucket. A namespace is the part of one Deployment.
type Store struct {
	dir     string // the data folder
	backend backend
	mu      sync.Mutex // held while a manifest is compared and put
}

// Open makes the missing folders of the store in dir, and removes leftovers
// of a crash. No other process may use dir.
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

// Attach returns the store in dir, read-only, while the owning process runs.
func Attach(dir string) *Store { return &Store{dir: dir, backend: disk(dir)} }

// isSHA256 reports whether s is a SHA-256 in lower-case hex.
func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && s == strings.ToLower(s)
}

// DropManifest deletes the manifest of version v. A missing one is no error.
func (s *Store) DropManifest(ns string, v slipway.Version) error {
	name, err := manifestName(ns, v)
	if err != nil {
		return err
	}
	return s.backend.drop(name)
}

// DropPack deletes a pack. A missing one is no error.
func (s *Store) DropPack(ns, sha string) error {
	name, err := packName(ns, sha)
	if err != nil {
		return err
	}
	return s.backend.drop(name)
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
	return errors.Join(s.backend.dropAll(bundles), s.backend.dropAll(packs))
}

// Reachable returns nil if manifests and packs can be read, else a sentence for
// people. A folder is always reachable.
func (s *Store) Reachable(ctx context.Context) error {
	if b, ok := s.backend.(*bucket); ok {
		return b.reachable(ctx)
	}
	return nil
}

// SendAll has the portal send all manifests and packs, for agents that cannot
// read from the bucket. Call SendAll before the store is used.
func (s *Store) SendAll() {
	if b, ok := s.backend.(*bucket); ok {
		b.unsigned = true
	}
}

// ManifestURL returns an address at which everybody can read a manifest for a
// while; "" if the backend has none, as a folder.
func (s *Store) ManifestURL(ctx context.Context, ns string, v slipway.Version) (string, error) {
	name, err := manifestName(ns, v)
	if err != nil {
		return "", err
	}
	return s.backend.sign(ctx, name), nil
}

// PackURL is ManifestURL for a pack.
func (s *Store) PackURL(ctx context.Context, ns, sha string) (string, error) {
	name, err := packName(ns, sha)
	if err != nil {
		return "", err
	}
	return s.backend.sign(ctx, name), nil
}

// OpenBucketFile opens BucketFile.
func (s *Store) OpenBucketFile() (File, error) {
	return disk(s.dir).open(context.Background(), BucketFile)
}

// Bucket returns the name of the store's bucket; "" if the store is in the
// data folder.
func (s *Store) Bucket() string {
	if b, ok := s.backend.(*bucket); ok {
		return b.name
	}
	return ""
}

// Source returns the packs of ns.
func (s *Store) Source(ns string) Source { return storeSource{s, ns} }

// OpenPack opens a pack's file.
func (s *Store) OpenPack(ns, sha string) (File, error) {
	return s.openPack(context.Background(), ns, sha)
}

func (s *Store) openPack(ctx context.Context, ns, sha string) (File, error) {
	name, err := packName(ns, sha)
	if err != nil {
		return nil, err
	}
	return s.backend.open(ctx, name)
}

// newPack begins a pack of ns. The caller discards or stores the pack.
func (s *Store) newPack(ns string) (*packWriter, error) {
	dir, err := s.packTempDir(ns)
	if err != nil {
		return nil, err
	}
	return newPack(dir, archive.Limits{}) // the space of a merged pack is claimed as a whole
}

// packTempDir returns the folder for the temporary files of ns's packs.
func (s *Store) packTempDir(ns string) (string, error) {
	name, err := folderName(packsKind, ns)
	if err != nil {
		return "", err
	}
	return s.backend.tempDir(name)
}

// Merge writes the contents of files, from several packs of ns, into one new
// pack, and returns the new pack and the new place of each content. Every
// content is verified. On return the new pack is durable, and the old packs
// are unchanged. After an error no new file is left.
//
// Merge compresses everything again. Frames cannot be copied: the last frame
// of a pack holds the end of the tar as well, and a small pack has only one
// frame.
func (s *Store) Merge(ctx context.Context, ns string, files []slipway.File) (Pack, map[string]slipway.Place, error) {
	p, err := s.newPack(ns)
	if err != nil {
		return Pack{}, nil, fmt.Errorf("merge packs: %w", err)
	}
	defer p.discard()
	if err := p.merge(ctx, s.Source(ns), files); err != nil {
		return Pack{}, nil, fmt.Errorf("merge packs: %w", err)
	}
	kept, err := p.keep(ctx, s, ns)
	if err != nil {
		return Pack{}, nil, fmt.Errorf("merge packs: %w", err)
	}
	at := make(map[string]slipway.Place, len(p.list))
	for _, c := range p.list {
		at[c.sha] = p.place(c)
	}
	return kept, at, nil
}

// Stage reads an archive, with the root by search, and stores the new contents in one durable pack.
// After an error no new file is left.
func (s *Store) Stage(ctx context.Context, ns string, upload io.ReaderAt, size int64, lim archive.Limits, search archive.Search, known Known) (Staged, error) {
	staged, err := s.stage(ctx, ns, upload, size, lim, search, known)
	if slipway.IsDiskFull(err) {
		return Staged{}, slipway.DiskFull(err)
	}
	if err != nil && !slipway.Explained(err) {
		err = fmt.Errorf("stage an upload: %w", err)
	}
	return staged, err
}

func (s *Store) stage(ctx context.Context, ns string, upload io.ReaderAt, size int64, lim archive.Limits, search archive.Search, known Known) (Staged, error) {
	dir, err := s.packTempDir(ns)
	if err != nil {
		return Staged{}, err
	}
	p, err := newPack(dir, lim)
	if err != nil {
		return Staged{}, err
	}
	st := &staging{to: s, ns: ns, dir: dir, known: known, lim: lim, search: search, pack: p, stored: map[string]storedContent{}, byName: map[string]string{}}
	defer func() { st.pack.discard() }()
	selection, err := st.read(ctx, upload, size)
	if err != nil {
		return Staged{}, err
	}
	return st.finish(ctx, selection)
}

// Content returns the content of f, a file of ns. Reading verifies the
// SHA-256: a damaged content ends in an error instead of io.EOF.
func (s *Store) Content(ctx context.Context, ns string, f slipway.File) (io.ReadCloser, error) {
	if f.Link != "" {
		return nil, fmt.Errorf("%s is a symlink and has no content", f.Path)
	}
	raw, err := s.Source(ns).Frames(ctx, f.Pack, f.Offset, f.Length)
	if err != nil {
		return nil, err
	}
	dec, err := NewDecoder()
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	r := &contentReader{want: f.SHA256, sum: sha256.New(), dec: dec, raw: raw}
	if err := r.find(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// WriteArchive writes version m of ns as a .tar.gz with all entries below
// dags/. Equal manifests give equal bytes.
func (s *Store) WriteArchive(ctx context.Context, ns string, m slipway.Manifest, w io.Writer) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	at, _ := m.Version.Time()
	a := &archiveWriter{s: s, ns: ns, at: at, tar: tar.NewWriter(zip), bySHA: map[string][]slipway.File{}}
	if err := a.write(ctx, m.Files); err != nil {
		return fmt.Errorf("archive version %s: %w", m.Version, err)
	}
	return errors.Join(a.tar.Close(), zip.Close())
}

// CheckPack reads a whole pack, compares the SHA-256 with the name, and calls
// fn with each content and its place. The error describes the damage;
// contents passed to fn before are intact.
func (s *Store) CheckPack(ctx context.Context, ns, sha string, fn func(slipway.File)) error {
	f, err := s.localPack(ctx, ns, sha)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, cancellable{ctx, f})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != sha {
		return fmt.Errorf("its SHA-256 is %s", got)
	}
	return checkFrames(ctx, f, size, func(c slipway.File) {
		c.Pack = sha
		fn(c)
	})
}

// localPack opens a pack on this machine: a pack of a bucket as a temporary
// copy, deleted on close.
func (s *Store) localPack(ctx context.Context, ns, sha string) (*os.File, error) {
	f, err := s.openPack(ctx, ns, sha)
	if err != nil {
		return nil, err
	}
	if local, ok := f.(*os.File); ok {
		return local, nil
	}
	defer f.Close()
	dir, err := s.backend.tempDir(packsKind)
	if err != nil {
		return nil, err
	}
	local, err := os.CreateTemp(dir, durable.TempPattern)
	if err != nil {
		return nil, err
	}
	err = os.Remove(local.Name()) // unlinked, readable until closed
	if err == nil {
		_, err = io.Copy(local, cancellable{ctx, f})
	}
	if err == nil {
		_, err = local.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, local.Close())
	}
	return local, nil
}

// Namespaces yields every namespace with bundles or packs, by name.
func (s *Store) Namespaces() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var names []string
		for _, kind := range []string{bundlesKind, packsKind} {
			for e, err := range s.backend.list(kind) {
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

// Manifests yields the versions of ns with a manifest, by name.
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

// suffixed yields the entries of kind in ns with names ending in suffix.
func (s *Store) suffixed(kind, ns, suffix string) iter.Seq2[fs.DirEntry, error] {
	return func(yield func(fs.DirEntry, error) bool) {
		dir, err := folderName(kind, ns)
		if err != nil {
			yield(nil, err)
			return
		}
		for e, err := range s.backend.list(dir) {
			if (err != nil || strings.HasSuffix(e.Name(), suffix)) && !yield(e, err) {
				return
			}
		}
	}
}

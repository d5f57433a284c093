package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

const (
	manifestSuffix = ".json.zst"

	// manifestMax is the most bytes that a manifest may unpack to.
	manifestMax = 1 << 30
)

// WriteManifest writes m in the stored form: JSON, compressed with zstd.
func WriteManifest(w io.Writer, m slipway.Manifest) error {
	enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		return err
	}
	return errors.Join(writeList(enc, m.Version, m.Files), enc.Close())
}

// ReadManifest reads the output of WriteManifest, and accepts only manifests
// that pass CheckManifest.
func ReadManifest(r io.Reader) (slipway.Manifest, error) {
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8*window))
	if err != nil {
		return slipway.Manifest{}, fmt.Errorf("read a manifest: %w", err)
	}
	defer dec.Close()
	m, err := readJSON(dec)
	if err != nil {
		return slipway.Manifest{}, fmt.Errorf("read a manifest: %w", err)
	}
	return m, nil
}

// readJSON reads a manifest as JSON.
func readJSON(r io.Reader) (m slipway.Manifest, err error) {
	list := NewListReader(r)
	for {
		f, err := list.Next()
		if errors.Is(err, io.EOF) {
			m.Version = list.Version()
			return m, CheckManifest(m)
		}
		if err != nil {
			return slipway.Manifest{}, err
		}
		m.Files = append(m.Files, f.File)
	}
}

// Manifest returns the manifest of version v.
func (s *Store) Manifest(ns string, v slipway.Version) (slipway.Manifest, error) {
	f, err := s.OpenManifest(context.Background(), ns, v)
	if err != nil {
		return slipway.Manifest{}, err
	}
	defer f.Close()
	m, err := ReadManifest(f)
	if err == nil && m.Version != v {
		err = fmt.Errorf("the manifest of %s is that of %s", v, m.Version)
	}
	return m, err
}

// OpenManifest opens the stored file of version v's manifest.
func (s *Store) OpenManifest(ctx context.Context, ns string, v slipway.Version) (File, error) {
	name, err := manifestName(ns, v)
	if err != nil {
		return nil, err
	}
	return s.backend.open(ctx, name)
}

// PutManifest stores m and returns the compressed size. Putting an equal
// manifest again changes nothing; other files for an existing version are an
// error.
func (s *Store) PutManifest(ns string, m slipway.Manifest) (int64, error) {
	if err := CheckManifest(m); err != nil {
		return 0, fmt.Errorf("put a manifest: %w", err)
	}
	name, err := manifestName(ns, m.Version)
	if err != nil {
		return 0, err
	}
	dir, err := s.backend.tempDir(path.Dir(name))
	if err != nil {
		return 0, err
	}
	var packed bytes.Buffer
	if err := WriteManifest(&packed, m); err != nil {
		return 0, fmt.Errorf("put a manifest: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.Manifest(ns, m.Version)
	switch {
	case err == nil && slices.Equal(old.Files, m.Files):
		return s.manifestSize(ns, m.Version)
	case err == nil:
		return 0, fmt.Errorf("put a manifest: version %s has other files already", m.Version)
	case !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	size := int64(packed.Len())
	return size, s.putManifest(dir, name, &packed)
}

// putManifest writes a manifest to a temporary file in dir, and stores the
// file.
func (s *Store) putManifest(dir, name string, packed *bytes.Buffer) error {
	f, err := os.CreateTemp(dir, durable.TempPattern)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // finds nothing once renamed
	defer f.Close()           // no effect once closed
	if _, err := packed.WriteTo(f); err != nil {
		return err
	}
	return s.backend.put(context.Background(), name, f)
}

func (s *Store) manifestSize(ns string, v slipway.Version) (int64, error) {
	f, err := s.OpenManifest(context.Background(), ns, v)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

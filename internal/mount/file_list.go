package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/bundle"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// Source is where a mount gets versions from: the portal.
type Source interface {
	bundle.Source

	// Manifest opens the manifest of a version in the stored form, as written by
	// bundle.WriteManifest.
	Manifest(ctx context.Context, v slipway.Version) (io.ReadCloser, error)
}

// fileList reads the files of a version one by one, from a record or a manifest on
// disk, and checks them as bundle.CheckManifest does: a version may have more files
// than memory should hold.
type fileList struct {
	version slipway.Version
	f       *os.File      // of a record
	dec     *zstd.Decoder // of a manifest
	list    *bundle.ListReader
	check   bundle.Checker
}

// next returns the next file, and io.EOF after the end of a sound list.
func (l *fileList) next() (recorded, error) {
	f, err := l.list.Next()
	if errors.Is(err, io.EOF) {
		l.close() // the decoder needs megabytes
	}
	switch {
	case errors.Is(err, io.EOF) && l.list.Version() != l.version:
		err = fmt.Errorf("the list is that of %s", l.list.Version())
	case errors.Is(err, io.EOF):
		if bad := l.check.End(l.version); bad != nil {
			err = bad
		}
	case err == nil:
		err = l.check.Add(f.File)
	}
	return f, err
}

// each calls fn with each file, and returns the first error, also of the list.
func (l *fileList) each(fn func(recorded) error) error {
	for {
		f, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return inVersion(l.version, err)
		}
		if err := fn(f); err != nil {
			return err
		}
	}
}

// close may be called more than once.
func (l *fileList) close() {
	if l.dec != nil {
		l.dec.Close()
	}
	if l.f != nil {
		_ = l.f.Close() // opened for reading only
	}
}

// manifest is a downloaded manifest, compressed, in a file without a name.
type manifest struct {
	version slipway.Version
	f       *os.File
}

// manifestMax is how many bytes a compressed manifest may have; of a million files
// with long names, all of them new.
const manifestMax = 1 << 30

// download gets the manifest of v. It goes to disk first: the portal does not wait
// for the files of the version to be made.
func (m *Mount) download(ctx context.Context, v slipway.Version, src Source) (*manifest, error) {
	if err := m.ensureFolders(); err != nil {
		return nil, err
	}
	body, err := src.Manifest(ctx, v)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	f, err := os.CreateTemp(m.versions(), durable.TempPattern)
	if err != nil {
		return nil, InodesUsedUp(m.dir, err)
	}
	got := &manifest{v, f}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, got.close())
	}
	n, err := io.Copy(f, io.LimitReader(body, manifestMax+1))
	if err == nil && n > manifestMax {
		err = fmt.Errorf("the manifest has more than %d bytes", manifestMax)
	}
	if err != nil {
		return nil, errors.Join(inVersion(v, err), got.close())
	}
	return got, nil
}

// files returns the list of the files, from the beginning.
func (m *manifest) files() (*fileList, error) {
	dec, err := bundle.NewDecoder()
	if err != nil {
		return nil, err
	}
	if err := dec.Reset(io.NewSectionReader(m.f, 0, manifestMax)); err != nil {
		dec.Close()
		return nil, inVersion(m.version, err)
	}
	return &fileList{version: m.version, dec: dec, list: bundle.NewListReader(dec)}, nil
}

func (m *manifest) close() error { return m.f.Close() }

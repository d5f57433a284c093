package bundle

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"slipway/internal/slipway"
)

// The folders of manifests and packs.
const (
	bundlesKind = "bundles"
	packsKind   = "packs"
)

// backend stores manifests and packs: in a folder, or in a bucket. Names are
// paths with slashes, alike in both.
type backend interface {
	// tempDir returns a folder of this machine for files that will be put into the given
	// folder of the backend.
	tempDir(folder string) (string, error)

	// put stores a temporary file under a name: whole and durable, or not at all. The caller
	// closes and removes the temporary file where still present.
	put(ctx context.Context, name string, f *os.File) error

	open(ctx context.Context, name string) (File, error)
	readRange(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)

	// drop deletes a file, dropAll a folder. A missing one is no error.
	drop(name string) error
	dropAll(folder string) error

	// list yields the entries of a folder, by name. A missing folder is empty.
	list(folder string) iter.Seq2[fs.DirEntry, error]

	// sign returns an address at which everybody can read a file for a while; "" if the
	// backend has none.
	sign(ctx context.Context, name string) string
}

// File is an open manifest or pack.
type File interface {
	io.ReadSeekCloser
	Stat() (fs.FileInfo, error)
}

// folderName names the folder of kind for ns, and refuses an ns that would
// leave the folder of kind.
func folderName(kind, ns string) (string, error) {
	if ns == "" || ns[0] == '.' || !filepath.IsLocal(ns) || strings.ContainsAny(ns, `/\`) {
		return "", fmt.Errorf("%q cannot name a namespace", ns)
	}
	return path.Join(kind, ns), nil
}

func manifestName(ns string, v slipway.Version) (string, error) {
	dir, err := folderName(bundlesKind, ns)
	if _, ok := v.Time(); err == nil && !ok {
		err = fmt.Errorf("%q is no bundle version", v)
	}
	return path.Join(dir, v.Dir()+manifestSuffix), err
}

func packName(ns, sha string) (string, error) {
	dir, err := folderName(packsKind, ns)
	if err == nil && !isSHA256(sha) {
		err = fmt.Errorf("%q is no SHA-256", sha)
	}
	return path.Join(dir, sha+packSuffix), err
}

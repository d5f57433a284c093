package bundle

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/fileblob"  // file://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// bucket is a depot in a bucket of S3, Azure Blob Storage or Google Cloud
// Storage, or in a folder as gocloud.dev has them.
type bucket struct {
	ctx   context.Context // ends all work
	blobs *blob.Bucket
	name  string // for people
	dir   string // of the spool
	local string // the folder of file://, to make durable; else ""

	tries    int
	pause    time.Duration // before the second try; it doubles with each
	patience time.Duration // how long nothing may come; thrice as long nothing go
}

// spoolName is the folder in the data folder in which packs are written and
// read that are kept in a bucket.
const spoolName = "spool"

// OpenBucket returns a store whose manifests and packs are kept in a bucket:
// s3://…, azblob://…, gs://… or file://…. The bucket, or the part of it that
// the address names, is this installation's from then on. No one else may be
// using dir, the data folder. With ctx all work on the bucket ends.
func OpenBucket(ctx context.Context, dir, address string) (*Store, error) {
	b, err := dial(ctx, dir, address)
	if err != nil {
		return nil, err
	}
	if err := durable.MakeFolders(b.dir, 0o700); err != nil {
		return nil, err
	}
	if err := durable.RemoveLeftovers(b.dir); err != nil {
		return nil, err
	}
	if err := b.claim(dir); err != nil {
		return nil, err
	}
	return &Store{dir: dir, in: b}, nil
}

// AttachBucket returns the store in a bucket for reading beside the process
// that it belongs to.
func AttachBucket(ctx context.Context, dir, address string) (*Store, error) {
	b, err := dial(ctx, dir, address)
	if err != nil {
		return nil, err
	}
	if err := b.recognise(dir); err != nil {
		return nil, err
	}
	return &Store{dir: dir, in: b}, nil
}

// Bucket returns the name of the bucket that the store is in; "" if it is in
// the data folder.
func (s *Store) Bucket() string {
	if b, ok := s.in.(*bucket); ok {
		return b.name
	}
	return ""
}

// dial opens a bucket, which says nothing yet about whether it is there.
func dial(ctx context.Context, dir, address string) (*bucket, error) {
	u, err := ParseBucket(address)
	if err != nil {
		return nil, err
	}
	b := &bucket{
		ctx: ctx, name: bucketName(u), dir: filepath.Join(dir, spoolName),
		tries: 3, pause: 250 * time.Millisecond, patience: 20 * time.Second,
	}
	if u.Scheme == "file" {
		if b.local, err = localBucket(u); err != nil {
			return nil, err
		}
	}
	if b.blobs, err = blob.OpenBucket(ctx, u.String()); err != nil {
		return nil, slipway.Errorf(slipway.Invalid, "The bucket %s cannot be opened: %v.", b.name, err)
	}
	return b, nil
}

// ParseBucket reads the address of a bucket.
func ParseBucket(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, slipway.Errorf(slipway.Invalid, "%q is no address of a bucket.", address)
	}
	switch u.Scheme {
	case "s3", "azblob", "gs":
		if u.Host == "" {
			return nil, slipway.Errorf(slipway.Invalid, "The address %q names no bucket; one looks like %s://NAME.", address, u.Scheme)
		}
	case "file":
		if strings.Trim(u.Path, "/") == "" {
			return nil, slipway.Errorf(slipway.Invalid, "The address %q names no folder; one looks like file:///srv/slipway.", address)
		}
	default:
		return nil, slipway.Errorf(slipway.Invalid, "The address of a bucket begins with s3://, azblob://, gs:// or file://, not as %q does.", address)
	}
	if p := u.Query().Get("prefix"); p != "" && !strings.HasSuffix(p, "/") {
		return nil, slipway.Errorf(slipway.Invalid, "The prefix of a bucket ends in a slash: prefix=%s/.", p)
	}
	return u, nil
}

// bucketName is an address without what says how to reach it.
func bucketName(u *url.URL) string {
	short := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if p := u.Query().Get("prefix"); p != "" {
		short.RawQuery = "prefix=" + p
	}
	return short.String()
}

// localBucket sets how gocloud.dev writes files, and returns the folder that
// the names of a bucket lie in.
func localBucket(u *url.URL) (string, error) {
	path := u.Path
	if u.Host == "." { // a relative path
		path = strings.TrimPrefix(path, "/")
	}
	dir, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		return "", fmt.Errorf("bucket %s: %w", u, err)
	}
	q := u.Query()
	for key, value := range map[string]string{"create_dir": "1", "no_tmp_dir": "1", "metadata": "skip", "dir_file_mode": "0700"} {
		if !q.Has(key) {
			q.Set(key, value)
		}
	}
	u.RawQuery = q.Encode()
	return filepath.Join(dir, filepath.FromSlash(q.Get("prefix"))), nil
}

func (b *bucket) spool(string) (string, error) { return b.dir, durable.MakeFolders(b.dir, 0o700) }

// signedFor is how long a signed address is good.
const signedFor = 15 * time.Minute

// sign returns "" where the bucket cannot sign, for whatever reason: the portal
// sends the file itself then.
func (b *bucket) sign(ctx context.Context, name string) string {
	if b.local != "" {
		return ""
	}
	ctx, stop := b.bounded(ctx)
	defer stop()
	address, err := b.blobs.SignedURL(ctx, name, &blob.SignedURLOptions{Expiry: signedFor})
	if err != nil {
		return ""
	}
	return address
}

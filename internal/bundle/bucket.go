package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/fileblob"  // file://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://
	"golang.org/x/sync/errgroup"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// bucket is a backend in a bucket of S3, Azure Blob Storage or Google Cloud
// Storage, or in a folder by gocloud.dev's fileblob.
type bucket struct {
	ctx   context.Context // ends all work
	blobs *blob.Bucket
	name  string // for people
	dir   string // of the spool
	local string // the folder of file://, to make durable; else ""

	tries     int
	pause     time.Duration // before the second try; doubled for each further one
	patience  time.Duration // how long nothing may come; thrice as long nothing go
	probeWait time.Duration // until a probe counts as unanswered

	unsigned bool // the portal sends all files
	state    bucketState
}

// tempFolder is the folder in the data folder for the temporary files of
// packs that are written to or read from a bucket.
const tempFolder = "spool"

// OpenBucket returns a store whose manifests and packs are in a bucket:
// s3://…, azblob://…, gs://… or file://…. From then on the bucket, or the
// prefix in the address, belongs to this installation. No other process may
// use dir, the data folder. All work on the bucket ends with ctx.
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
		return nil, atStart(err)
	}
	return &Store{dir: dir, backend: b}, nil
}

// AttachBucket returns the store in a bucket, read-only, while the owning
// process runs.
func AttachBucket(ctx context.Context, dir, address string) (*Store, error) {
	b, err := dial(ctx, dir, address)
	if err != nil {
		return nil, err
	}
	if err := b.recognise(dir); err != nil {
		return nil, atStart(err)
	}
	return &Store{dir: dir, backend: b}, nil
}

// dial prepares access to a bucket. Whether the bucket exists is not checked.
func dial(ctx context.Context, dir, address string) (*bucket, error) {
	u, err := ParseBucket(address)
	if err != nil {
		return nil, err
	}
	b := &bucket{
		ctx: ctx, name: bucketName(u), dir: filepath.Join(dir, tempFolder),
		tries: 3, pause: 250 * time.Millisecond, patience: 20 * time.Second, probeWait: 5 * time.Second,
	}
	if u.Scheme == "file" {
		if b.local, err = localBucket(u); err != nil {
			return nil, err
		}
	}
	if b.blobs, err = blob.OpenBucket(ctx, u.String()); err != nil {
		return nil, slipway.Errorf(slipway.Invalid, "The bucket %s cannot be opened: %s.", b.name, strings.TrimSuffix(innermost(err), "."))
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

// bucketName is an address without the parameters of the connection.
func bucketName(u *url.URL) string {
	short := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if p := u.Query().Get("prefix"); p != "" {
		short.RawQuery = "prefix=" + p
	}
	return short.String()
}

// localBucket sets how gocloud.dev writes files, and returns the folder of
// the bucket's objects.
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

func (b *bucket) tempDir(string) (string, error) { return b.dir, durable.MakeFolders(b.dir, 0o700) }

// signedFor is how long a signed address is good.
const signedFor = 15 * time.Minute

// sign returns "" if the bucket cannot sign, for any reason: then the portal
// sends the file.
func (b *bucket) sign(ctx context.Context, name string) string {
	if b.local != "" || b.unsigned {
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

// readRange reads a range of an object, and fails at once if the object is
// missing.
func (b *bucket) readRange(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	s := b.stream(ctx, name, offset, offset+length)
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (b *bucket) open(ctx context.Context, name string) (File, error) {
	var at *blob.Attributes
	err := b.do(ctx, func(ctx context.Context, _ *watch) (err error) {
		at, err = b.blobs.Attributes(ctx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &objectFile{b: b, ctx: ctx, name: name, info: object{path.Base(name), at.Size, at.ModTime, false}}, nil
}

func (b *bucket) stream(ctx context.Context, name string, at, end int64) *stream {
	ctx, stop := b.bounded(ctx)
	return &stream{b: b, ctx: ctx, stop: stop, name: name, at: at, end: end}
}

// put uploads f. Readers of the bucket see the object only when the upload is
// complete.
func (b *bucket) put(ctx context.Context, name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	err = b.do(ctx, func(ctx context.Context, w *watch) error {
		w.after *= 3 // sent bytes may wait in buffers for long
		w.touch()
		return b.upload(ctx, name, uploadReader{io.NewSectionReader(f, 0, info.Size()), w})
	})
	if err != nil || b.local == "" {
		return err
	}
	return syncUp(filepath.Join(b.local, filepath.FromSlash(name)), b.local)
}

func (b *bucket) upload(ctx context.Context, name string, r io.Reader) error {
	return b.blobs.Upload(ctx, name, r, &blob.WriterOptions{
		ContentType: "application/zstd", BufferSize: uploadPart, MaxConcurrency: uploadParts,
		CacheControl: "private, max-age=31536000, immutable",
	})
}

func (b *bucket) drop(name string) error {
	err := b.do(b.ctx, func(ctx context.Context, _ *watch) error { return b.blobs.Delete(ctx, name) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b *bucket) dropAll(folder string) error {
	g := errgroup.Group{}
	g.SetLimit(8)
	for o, err := range b.objects(folder+"/", "") {
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error { return b.drop(o.Key) })
	}
	return g.Wait()
}

// objects yields the objects below a prefix, up to the next delimiter.
func (b *bucket) objects(prefix, delimiter string) iter.Seq2[*blob.ListObject, error] {
	return func(yield func(*blob.ListObject, error) bool) {
		for token := blob.FirstPageToken; len(token) > 0; {
			var page []*blob.ListObject
			var next []byte
			err := b.do(b.ctx, func(ctx context.Context, _ *watch) (err error) {
				page, next, err = b.blobs.ListPage(ctx, token, 1000, &blob.ListOptions{Prefix: prefix, Delimiter: delimiter})
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, o := range page {
				if !yield(o, nil) {
					return
				}
			}
			token = next
		}
	}
}

func (b *bucket) list(folder string) iter.Seq2[fs.DirEntry, error] {
	return func(yield func(fs.DirEntry, error) bool) {
		for o, err := range b.objects(folder+"/", "/") {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(fs.FileInfoToDirEntry(object{path.Base(o.Key), o.Size, o.ModTime, o.IsDir}), nil) {
				return
			}
		}
	}
}

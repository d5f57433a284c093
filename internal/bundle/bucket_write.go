package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"time"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"slipway/internal/durable"
)

// An upload holds so many bytes in memory at a time, for each of so many parts.
const (
	uploadPart  = 8 << 20
	uploadParts = 2
)

// take uploads f. It is seen in the bucket when all of it has arrived.
func (b *bucket) take(ctx context.Context, name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	err = b.do(ctx, func(ctx context.Context, w *watch) error {
		w.after *= 3 // what was sent may be long on its way
		w.touch()
		return b.upload(ctx, name, sent{io.NewSectionReader(f, 0, info.Size()), w})
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

// sent is what is being uploaded.
type sent struct {
	*io.SectionReader
	*watch
}

func (s sent) Read(p []byte) (int, error) {
	s.touch()
	return s.SectionReader.Read(p)
}

func (s sent) ReadAt(p []byte, at int64) (int, error) {
	s.touch()
	return s.SectionReader.ReadAt(p, at)
}

// syncUp makes the file at path durable, and the folders above it up to root.
func syncUp(path, root string) error {
	if err := durable.SyncPath(path); err != nil {
		return err
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if err := durable.SyncPath(dir); err != nil || len(dir) <= len(root) {
			return err
		}
	}
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

// objects yields what a bucket has below a prefix, up to the next delimiter.
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

// object is what a bucket says of a file, or of a folder.
type object struct {
	name string
	size int64
	at   time.Time
	dir  bool
}

func (o object) Name() string       { return o.name }
func (o object) Size() int64        { return o.size }
func (o object) ModTime() time.Time { return o.at }
func (o object) IsDir() bool        { return o.dir }
func (o object) Sys() any           { return nil }

func (o object) Mode() fs.FileMode {
	if o.dir {
		return fs.ModeDir
	}
	return 0
}

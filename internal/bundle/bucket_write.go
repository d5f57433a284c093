package bundle

import (
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"slipway/internal/durable"
)

// Buffers of an upload: uploadParts parts of uploadPart bytes each.
const (
	uploadPart  = 8 << 20
	uploadParts = 2
)

// uploadReader reads a file for an upload, and counts every read as progress.
type uploadReader struct {
	*io.SectionReader
	*watch
}

func (s uploadReader) Read(p []byte) (int, error) {
	s.touch()
	return s.SectionReader.Read(p)
}

func (s uploadReader) ReadAt(p []byte, at int64) (int, error) {
	s.touch()
	return s.SectionReader.ReadAt(p, at)
}

// syncUp syncs the file at path and the folders above, up to root.
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

// object is the fs.FileInfo of an object or of a folder in a bucket.
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

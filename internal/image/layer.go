package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

// maxUnpacked is the most that the layers of one image, or an archive, may
// unpack to.
const maxUnpacked = 128 << 30

// Longest names, and deepest folders, that entries may have. Linux opens no
// longer path; names are kept in memory, and their folders walked through.
const (
	maxName    = 4096
	maxNesting = 128
)

// checkNames refuses an entry whose names are longer.
func checkNames(h *tar.Header) error {
	for _, name := range []string{h.Name, h.Linkname} {
		if len(name) > maxName || strings.Count(name, "/") > maxNesting {
			return slipway.Errorf(slipway.TooLarge, "It holds an entry whose name is longer than %d bytes or deeper than %d folders: %q.", maxName, maxNesting, clipped(name))
		}
	}
	return nil
}

// maxWindow is the largest window of a zstd frame that is read: it is held in
// memory.
const maxWindow = 128 << 20

// What a layer's archive says of those below it.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// entry is an entry of a layer.
type entry struct {
	*tar.Header

	path string // absolute and clean
	hide string // the path that it hides in the layers below; "" for an ordinary entry
	all  bool   // it hides what is in that folder, not the folder
}

func entryOf(h *tar.Header) entry {
	e := entry{Header: h, path: path.Clean("/" + h.Name)}
	dir, base := path.Split(e.path)
	switch {
	case base == opaque:
		e.hide, e.all = path.Clean(dir), true
	case strings.HasPrefix(base, whiteout+whiteout):
		e.hide, e.all = e.path, true // other marks of the format: they name nothing
	case strings.HasPrefix(base, whiteout):
		e.hide = path.Join(dir, strings.TrimPrefix(base, whiteout))
	}
	return e
}

// unreadable reports whether err is of a format, not of a disk.
func unreadable(err error) bool {
	for _, format := range []error{tar.ErrHeader, io.EOF, io.ErrUnexpectedEOF, gzip.ErrChecksum, gzip.ErrHeader, zstd.ErrMagicMismatch,
		zstd.ErrWindowSizeExceeded, zstd.ErrCRCMismatch, tar.ErrFieldTooLong} {
		if errors.Is(err, format) {
			return true
		}
	}
	text := err.Error()
	return strings.Contains(text, "flate:") || strings.Contains(text, "zstd") || strings.Contains(text, "corrupt") || strings.Contains(text, "verif")
}

// limited reads no more than is left for all that share it.
type limited struct {
	io.Reader
	left *int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if *l.left -= int64(n); *l.left < 0 {
		return n, slipway.Errorf(slipway.TooLarge, "The image unpacks to more than %d GiB, which is the most that is read.", maxUnpacked>>30)
	}
	return n, err
}

// unpacked returns what a stream holds: plain, or compressed with gzip or zstd.
func unpacked(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	switch head, _ := b.Peek(4); { // a short one is plain
	case bytes.HasPrefix(head, gzipMagic):
		return gzip.NewReader(b)
	case bytes.HasPrefix(head, zstdMagic):
		d, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(b), nil
}

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// within reports whether a path is dir or below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// chain returns p and the folders that it is in, from the top; without "/".
func chain(p string) (all []string) {
	for ; p != "/" && p != "."; p = path.Dir(p) {
		all = append([]string{p}, all...)
	}
	return all
}

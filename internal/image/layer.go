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

// maxUnpacked is the largest unpacked size of all layers of an image, or of
// an archive, in bytes.
const maxUnpacked = 128 << 30

// Limits of entries: the longest name and the deepest folder. Linux opens no
// longer path; names are held in memory, and every folder above an entry is
// visited.
const (
	maxName    = 4096
	maxNesting = 128
)

// checkNames refuses an entry with a longer or deeper name.
func checkNames(h *tar.Header) error {
	for _, name := range []string{h.Name, h.Linkname} {
		if len(name) > maxName || strings.Count(name, "/") > maxNesting {
			return slipway.Errorf(slipway.TooLarge, "It holds an entry whose name is longer than %d bytes or deeper than %d folders: %q.", maxName, maxNesting, clipped(name))
		}
	}
	return nil
}

// maxWindow is the largest window of a zstd frame, in bytes; the decoder
// holds the window in memory.
const maxWindow = 128 << 20

// Names of whiteouts.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// entry is an entry of a layer.
type entry struct {
	*tar.Header

	path string // absolute and clean
	hide string // the path hidden in lower layers; "" for an ordinary entry
	all  bool   // hide is a folder, emptied instead of removed
}

func entryOf(h *tar.Header) entry {
	e := entry{Header: h, path: path.Clean("/" + h.Name)}
	dir, base := path.Split(e.path)
	switch {
	case base == opaque:
		e.hide, e.all = path.Clean(dir), true
	case strings.HasPrefix(base, whiteout+whiteout):
		e.hide, e.all = e.path, true // other markers of AUFS: no effect on paths
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

// limited reads at most the bytes in left, shared with other readers.
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

// unpacked returns the content of a stream: plain, or decompressed from gzip
// or zstd.
func unpacked(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF): // a short one is plain
		return nil, err
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

// within reports whether p is dir or below dir.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// chain returns the folders above p and p, from the top; without "/".
func chain(p string) (all []string) {
	for ; p != "/" && p != "."; p = path.Dir(p) {
		all = append([]string{p}, all...)
	}
	return all
}

package archive

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"

	"slipway/internal/slipway"
)

// inflater unpacks one content after the other with the same buffers.
type inflater struct {
	raw   *bufio.Reader
	flate io.ReadCloser
}

// open returns the content of f, which must be read to its end before the next
// one is opened.
func (z *unzip) open(f zipped) (io.Reader, error) {
	raw, err := f.OpenRaw()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", Quote(f.Name), err)
	}
	if z.raw == nil {
		z.raw = bufio.NewReaderSize(raw, 32<<10)
		z.flate = flate.NewReader(z.raw)
	}
	z.raw.Reset(raw)
	z.meter.r = z.raw
	if f.Method == zip.Deflate {
		if err := z.flate.(flate.Resetter).Reset(z.raw, nil); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", Quote(f.Name), err)
		}
		z.meter.r = z.flate
	}
	return &checked{file: f.File, r: &z.meter, raw: z.raw, sum: crc32.NewIEEE()}, nil
}

// checked reads a content and refuses one that is not what the directory says.
type checked struct {
	file *zip.File
	r    io.Reader
	raw  *bufio.Reader // what of the packed content is left
	sum  hash.Hash32
	n    uint64
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n)
	if c.n > c.file.UncompressedSize64 {
		return 0, c.lie("unpacks to more bytes than the archive's directory says")
	}
	_, _ = c.sum.Write(p[:n]) // a hash takes everything
	if err != io.EOF {
		return n, err
	}
	return n, c.end()
}

func (c *checked) end() error {
	_, err := c.raw.ReadByte()
	switch {
	case err == nil:
		return c.lie("holds data after its end")
	case !errors.Is(err, io.EOF):
		return err
	case c.n < c.file.UncompressedSize64:
		return c.lie("unpacks to fewer bytes than the archive's directory says")
	case c.sum.Sum32() != c.file.CRC32:
		return c.lie("is damaged: its checksum is not the one in the archive's directory")
	}
	return io.EOF
}

func (c *checked) lie(what string) error {
	return slipway.Errorf(slipway.Invalid, "The entry %s %s. Pack and upload the archive again.", Quote(c.file.Name), what)
}

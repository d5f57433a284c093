package archive

import (
	"archive/zip"
	"bufio"
	"errors"
	"hash"
	"io"

	"slipway/internal/slipway"
)

// inflater unpacks one content after the other with the same buffers.
type inflater struct {
	raw   *bufio.Reader
	flate io.ReadCloser
}

// checkedContent reads a content and refuses a difference from the directory.
type checkedContent struct {
	file *zip.File
	r    io.Reader
	raw  *bufio.Reader // the rest of the packed content
	sum  hash.Hash32
	n    uint64
}

func (c *checkedContent) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n)
	if c.n > c.file.UncompressedSize64 {
		return 0, c.mismatch("unpacks to more bytes than the archive's directory says")
	}
	_, _ = c.sum.Write(p[:n]) // a hash takes everything
	if err != io.EOF {
		return n, err
	}
	return n, c.end()
}

func (c *checkedContent) end() error {
	_, err := c.raw.ReadByte()
	switch {
	case err == nil:
		return c.mismatch("holds data after its end")
	case !errors.Is(err, io.EOF):
		return err
	case c.n < c.file.UncompressedSize64:
		return c.mismatch("unpacks to fewer bytes than the archive's directory says")
	case c.sum.Sum32() != c.file.CRC32:
		return c.mismatch("is damaged: its checksum is not the one in the archive's directory")
	}
	return io.EOF
}

func (c *checkedContent) mismatch(what string) error {
	return slipway.Errorf(slipway.Invalid, "The entry %s %s. Pack and upload the archive again.", Quote(c.file.Name), what)
}

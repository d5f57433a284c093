package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"slipway/internal/slipway"
)

// source is the bytes of the archive, with the first error of reading: a failing
// disk or a cancelled context.
type source struct {
	ctx context.Context
	r   io.ReaderAt
	mu  sync.Mutex // as reading ahead and explaining an error may cross
	err error
}

func (s *source) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail keeps the first error, and returns the kept error.
func (s *source) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	return s.err
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if err := s.fail(s.ctx.Err()); err != nil {
		return 0, err
	}
	n, err := s.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, s.fail(err)
	}
	return n, err
}

// content is the content of an entry. Errors are explained, and kept: take may
// drop errors.
type content struct {
	scan *scan
	r    io.Reader
	err  error
}

func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = c.scan.explain(err)
		return n, c.err
	}
	return n, err
}

var errUnpacked = errors.New("unpacked size is over the limit")

// meter counts the bytes out of an archive, and the zeros at the end.
type meter struct {
	r     io.Reader
	limit int64
	n     int64
	zeros int64
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if m.n += int64(n); m.n > m.limit {
		return 0, errUnpacked
	}
	zeros := n - len(bytes.TrimRight(p[:n], "\x00"))
	if zeros < n {
		m.zeros = 0
	}
	m.zeros += int64(zeros)
	return n, err
}

// checkLocal makes sure that the header of f lies at the offset at and says the
// same as the directory, which begins at dir. It returns where f ends.
func (s *scan) checkLocal(f zipFile, at, dir int64) (int64, error) {
	switch {
	case f.Flags&zipEncrypted != 0:
		return 0, slipway.Errorf(slipway.Invalid, "The entry %s is encrypted. Pack the archive without a password.", Quote(f.Name))
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return 0, slipway.Errorf(slipway.Invalid, "The entry %s is compressed with method %d. Only deflate, the usual one, can be read.", Quote(f.Name), f.Method)
	case f.start < at+zipLocalLen || f.start > dir || f.CompressedSize64 > uint64(dir-f.start):
		return 0, s.misplaced(f)
	}
	b := make([]byte, min(f.start-at, zipLocalLen+2<<16))
	if _, err := s.src.ReadAt(b, at); err != nil {
		return 0, s.explain(noEOF(err))
	}
	nameLen, extraLen := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
	if string(b[:4]) != zipLocal || at+zipLocalLen+int64(nameLen+extraLen) != f.start {
		return 0, s.misplaced(f)
	}
	if !agrees(f.File, b, b[zipLocalLen+nameLen:]) || string(b[zipLocalLen:zipLocalLen+nameLen]) != f.Name {
		return 0, slipway.Errorf(slipway.Invalid, "The header of %s does not agree with the zip archive's directory.", Quote(f.Name))
	}
	return s.endOf(f, dir)
}

func (s *scan) misplaced(f zipFile) error {
	return slipway.Errorf(slipway.Invalid, "The entry %s overlaps another one, or there is data between them that belongs to no file.", Quote(f.Name))
}

// endOf returns where f ends: behind its content, or behind the descriptor that
// follows it.
func (s *scan) endOf(f zipFile, dir int64) (int64, error) {
	end := f.start + int64(f.CompressedSize64)
	if f.Flags&zipDescriptor == 0 {
		return end, nil
	}
	b := make([]byte, 28) // the longest descriptor, and the signature behind it
	n, err := s.src.ReadAt(b, end)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, s.explain(err)
	}
	for _, d := range descriptors(f.File) {
		rest, ok := bytes.CutPrefix(b[:n], d)
		at := end + int64(len(d))
		if ok && (at == dir || at < dir && bytes.HasPrefix(rest, []byte(zipLocal))) {
			return at, nil
		}
	}
	return 0, slipway.Errorf(slipway.Invalid, "What follows the content of %s does not agree with the zip archive's directory.", Quote(f.Name))
}

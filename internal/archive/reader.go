package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
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

var (
	errUnpacked = errors.New("unpacked size is over the limit")
	errStream   = errors.New("unpacked size, with all that is not deployed, is over the limit")
	errRatio    = errors.New("unpacked size is over the limit for the size of the upload")
)

// bound returns the limit, or the lower one by the size of the upload, and the error
// beyond.
func (s *scan) bound(limit int64, over error) (int64, error) {
	if most := ratioSlack + s.ratio*s.lim.Upload; most < limit {
		return most, errRatio
	}
	return limit, over
}

// meter counts the bytes out of an archive, and the zeros at the end. Few bytes of an
// archive may unpack to many, so that the context is looked at here as well.
type meter struct {
	src   *source
	r     io.Reader
	limit int64
	over  error // the error beyond the limit
	n     int64
	zeros int64
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.src.fail(m.src.ctx.Err()); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	if m.n += int64(n); m.n > m.limit {
		return 0, m.over
	}
	zeros := n - len(bytes.TrimRight(p[:n], "\x00"))
	if zeros < n {
		m.zeros = 0
	}
	m.zeros += int64(zeros)
	return n, err
}

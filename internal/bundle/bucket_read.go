package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// objectFile reads an object as a file.
type objectFile struct {
	b    *bucket
	ctx  context.Context
	name string
	info object
	at   int64
	s    *stream // at at; nil before the first byte is read
}

// Stat returns size and time of the object.
func (f *objectFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Read reads on.
func (f *objectFile) Read(p []byte) (int, error) {
	if f.s == nil {
		f.s = f.b.stream(f.ctx, f.name, f.at, f.info.size)
	}
	n, err := f.s.Read(p)
	f.at += int64(n)
	return n, err
}

// Seek sets where to read on.
func (f *objectFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.info.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek %s to %d", f.name, offset)
	}
	if offset == f.at {
		return offset, nil
	}
	err := f.Close()
	f.at, f.s = offset, nil
	return offset, err
}

// Close ends reading.
func (f *objectFile) Close() error {
	if f.s == nil {
		return nil
	}
	return f.s.Close()
}

// stream reads an object from at to end, and reconnects after a broken
// connection.
type stream struct {
	b       *bucket
	ctx     context.Context
	stop    context.CancelFunc
	name    string
	at, end int64
	r       *blob.Reader // nil between two tries
	w       *watch       // of r
	tries   int          // in a row without a byte
}

// open requests the rest of the object, and does not wait for the first byte.
func (s *stream) open() error {
	return s.b.do(s.ctx, func(context.Context, *watch) (err error) {
		ctx, w := s.b.watched(s.ctx)
		if s.r, err = s.b.blobs.NewRangeReader(ctx, s.name, s.at, s.end-s.at, nil); err != nil {
			if w.timedOut() {
				err = errors.Join(errTimeout, err)
			}
			s.r = nil
			w.stop()
			return err
		}
		w.pause()
		s.w = w
		return nil
	})
}

// Read reads on, and reconnects after a broken connection.
func (s *stream) Read(p []byte) (int, error) {
	for s.at < s.end {
		if s.r == nil {
			if err := s.open(); err != nil {
				return 0, err
			}
		}
		s.w.touch()
		n, err := s.r.Read(p[:min(int64(len(p)), s.end-s.at)])
		s.w.pause()
		s.at += int64(n)
		if n > 0 {
			s.tries = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if err := s.broken(err); err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}

// broken returns an error if another try would not help after err.
func (s *stream) broken(err error) error {
	if s.at >= s.r.Size() {
		return fmt.Errorf("%s ends after %d bytes: %w", s.name, s.at, io.ErrUnexpectedEOF) // damaged
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if s.w.timedOut() {
		err = errors.Join(errTimeout, err)
	}
	s.shut()
	s.tries++
	if s.tries >= s.b.tries || gcerrors.Code(err) == gcerrors.NotFound || !s.b.wait(s.ctx, s.tries) {
		return s.b.failed(s.ctx, err)
	}
	return nil
}

// shut lets the connection go.
func (s *stream) shut() {
	if s.r != nil {
		_ = s.r.Close() // read-only, so the error does not matter
		s.w.stop()
		s.r = nil
	}
}

// Close ends reading.
func (s *stream) Close() error {
	s.shut()
	s.stop()
	return nil
}

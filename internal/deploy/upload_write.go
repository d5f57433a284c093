package deploy

import (
	"errors"
	"fmt"
	"io"
	"os"

	"slipway/internal/slipway"
	"slipway/store"
)

// reserveEvery is after how many bytes of an upload the disk's free space is
// looked at again.
const reserveEvery = 16 << 20

// write appends r to the file of u, at offset, and returns how far it came.
func (e *Engine) write(u store.Upload, w slipway.Deploy, offset int64, r io.Reader) (at int64, err error) {
	f, err := os.OpenFile(e.uploadPath(u.ID), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return offset, outage(fmt.Errorf("append to upload: %w", err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	room := e.most(u.Image) - offset
	if u.Length >= 0 {
		room = u.Length - offset
	}
	n, err := e.copyIn(f, io.LimitReader(r, room))
	if err == nil && n == room && !atEnd(r) {
		err = e.overflow(u, w)
	}
	switch {
	case err != nil:
		err = outage(fmt.Errorf("receive upload: %w", err))
	case n == 0 && u.Length < 0:
		err = slipway.Errorf(slipway.Invalid, "The file %s is empty.", w.Upload)
	}
	return offset + n, err
}

func (e *Engine) overflow(u store.Upload, w slipway.Deploy) error {
	if u.Length < 0 {
		return tooLarge(w.Upload, e.most(u.Image))
	}
	return slipway.Errorf(slipway.Invalid, "The upload is longer than the %d bytes that were announced.", u.Length)
}

// copyIn copies r to f and stops before the disk falls under its reserve.
func (e *Engine) copyIn(f *os.File, r io.Reader) (n int64, err error) {
	buf := make([]byte, 256<<10) // the usual 32 KiB take eight times the system calls
	for {
		if err := e.spare(0); err != nil {
			return n, err
		}
		m, err := io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(r, reserveEvery), buf)
		n += m
		if err != nil || m < reserveEvery {
			return n, err
		}
	}
}

// atEnd reports whether nothing more comes from r.
func atEnd(r io.Reader) bool {
	var b [1]byte
	n, _ := io.ReadFull(r, b[:]) // a broken connection has no more to give either
	return n == 0
}

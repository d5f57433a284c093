package archive

import (
	"io"
	"sync"

	"slipway/internal/slipway"
)

// readahead reads the next blocks in a goroutine while the caller works on
// earlier ones: unpacking takes as long as all other work on an archive.
type readahead struct {
	full chan block
	free chan []byte
	stop chan struct{}
	wg   sync.WaitGroup
	now  block // in use
	rest []byte
}

type block struct {
	bytes []byte
	err   error // behind the bytes
}

const (
	readaheadBlocks = 4
	readaheadBlock  = 128 << 10
)

// newReadahead begins to read r. The caller calls close before closing r.
func newReadahead(r io.Reader) *readahead {
	a := &readahead{full: make(chan block, readaheadBlocks), free: make(chan []byte, readaheadBlocks), stop: make(chan struct{})}
	for range readaheadBlocks {
		a.free <- make([]byte, readaheadBlock)
	}
	a.wg.Go(func() { a.fill(r) })
	return a
}

func (a *readahead) fill(r io.Reader) {
	for {
		var b block
		select {
		case b.bytes = <-a.free:
		case <-a.stop:
			return
		}
		n := 0
		for n < len(b.bytes)/2 && b.err == nil {
			var m int
			m, b.err = readSafely(r, b.bytes[n:])
			n += m
		}
		b.bytes = b.bytes[:n]
		a.full <- b // has room for all blocks
		if b.err != nil {
			return
		}
	}
}

// readSafely is r.Read: a panic in a goroutine would end the process.
func readSafely(r io.Reader, p []byte) (n int, err error) {
	defer slipway.Recovered(&err)
	return r.Read(p)
}

// Read returns the bytes read, and then the error of r.
func (a *readahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.bytes != nil {
			a.free <- a.now.bytes[:readaheadBlock]
		}
		a.now = <-a.full
		a.rest = a.now.bytes
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// close ends reading, after the running read of r.
func (a *readahead) close() {
	close(a.stop)
	a.wg.Wait()
}

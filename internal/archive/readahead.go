package archive

import (
	"io"
	"sync"
)

// readahead reads on in a goroutine of its own while what it has read is used: to
// unpack an archive takes as long as all that is done with it.
type readahead struct {
	full chan block
	free chan []byte
	stop chan struct{}
	wg   sync.WaitGroup
	now  block // that is being used
	rest []byte
}

type block struct {
	bytes []byte
	err   error // that came behind them
}

const (
	readaheadBlocks = 4
	readaheadBlock  = 128 << 10
)

// newReadahead begins to read r. The caller closes it before r goes away.
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
			m, b.err = r.Read(b.bytes[n:])
			n += m
		}
		b.bytes = b.bytes[:n]
		a.full <- b // has room for all blocks
		if b.err != nil {
			return
		}
	}
}

// Read returns what was read, and then the error that ended reading.
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

// close ends reading, at once or when the read that goes on has returned.
func (a *readahead) close() {
	close(a.stop)
	a.wg.Wait()
}

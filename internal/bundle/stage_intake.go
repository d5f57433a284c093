package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"strings"

	"slipway/internal/archive"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

const (
	// atOnce is the number of contents in memory, of at most inMemory bytes each: enough to
	// keep reading and packing busy.
	atOnce   = 24
	inMemory = 256 << 10
)

// item is a content between archive and pack: a small one in memory and not
// yet hashed, a large one in a temporary file.
type item struct {
	name  string
	small bytes.Buffer
	size  int64
	large *os.File // nil for a small one
	sum   hash.Hash
	scan  dagScan
}

// sha returns the SHA-256 of the content.
func (it *item) sha() string {
	if it.large != nil {
		return hex.EncodeToString(it.sum.Sum(nil))
	}
	sum := sha256.Sum256(it.small.Bytes())
	return hex.EncodeToString(sum[:])
}

// isDAG reports whether Airflow's safe mode would parse a .py file with this
// content.
func (it *item) isDAG() bool {
	if it.large == nil && isPython(it.name) {
		_, _ = it.scan.Write(it.small.Bytes()) // never fails
	}
	return it.scan.found()
}

func (it *item) reader() io.Reader {
	if it.large != nil {
		return io.NewSectionReader(it.large, 0, it.size)
	}
	return bytes.NewReader(it.small.Bytes())
}

// intake reads contents from an archive into items.
type intake struct {
	ctx     context.Context
	dir     string // for large contents
	reserve int64  // bytes that must stay free in dir
	items   chan *item
	free    chan *item // items for reuse
}

func newIntake(ctx context.Context, dir string, reserve int64) *intake {
	in := &intake{ctx: ctx, dir: dir, reserve: reserve, items: make(chan *item, atOnce), free: make(chan *item, atOnce)}
	for range atOnce {
		in.free <- &item{}
	}
	return in
}

// take takes the content r of e.
func (in *intake) take(e archive.Entry, r io.Reader) error {
	if e.Link != "" {
		return nil
	}
	if err := in.fits(e); err != nil {
		return err
	}
	var it *item
	select {
	case it = <-in.free:
	case <-in.ctx.Done():
		return in.ctx.Err()
	}
	it.name, it.scan = e.Name, dagScan{tail: it.scan.tail[:0]}
	if err := it.fill(in.dir, e.Size, r); err != nil {
		it.drop()
		return err
	}
	in.items <- it // has room for all items
	return nil
}

// fits refuses a large content that would take the disk below the reserve.
func (in *intake) fits(e archive.Entry) error {
	if e.Size <= inMemory {
		return nil
	}
	free, err := durable.FreeSpace(in.dir)
	if err == nil && free-e.Size < in.reserve {
		err = slipway.Errorf(slipway.NoSpace, "The disk of the portal has no room to unpack %s, which has %s. Ask the administrator for space.",
			archive.Quote(e.Name), archive.SizeText(e.Size))
	}
	return err
}

// fill reads r, of the declared size.
func (it *item) fill(dir string, size int64, r io.Reader) (err error) {
	it.small.Reset()
	if size <= inMemory {
		it.small.Grow(int(size) + bytes.MinRead)
		it.size, err = it.small.ReadFrom(io.LimitReader(r, inMemory+1))
		if err != nil || it.size <= inMemory {
			return err
		}
	}
	return it.writeTemp(dir, r)
}

// writeTemp writes a large content, with its beginning in memory, to a
// temporary file, and hashes the bytes.
func (it *item) writeTemp(dir string, rest io.Reader) error {
	f, err := os.CreateTemp(dir, durable.TempPattern)
	if err != nil {
		return err
	}
	it.large = f
	if err := os.Remove(f.Name()); err != nil { // unlinked, readable until closed
		return err
	}
	it.sum = sha256.New()
	to := []io.Writer{f, it.sum}
	if isPython(it.name) {
		to = append(to, &it.scan)
	}
	it.size, err = io.Copy(io.MultiWriter(to...), io.MultiReader(&it.small, rest))
	return err
}

// done returns an item for reuse.
func (in *intake) done(it *item) {
	it.drop()
	in.free <- it
}

func (it *item) drop() {
	if it.large != nil {
		_ = it.large.Close() // only read since, and already unlinked
		it.large = nil
	}
}

// drop releases items that were not stored. The channel must be closed.
func (in *intake) drop() {
	for it := range in.items {
		it.drop()
	}
}

func isPython(name string) bool { return strings.HasSuffix(name, ".py") }

// dagScan searches written bytes for the two words of Airflow's safe mode, in
// any case.
type dagScan struct {
	dag, airflow bool
	tail         []byte // end of the previous bytes, shorter than a word
}

func (s *dagScan) found() bool { return s.dag && s.airflow }

// Write scans b, joined with the end of the previous bytes.
func (s *dagScan) Write(b []byte) (int, error) {
	const chunk = 1 << 10 // both words mostly stand near the top
	for rest := b; len(rest) > 0 && !s.found(); {
		n := min(chunk, len(rest))
		s.scan(rest[:n])
		rest = rest[n:]
	}
	return len(b), nil
}

func (s *dagScan) scan(b []byte) {
	text := s.tail
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		text = append(text, c)
	}
	s.dag = s.dag || bytes.Contains(text, []byte("dag"))
	s.airflow = s.airflow || bytes.Contains(text, []byte("airflow"))
	s.tail = append(text[:0], text[max(0, len(text)-len("airflow")+1):]...)
}

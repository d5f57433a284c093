package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"slipway/internal/archive"
	"slipway/internal/dagfile"
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
	facts dagfile.Content
}

// sha returns the SHA-256 of the content.
func (it *item) sha() string {
	if it.large != nil {
		return hex.EncodeToString(it.sum.Sum(nil))
	}
	sum := sha256.Sum256(it.small.Bytes())
	return hex.EncodeToString(sum[:])
}

// look returns the facts about the content.
func (it *item) look() (dagfile.Content, error) {
	if it.large != nil {
		return dagfile.Look(it.name, it.large, it.size)
	}
	return dagfile.LookAt(it.name, it.small.Bytes()), nil
}

func (it *item) reader() io.Reader {
	if it.large != nil {
		return io.NewSectionReader(it.large, 0, it.size)
	}
	return bytes.NewReader(it.small.Bytes())
}

// intake reads contents from an archive into items.
type intake struct {
	ctx   context.Context
	dir   string         // for large contents
	lim   archive.Limits // of the disk with dir
	items chan *item
	free  chan *item // items for reuse
}

func newIntake(ctx context.Context, dir string, lim archive.Limits) *intake {
	in := &intake{ctx: ctx, dir: dir, lim: lim, items: make(chan *item, atOnce), free: make(chan *item, atOnce)}
	for range atOnce {
		in.free <- &item{}
	}
	return in
}

// take takes the content r of e, and reports a DAG file.
func (in *intake) take(e archive.Entry, r io.Reader) (isDAG bool, err error) {
	if e.Link != "" {
		return false, nil
	}
	if err := in.fits(e); err != nil {
		return false, err
	}
	var it *item
	select {
	case it = <-in.free:
	case <-in.ctx.Done():
		return false, in.ctx.Err()
	}
	it.name = e.Name
	if err := in.fill(it, e.Size, r); err != nil {
		it.drop()
		return false, err
	}
	if it.facts, err = it.look(); err != nil {
		it.drop()
		return false, err
	}
	isDAG = isDAGModule(e.Name, it.facts)
	in.items <- it // has room for all items
	return isDAG, nil
}

// isDAGModule reports whether Airflow would load the file name as a module with DAGs. A
// zip archive says nothing about the folder that it lies in.
func isDAGModule(name string, c dagfile.Content) bool {
	f := slipway.File{Path: name}
	c.Mark(&f)
	return strings.HasSuffix(name, ".py") && (f.DAG || f.Asset)
}

// fits refuses a large content that would take the disk below the reserve.
func (in *intake) fits(e archive.Entry) error {
	if e.Size <= inMemory {
		return nil
	}
	free, err := durable.FreeSpace(in.dir)
	if err == nil && free-e.Size < in.lim.Reserve {
		err = slipway.Errorf(slipway.NoSpace, "The disk of the portal has no room to unpack %s, which has %s. Ask the administrator for space.",
			archive.Quote(e.Name), archive.SizeText(e.Size))
	}
	return err
}

// fill reads r, of the declared size, into it.
func (in *intake) fill(it *item, size int64, r io.Reader) (err error) {
	it.small.Reset()
	if size <= inMemory {
		it.small.Grow(int(size) + bytes.MinRead)
		it.size, err = it.small.ReadFrom(io.LimitReader(r, inMemory+1))
		if err != nil || it.size <= inMemory {
			return err
		}
	}
	return in.writeTemp(it, r)
}

// writeTemp writes a large content, with its beginning in memory, to a
// temporary file, and hashes the bytes.
func (in *intake) writeTemp(it *item, rest io.Reader) error {
	f, err := os.CreateTemp(in.dir, durable.TempPattern)
	if err != nil {
		return err
	}
	it.large = f
	if err := os.Remove(f.Name()); err != nil { // unlinked, readable until closed
		return err
	}
	it.sum = sha256.New()
	it.size, err = copyClaimed(in.lim, f, io.TeeReader(io.MultiReader(&it.small, rest), it.sum))
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

// Look returns facts about the contents of files in the packs of a namespace, by SHA-256,
// for any name.
func (s *Store) Look(ctx context.Context, ns string, files []slipway.File) (map[string]dagfile.Content, error) {
	dir, err := s.packTempDir(ns)
	if err != nil {
		return nil, err
	}
	in := intake{ctx: ctx, dir: dir}
	facts := map[string]dagfile.Content{}
	wanted, places := map[string]bool{}, make([]slipway.Place, 0, len(files))
	for _, f := range files {
		wanted[f.SHA256] = true
		places = append(places, f.Place)
	}
	var it item
	defer it.drop()
	err = eachContent(ctx, storeSource{s, ns}, places, func(sha string, size int64, r io.Reader) (err error) {
		if !wanted[sha] {
			return nil
		}
		it.drop()
		it.name = "any.py" // all names have these facts
		if err := in.fill(&it, size, r); err != nil {
			return err
		}
		facts[sha], err = it.look()
		return err
	})
	for _, f := range files {
		if _, found := facts[f.SHA256]; !found && err == nil {
			err = fmt.Errorf("the content of %s is not in its pack", f.Path)
		}
	}
	return facts, err
}

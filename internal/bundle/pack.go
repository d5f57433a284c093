package bundle

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/archive"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

const (
	packSuffix = ".tar.zst"

	// frameMin is how many bytes of tar a frame holds before the next entry
	// begins a new one.
	frameMin = 1 << 20

	// window is the reach of compression in bytes. The window bounds the memory for reading
	// and writing a pack.
	window = 1 << 20
)

// Pack is a stored pack.
type Pack struct {
	SHA256 string // of the compressed file, lower-case hex; also the pack's name
	Size   int64  // compressed bytes
}

// packEntry is a content in an unfinished pack.
type packEntry struct {
	sha   string
	size  int64
	frame int // index in frames
}

// packWriter writes a pack to a temporary file: one tar, cut into zstd frames
// at entry boundaries.
type packWriter struct {
	f      *os.File
	out    io.WriteCloser // to f
	sum    hash.Hash
	size   int64 // compressed bytes written
	enc    *zstd.Encoder
	tar    *tar.Writer
	open   bool  // whether a frame has begun
	raw    int64 // bytes of tar in the open frame
	frames []slipway.Place
	list   []packEntry
}

// newPack begins a pack in dir, on a disk with limits.
func newPack(dir string, lim archive.Limits) (*packWriter, error) {
	f, err := os.CreateTemp(dir, durable.TempPattern)
	if err != nil {
		return nil, err
	}
	p := &packWriter{f: f, out: lim.Writer(f), sum: sha256.New()}
	p.enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(2))
	if err != nil {
		p.discard()
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	p.tar = tar.NewWriter(tarSide{p})
	return p, nil
}

// tarSide receives a packWriter's tar, zstdSide its frames.
type (
	tarSide  struct{ *packWriter }
	zstdSide struct{ *packWriter }
)

func (p tarSide) Write(b []byte) (int, error) {
	if !p.open {
		p.enc.Reset(zstdSide(p))
		p.open, p.raw = true, 0
		p.frames = append(p.frames, slipway.Place{Offset: p.size})
	}
	p.raw += int64(len(b))
	return p.enc.Write(b)
}

func (p zstdSide) Write(b []byte) (int, error) {
	n, err := p.out.Write(b)
	p.sum.Write(b[:n])
	p.size += int64(n)
	return n, err
}

// add appends a content, unverified.
func (p *packWriter) add(sha string, size int64, r io.Reader) error {
	if err := p.tar.WriteHeader(&tar.Header{Name: sha, Mode: 0o444, Size: size}); err != nil {
		return fmt.Errorf("pack a content: %w", err)
	}
	if _, err := io.Copy(p.tar, r); err != nil {
		return fmt.Errorf("pack a content: %w", err)
	}
	if err := p.tar.Flush(); err != nil {
		return fmt.Errorf("pack a content: %w", err)
	}
	p.list = append(p.list, packEntry{sha: sha, size: size, frame: len(p.frames) - 1})
	if p.raw < frameMin {
		return nil
	}
	return p.endFrame()
}

// endFrame ends the open frame. The encoder writes from its own goroutine, so
// the size is known only after Close.
func (p *packWriter) endFrame() error {
	if !p.open {
		return nil
	}
	p.open = false
	err := p.enc.Close()
	last := &p.frames[len(p.frames)-1]
	last.Length = p.size - last.Offset
	return err
}

// finish writes the tar's trailer.
func (p *packWriter) finish() error { return errors.Join(p.tar.Close(), p.endFrame()) }

// keep stores the finished pack in s, named by its SHA-256. From then on
// place is valid.
func (p *packWriter) keep(ctx context.Context, s *Store, ns string) (Pack, error) {
	sum := hex.EncodeToString(p.sum.Sum(nil))
	name, err := packName(ns, sum)
	if err == nil {
		err = s.backend.put(ctx, name, p.f)
	}
	if err != nil {
		return Pack{}, fmt.Errorf("save a pack: %w", err)
	}
	for i := range p.frames {
		p.frames[i].Pack = sum
	}
	return Pack{SHA256: sum, Size: p.size}, nil
}

// place returns where c lies in the kept pack.
func (p *packWriter) place(c packEntry) slipway.Place { return p.frames[c.frame] }

// discard deletes the temporary file, if any is left, and ends the encoder's
// goroutines.
func (p *packWriter) discard() {
	_ = p.f.Close()           // closed already when the pack was kept
	_ = os.Remove(p.f.Name()) // finds nothing then
	if p.enc != nil {
		p.enc.Reset(nil)
	}
	_ = p.out.Close() // the file is gone or complete
}

// merge appends the contents of files and ends the pack.
func (p *packWriter) merge(ctx context.Context, src Source, files []slipway.File) error {
	wanted := map[string]bool{}
	var places []slipway.Place
	for _, f := range files {
		if f.Link == "" {
			wanted[f.SHA256] = true
			places = append(places, f.Place)
		}
	}
	err := eachContent(ctx, src, places, func(sha string, size int64, r io.Reader) error {
		if !wanted[sha] {
			return nil
		}
		delete(wanted, sha)
		return p.addVerified(sha, size, r)
	})
	if err != nil {
		return err
	}
	for sha := range wanted {
		return fmt.Errorf("content %s is missing from its pack", sha)
	}
	if len(p.list) == 0 {
		return errors.New("there is nothing to merge")
	}
	return p.finish()
}

// addVerified is add with a check of the content's SHA-256.
func (p *packWriter) addVerified(sha string, size int64, r io.Reader) error {
	sum := sha256.New()
	if err := p.add(sha, size, io.TeeReader(r, sum)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != sha {
		return ContentError(sha, got)
	}
	return nil
}

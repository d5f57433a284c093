package bundle

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

// Source reads packs: from the store of this process, or from the portal over
// HTTP.
type Source interface {
	// Frames returns length bytes of a pack's file from offset on. The range consists of
	// whole frames.
	Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error)
}

type storeSource struct {
	*Store
	ns string
}

func (s storeSource) Frames(ctx context.Context, pack string, offset, length int64) (io.ReadCloser, error) {
	name, err := packName(s.ns, pack)
	if err != nil {
		return nil, err
	}
	return s.backend.readRange(ctx, name, offset, length)
}

// openFrames is a Source of one open pack, under any name.
type openFrames struct{ f io.ReaderAt }

func (o openFrames) Frames(_ context.Context, _ string, offset, length int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(o.f, offset, length)), nil
}

// span is a run of adjacent frames in a pack.
type span []slipway.Place

func (s span) length() (n int64) {
	for _, p := range s {
		n += p.Length
	}
	return n
}

// spans returns the frames at places as the fewest runs to read, in order.
func spans(places []slipway.Place) []span {
	places = slices.Clone(places)
	slices.SortFunc(places, func(a, b slipway.Place) int {
		return cmp.Or(cmp.Compare(a.Pack, b.Pack), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Length, b.Length))
	})
	var list []span
	for i, p := range slices.Compact(places) {
		if i > 0 {
			run := list[len(list)-1]
			if last := run[len(run)-1]; last.Pack == p.Pack && last.Offset+last.Length == p.Offset {
				list[len(list)-1] = append(run, p)
				continue
			}
		}
		list = append(list, span{p})
	}
	return list
}

// EachFrame calls fn with each of the frames at places, still compressed,
// ordered by pack and offset. Bytes left unread by fn are skipped.
func EachFrame(ctx context.Context, src Source, places []slipway.Place, fn func(p slipway.Place, frame io.Reader) error) error {
	for _, run := range spans(places) {
		if err := eachOf(ctx, src, run, fn); err != nil {
			return err
		}
	}
	return nil
}

func eachOf(ctx context.Context, src Source, run span, fn func(slipway.Place, io.Reader) error) error {
	r, err := src.Frames(ctx, run[0].Pack, run[0].Offset, run.length())
	if err != nil {
		return fmt.Errorf("read pack %s: %w", run[0].Pack, err)
	}
	defer r.Close()
	for _, p := range run {
		if err := ctx.Err(); err != nil {
			return err
		}
		frame := &io.LimitedReader{R: r, N: p.Length}
		if err := fn(p, frame); err != nil {
			return fmt.Errorf("pack %s: %w", p.Pack, err)
		}
		if _, err := io.Copy(io.Discard, frame); err != nil {
			return fmt.Errorf("read pack %s: %w", p.Pack, err)
		}
	}
	return nil
}

// NewDecoder returns a decoder without goroutines. Windows larger than those
// of packs are refused.
func NewDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8*window))
}

// FrameContents calls fn with each content of one frame.
func FrameContents(dec *zstd.Decoder, frame io.Reader, fn func(sha string, size int64, r io.Reader) error) error {
	if err := dec.Reset(frame); err != nil {
		return fmt.Errorf("unpack a frame: %w", err)
	}
	entries := tar.NewReader(dec)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack a frame: %w", err)
		}
		if err := fn(h.Name, h.Size, entries); err != nil {
			return err
		}
	}
}

// eachContent calls fn with each content in the frames at places.
func eachContent(ctx context.Context, src Source, places []slipway.Place, fn func(sha string, size int64, r io.Reader) error) error {
	dec, err := NewDecoder()
	if err != nil {
		return fmt.Errorf("set up unpacking: %w", err)
	}
	defer dec.Close()
	return EachFrame(ctx, src, places, func(_ slipway.Place, frame io.Reader) error {
		return FrameContents(dec, frame, fn)
	})
}

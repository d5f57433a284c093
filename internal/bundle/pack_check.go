package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

// checkFrames calls fn with each content of a pack of size bytes.
func checkFrames(ctx context.Context, f io.ReaderAt, size int64, fn func(slipway.File)) error {
	dec, err := NewDecoder()
	if err != nil {
		return fmt.Errorf("set up unpacking: %w", err)
	}
	defer dec.Close()
	for at := int64(0); at < size; {
		length, err := frameLength(f, at)
		if err != nil {
			return fmt.Errorf("frame at byte %d: %w", at, err)
		}
		frame := cancellable{ctx, io.NewSectionReader(f, at, length)}
		err = FrameContents(dec, frame, func(sha string, size int64, r io.Reader) error {
			sum := sha256.New()
			if _, err := io.Copy(sum, r); err != nil {
				return err
			}
			if got := hex.EncodeToString(sum.Sum(nil)); got != sha {
				return ContentError(sha, got)
			}
			fn(slipway.File{SHA256: sha, Size: size, Place: slipway.Place{Offset: at, Length: length}})
			return nil
		})
		if err != nil {
			return fmt.Errorf("frame at byte %d: %w", at, err)
		}
		at += length
	}
	return nil
}

// cancellable is a reader that fails after the end of ctx.
type cancellable struct {
	ctx context.Context
	io.Reader
}

func (c cancellable) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(b)
}

// The parts of a zstd frame, RFC 8878.
const (
	blockHeader   = 3
	blockRLE      = 1 // one byte stands for all of the block
	checksumBytes = 4
)

// frameLength returns the length of the zstd frame at an offset. The header
// has no length: frameLength adds up the blocks.
func frameLength(f io.ReaderAt, at int64) (int64, error) {
	var head [zstd.HeaderMaxSize]byte
	n, err := f.ReadAt(head[:], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	var h zstd.Header
	if err := h.Decode(head[:n]); err != nil {
		return 0, err
	}
	if h.Skippable {
		return 0, errors.New("it holds nothing")
	}
	length := int64(h.HeaderSize)
	for last := false; !last; {
		var b [blockHeader + 1]byte
		if _, err := f.ReadAt(b[:blockHeader], at+length); err != nil {
			return 0, fmt.Errorf("read a block's head: %w", err)
		}
		block := binary.LittleEndian.Uint32(b[:])
		last = block&1 == 1
		size := int64(block >> 3)
		if block>>1&3 == blockRLE {
			size = 1
		}
		length += blockHeader + size
	}
	if h.HasCheckSum {
		length += checksumBytes
	}
	return length, nil
}

package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// Attach returns the store in dir for reading beside the process that it
// belongs to.
func Attach(dir string) *Store { return &Store{dir: dir, in: disk(dir)} }

// CheckPack reads a whole pack, compares it with its name, and calls fn with
// each of its contents and its place. The error says what is wrong; what fn
// got until then is right all the same.
func (s *Store) CheckPack(ctx context.Context, ns, sha string, fn func(slipway.File)) error {
	f, err := s.localPack(ctx, ns, sha)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, cancellable{ctx, f})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != sha {
		return fmt.Errorf("its SHA-256 is %s", got)
	}
	return checkFrames(ctx, f, size, func(c slipway.File) {
		c.Pack = sha
		fn(c)
	})
}

// localPack opens a pack on this machine: of a bucket's, a copy that goes when
// it is closed.
func (s *Store) localPack(ctx context.Context, ns, sha string) (*os.File, error) {
	f, err := s.openPack(ctx, ns, sha)
	if err != nil {
		return nil, err
	}
	if local, ok := f.(*os.File); ok {
		return local, nil
	}
	defer f.Close()
	dir, err := s.in.spool(packsKind)
	if err != nil {
		return nil, err
	}
	local, err := os.CreateTemp(dir, durable.TempPattern)
	if err != nil {
		return nil, err
	}
	err = os.Remove(local.Name()) // it lives on while it is open
	if err == nil {
		_, err = io.Copy(local, cancellable{ctx, f})
	}
	if err == nil {
		_, err = local.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, local.Close())
	}
	return local, nil
}

// checkFrames calls fn with each content of a pack of so many bytes.
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

// cancellable is a reader that fails once ctx has ended.
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

// frameLength returns how long the zstd frame at an offset is: nothing in it
// says so but its blocks, one after the other.
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

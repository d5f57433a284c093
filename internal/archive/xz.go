package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"runtime"
	"slices"

	"github.com/ulikunitz/xz/lzma"

	"slipway/internal/slipway"
)

// Sizes of the parts of an xz file, in bytes. The format is described at
// https://tukaani.org/xz/xz-file-format.txt
const (
	xzHeadLen     = 12
	xzFootLen     = 12
	xzParts       = 1 << 18 // streams and blocks allowed
	xzSlack       = 1 << 30 // bytes of dictionaries allowed for files of any size
	xzDictPerByte = 4       // bytes of dictionaries allowed for each unpacked byte
	xzLargeDict   = 32 << 20
)

func (s tarReader) readXz(r io.Reader) error {
	s.ratio = slowRatio
	return s.readTarAhead(newXzReader(r))
}

// xzReader unpacks an xz file from front to back. A dictionary may have 4 GiB by its
// block's header, and the index at the end may hide blocks. The library checks
// neither, so that it unpacks single blocks here, each after a look at the header.
type xzReader struct {
	in       counted
	check    byte    // kind of checksum of the open stream
	open     bool    // within a stream
	block    xzBlock // the open block
	sizes    []xzSizes
	any      bool // a stream was read
	parts    int
	dicts    int64 // bytes of all dictionaries, one after the other
	unpacked int64
	err      error
}

// xzSizes are the sizes of a block, as the index has them.
type xzSizes struct{ packed, unpacked uint64 }

// xzBlock is the block being unpacked. Stated sizes are -1 where the header has none.
type xzBlock struct {
	content  io.Reader // nil between blocks
	headLen  int64
	start    int64 // of the content, in bytes of the file
	packed   int64 // as stated
	unpacked int64 // as stated
	n        int64 // bytes unpacked
	sum      hash.Hash
}

var (
	errXzFilter  = slipway.Errorf(slipway.Invalid, "The archive was compressed by xz with a filter for programs. Compress it again without --x86, --arm or --delta.")
	errXzParts   = slipway.Errorf(slipway.TooLarge, "The archive was compressed by xz in too many parts. Compress it again without --block-size.")
	errXzDamaged = errors.New("the xz file is damaged")
)

func newXzReader(r io.Reader) *xzReader {
	return &xzReader{in: counted{Reader: bufio.NewReaderSize(r, buffer)}}
}

func (z *xzReader) Read(p []byte) (n int, err error) {
	for n == 0 && z.err == nil && len(p) > 0 {
		if z.block.content == nil {
			z.err = z.next()
			continue
		}
		n, err = z.block.content.Read(p)
		z.block.n += int64(n)
		z.unpacked += int64(n)
		if z.block.sum != nil {
			_, _ = z.block.sum.Write(p[:n]) // a hash takes everything
		}
		switch over := z.block.unpacked >= 0 && z.block.n > z.block.unpacked; {
		case over:
			z.err = errXzDamaged
		case errors.Is(err, io.EOF):
			z.err = noEOF(z.endBlock())
		default:
			z.err = err
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, z.err
}

// next begins the next block, or goes on to the next stream. The error is io.EOF at
// the end of the file.
func (z *xzReader) next() error {
	if !z.open {
		return z.beginStream()
	}
	size, err := z.in.ReadByte()
	switch {
	case err != nil:
		return noEOF(err)
	case size == 0: // the mark of an index
		return noEOF(z.endStream())
	}
	return noEOF(z.beginBlock(size))
}

func (z *xzReader) beginStream() error {
	if z.any {
		if err := z.padding(); err != nil {
			return err
		}
	}
	head := make([]byte, xzHeadLen)
	_, err := io.ReadFull(&z.in, head)
	switch {
	case err != nil && !errors.Is(noEOF(err), io.ErrUnexpectedEOF):
		return err
	case z.any && !bytes.HasPrefix(head, []byte(xzMagic)):
		return errTail
	case err != nil:
		return noEOF(err)
	case !bytes.HasPrefix(head, []byte(xzMagic)), crc32.ChecksumIEEE(head[6:8]) != le.Uint32(head[8:]), head[6] != 0:
		return errXzDamaged
	}
	if _, ok := checksum(head[7]); !ok {
		return errXzDamaged
	}
	z.any, z.open, z.check, z.sizes = true, true, head[7], z.sizes[:0]
	return z.part()
}

// padding skips zeros behind a stream, four at a time.
func (z *xzReader) padding() error {
	for {
		head, err := z.in.Peek(4)
		switch {
		case len(head) == 0, err != nil && !errors.Is(err, io.EOF):
			return err
		case err != nil || le.Uint32(head) != 0:
			return nil
		}
		all, err := z.in.Peek(z.in.Buffered())
		if err != nil {
			return err
		}
		zeros := len(all) - len(bytes.TrimLeft(all, "\x00"))
		if _, err := z.in.Discard(zeros &^ 3); err != nil {
			return err
		}
	}
}

// part counts a stream or block.
func (z *xzReader) part() error {
	if z.parts++; z.parts > xzParts {
		return errXzParts
	}
	return nil
}

// checksum returns the hash of a kind of checksum, nil for none.
func checksum(kind byte) (h hash.Hash, known bool) {
	switch kind {
	case 0:
		return nil, true
	case 1:
		return crc32.NewIEEE(), true
	case 4:
		return crc64.New(crc64.MakeTable(crc64.ECMA)), true
	case 10:
		return sha256.New(), true
	}
	return nil, false
}

// beginBlock reads the header of a block, of (size+1)*4 bytes with size itself.
func (z *xzReader) beginBlock(size byte) error {
	head := make([]byte, (int(size)+1)*4)
	head[0] = size
	if _, err := io.ReadFull(&z.in, head[1:]); err != nil {
		return err
	}
	fields := len(head) - 4
	if crc32.ChecksumIEEE(head[:fields]) != le.Uint32(head[fields:]) || head[1]&0x3c != 0 {
		return errXzDamaged
	}
	b := xzBlock{headLen: int64(len(head)), packed: -1, unpacked: -1, start: z.in.n}
	rest := head[2:fields]
	if head[1]&0x40 != 0 {
		b.packed, rest = uvarint(rest)
	}
	if head[1]&0x80 != 0 {
		b.unpacked, rest = uvarint(rest)
	}
	dict, err := lzma2Dict(head[1]&3, rest)
	if err != nil {
		return err
	}
	return z.unpack(b, dict)
}

// lzma2Dict returns the size of the dictionary from the filters of a block: LZMA2 and
// no other.
func lzma2Dict(more byte, filters []byte) (int64, error) {
	id, rest := uvarint(filters)
	n, rest := uvarint(rest)
	if more != 0 || id != 0x21 || n != 1 || len(rest) == 0 {
		return 0, errXzFilter
	}
	if len(bytes.TrimRight(rest[1:], "\x00")) > 0 {
		return 0, errXzDamaged
	}
	dict := dictSize(rest[0])
	if dict > maxWindow {
		return 0, slipway.Errorf(slipway.TooLarge, "The archive was compressed by xz with a dictionary of more than %s. Compress it again with -9 or less.", SizeText(maxWindow))
	}
	return dict, nil
}

// unpack begins the content of b. A block never needs more of a dictionary than it has
// bytes.
func (z *xzReader) unpack(b xzBlock, dict int64) (err error) {
	if b.unpacked >= 0 {
		dict = min(dict, b.unpacked)
	}
	dict = max(dict, lzma.MinDictCap)
	if z.dicts > 0 && dict >= xzLargeDict {
		runtime.GC() // those of the blocks before would pile up
	}
	if z.dicts += dict; z.dicts > xzSlack+xzDictPerByte*z.unpacked {
		return errXzParts
	}
	if err := z.part(); err != nil {
		return err
	}
	b.sum, _ = checksum(z.check)
	b.content, err = lzma.Reader2Config{DictCap: int(dict)}.NewReader2(&z.in)
	z.block = b
	return err
}

// endBlock reads what stands behind the content of a block.
func (z *xzReader) endBlock() error {
	b := z.block
	z.block = xzBlock{}
	packed := z.in.n - b.start
	if b.packed >= 0 && packed != b.packed || b.unpacked >= 0 && b.n != b.unpacked {
		return errXzDamaged
	}
	if err := z.zeros(-packed & 3); err != nil {
		return err
	}
	sizes := xzSizes{uint64(b.headLen + packed), uint64(b.n)}
	if b.sum != nil {
		want := b.sum.Sum(nil)
		if z.check != 10 { // a number, with the least byte first
			slices.Reverse(want)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(&z.in, got); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return errXzDamaged
		}
		sizes.packed += uint64(len(want))
	}
	z.sizes = append(z.sizes, sizes)
	return nil
}

// zeros reads n zeros.
func (z *xzReader) zeros(n int64) error {
	b := make([]byte, n)
	if _, err := io.ReadFull(&z.in, b); err != nil {
		return err
	}
	if len(bytes.TrimRight(b, "\x00")) > 0 {
		return errXzDamaged
	}
	return nil
}

// endStream reads the index behind the mark, and the footer. Both say what the blocks
// said.
func (z *xzReader) endStream() error {
	z.open = false
	start := z.in.n - 1
	z.in.sum = crc32.NewIEEE()
	_, _ = z.in.sum.Write([]byte{0})
	if err := z.index(); err != nil {
		return err
	}
	if err := z.zeros(-(z.in.n - start) & 3); err != nil {
		return err
	}
	sum := z.in.sum.Sum32()
	z.in.sum = nil
	foot := make([]byte, 4+xzFootLen)
	if _, err := io.ReadFull(&z.in, foot); err != nil {
		return err
	}
	indexLen := z.in.n - start - xzFootLen
	sound := le.Uint32(foot) == sum && le.Uint32(foot[4:]) == crc32.ChecksumIEEE(foot[8:14]) &&
		(int64(le.Uint32(foot[8:]))+1)*4 == indexLen && foot[12] == 0 && foot[13] == z.check && string(foot[14:]) == "YZ"
	if !sound {
		return errXzDamaged
	}
	return nil
}

func (z *xzReader) index() error {
	n, err := binary.ReadUvarint(&z.in)
	if err != nil {
		return err
	}
	if n != uint64(len(z.sizes)) {
		return errXzDamaged
	}
	for _, want := range z.sizes {
		packed, err := binary.ReadUvarint(&z.in)
		if err != nil {
			return err
		}
		unpacked, err := binary.ReadUvarint(&z.in)
		if err != nil {
			return err
		}
		if want != (xzSizes{packed, unpacked}) {
			return errXzDamaged
		}
	}
	return nil
}

// uvarint returns a number of the format and the rest of b.
func uvarint(b []byte) (int64, []byte) {
	v, n := binary.Uvarint(b)
	return int64(v & (1<<63 - 1)), b[max(n, 0):]
}

// dictSize returns the bytes of a dictionary: 2 or 3 times a power of two.
func dictSize(code byte) int64 {
	if code > 40 {
		return 1 << 40
	}
	return int64(2|code&1) << (code/2 + 11)
}

// counted counts the bytes read, and sums them up in sum, if set.
type counted struct {
	*bufio.Reader
	n   int64
	sum hash.Hash32
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.note(p[:n])
	return n, err
}

// ReadByte implements io.ByteReader.
func (c *counted) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(c, b[:])
	return b[0], err
}

func (c *counted) note(b []byte) {
	c.n += int64(len(b))
	if c.sum != nil {
		_, _ = c.sum.Write(b) // a hash takes everything
	}
}

package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/ulikunitz/xz"

	"slipway/internal/slipway"
)

// Sizes of the parts of an xz file, in bytes. The format is described at
// https://tukaani.org/xz/xz-file-format.txt
const (
	xzHeadLen     = 12
	xzFootLen     = 12
	xzBlocks      = 1 << 18 // blocks allowed
	xzSlack       = 1 << 30 // bytes of dictionaries allowed for files of any size
	xzDictPerByte = 4       // bytes of dictionaries allowed for each unpacked byte
)

func (s tarReader) readXz(size int64) error {
	w := xzWalk{scan: s.scan}
	if err := w.check(size); err != nil {
		return err
	}
	z, err := xz.NewReader(bufio.NewReaderSize(s.section(size), buffer))
	if err != nil {
		return s.explain(err)
	}
	return s.readTarAhead(z)
}

// xzWalk reads the indexes of an xz file, from the end. The library gives each
// block a dictionary of the stated size, up to 4 GiB, so that the statements are
// checked first.
type xzWalk struct {
	*scan
	blocks   int
	unpacked int64 // bytes as stated
	dicts    int64 // bytes of all dictionaries, one after the other
}

var (
	errXzEnd    = slipway.Errorf(slipway.Invalid, "The archive is cut off, or there is data after its end. Pack and upload it again.")
	errXzFilter = slipway.Errorf(slipway.Invalid, "The archive was compressed by xz with a filter for programs. Compress it again without --x86, --arm or --delta.")
)

func (w *xzWalk) check(size int64) error {
	for end := size; end > 0; {
		end = w.skipPadding(end)
		start, err := w.stream(end)
		if err != nil {
			return err
		}
		end = start
	}
	return w.src.failed()
}

// skipPadding returns the end of the stream before end: zeros may follow, four at
// a time.
func (w *xzWalk) skipPadding(end int64) int64 {
	b := make([]byte, 4)
	for end > xzHeadLen+xzFootLen && w.at(b, end-4) == nil && le.Uint32(b) == 0 {
		end -= 4
	}
	return end
}

func (w *xzWalk) at(b []byte, off int64) error {
	_, err := w.src.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// stream checks the stream that ends at end, and returns the start.
func (w *xzWalk) stream(end int64) (int64, error) {
	foot := make([]byte, xzFootLen)
	if end < xzHeadLen+xzFootLen {
		return 0, errXzEnd
	}
	if err := w.at(foot, end-xzFootLen); err != nil {
		return 0, w.explain(err)
	}
	indexLen := (int64(le.Uint32(foot[4:])) + 1) * 4
	index := end - xzFootLen - indexLen
	if string(foot[10:]) != "YZ" || index < xzHeadLen {
		return 0, errXzEnd
	}
	sizes, err := w.index(io.NewSectionReader(w.src, index, indexLen))
	if err != nil {
		return 0, err
	}
	at := index
	for _, n := range sizes {
		at -= n
	}
	if at < xzHeadLen {
		return 0, errXzEnd
	}
	start := at - xzHeadLen
	for _, n := range sizes {
		if err := w.block(at); err != nil {
			return 0, err
		}
		at += n
	}
	return start, w.bounds()
}

// index returns the sizes of a stream's blocks.
func (w *xzWalk) index(r io.Reader) ([]int64, error) {
	br := bufio.NewReader(r)
	_, _ = br.ReadByte() // the mark of an index
	n, err := binary.ReadUvarint(br)
	if err != nil {
		return nil, w.damaged(err)
	}
	if w.blocks += int(min(n, xzBlocks+1)); w.blocks > xzBlocks {
		return nil, errXzParts
	}
	sizes := make([]int64, n)
	for i := range sizes {
		packed, err := binary.ReadUvarint(br)
		unpacked, err2 := binary.ReadUvarint(br)
		if err := errors.Join(err, err2); err != nil || packed == 0 || packed > 1<<48 || unpacked > 1<<48 {
			return nil, w.damaged(err)
		}
		sizes[i] = int64(packed+3) &^ 3
		w.unpacked += int64(unpacked)
	}
	return sizes, nil
}

// damaged is the refusal of a file that does not agree with itself.
func (w *xzWalk) damaged(err error) error {
	if err == nil || w.src.failed() == nil {
		err = errXzDamaged
	}
	return w.explain(err)
}

var (
	errXzDamaged = errors.New("the index of the xz file is damaged")
	errXzParts   = slipway.Errorf(slipway.TooLarge, "The archive was compressed by xz in too many parts. Compress it again without --block-size.")
)

// block checks the filters of the block at the offset at.
func (w *xzWalk) block(at int64) error {
	head := make([]byte, 1024)
	if err := w.at(head[:1], at); err != nil {
		return w.damaged(err)
	}
	if head[0] == 0 { // the mark of an index, where the index says that a block is
		return w.damaged(nil)
	}
	head = head[:(int(head[0])+1)*4]
	if err := w.at(head, at); err != nil {
		return w.damaged(err)
	}
	flags, rest := head[1], head[2:len(head)-4] // in front of the checksum
	for _, bit := range []byte{0x40, 0x80} {    // packed and unpacked size
		if flags&bit != 0 {
			_, rest = uvarint(rest)
		}
	}
	id, rest := uvarint(rest)
	n, rest := uvarint(rest)
	if flags&3 != 0 || id != 0x21 || n != 1 || len(rest) == 0 {
		return errXzFilter
	}
	dict := dictSize(rest[0])
	if dict > maxWindow {
		return slipway.Errorf(slipway.TooLarge, "The archive was compressed by xz with a dictionary of more than %s. Compress it again with -9 or less.", SizeText(maxWindow))
	}
	w.dicts += dict
	return nil
}

// uvarint returns a number of the format and the rest of b.
func uvarint(b []byte) (uint64, []byte) {
	v, n := binary.Uvarint(b)
	return v, b[max(n, 0):]
}

// dictSize returns the bytes of a dictionary: 2 or 3 times a power of two.
func dictSize(code byte) int64 {
	if code > 40 {
		return 1 << 40
	}
	return int64(2|code&1) << (code/2 + 11)
}

// bounds refuses a file that unpacks to too much, or whose dictionaries cost more
// than the content.
func (w *xzWalk) bounds() error {
	if w.unpacked > w.lim.stream() {
		return slipway.Errorf(slipway.TooLarge, "The archive unpacks to more than %s.", SizeText(w.lim.stream()))
	}
	if w.dicts > xzSlack+xzDictPerByte*w.unpacked {
		return errXzParts
	}
	return nil
}

package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz/lzma"

	"slipway/internal/slipway"
)

// xzItem is a block of an xz file under test.
type xzItem struct {
	body     []byte
	dict     byte   // code of the dictionary's size
	sizes    bool   // the header states the sizes
	stated   int    // added to the stated size of the content
	sum      byte   // added to a byte of the checksum
	indexed  int    // added to the content's size in the index
	unlisted bool   // the index has this block and the next as one
	filters  []byte // in place of LZMA2
}

// xzOfBlocks builds a stream with a kind of checksum, byte by byte.
func xzOfBlocks(check byte, blocks ...xzItem) []byte {
	flags := []byte{0, check}
	data := le.AppendUint32(append([]byte(xzMagic), flags...), crc32.ChecksumIEEE(flags))
	index, count, joined := []byte{}, 0, xzSizes{}
	for i, b := range blocks {
		whole, size := b.bytes(check)
		data = append(data, whole...)
		size.unpacked += joined.unpacked
		size.packed += joined.packed
		joined = xzSizes{}
		if b.unlisted && i+1 < len(blocks) {
			joined = xzSizes{(size.packed + 3) &^ 3, size.unpacked}
			continue
		}
		index = binary.AppendUvarint(binary.AppendUvarint(index, size.packed), size.unpacked+uint64(b.indexed))
		count++
	}
	index = append(binary.AppendUvarint([]byte{0}, uint64(count)), index...)
	index = append(index, make([]byte, -len(index)&3)...)
	index = le.AppendUint32(index, crc32.ChecksumIEEE(index))
	foot := append(le.AppendUint32(nil, uint32(len(index)/4-1)), flags...)
	return slices.Concat(data, index, le.AppendUint32(nil, crc32.ChecksumIEEE(foot)), foot, []byte("YZ"))
}

// bytes returns the block, and the sizes for the index.
func (b xzItem) bytes(check byte) (block []byte, sizes xzSizes) {
	packed := []byte{0} // the end of LZMA2
	if len(b.body) > 0 {
		packed = lzma2(b.body)
	}
	head := []byte{0, 0}
	if b.sizes {
		head[1] = 0xc0
		head = binary.AppendUvarint(binary.AppendUvarint(head, uint64(len(packed))), uint64(len(b.body)+b.stated))
	}
	if b.filters == nil {
		b.filters = []byte{0x21, 1, b.dict}
	}
	head = append(head, b.filters...)
	head = append(head, make([]byte, -len(head)&3)...)
	head[0] = byte(len(head) / 4)
	head = le.AppendUint32(head, crc32.ChecksumIEEE(head))
	var sum []byte
	switch check {
	case 1:
		sum = le.AppendUint32(nil, crc32.ChecksumIEEE(b.body))
	case 4:
		sum = le.AppendUint64(nil, crc64.Checksum(b.body, crc64.MakeTable(crc64.ECMA)))
	case 10:
		all := sha256.Sum256(b.body)
		sum = all[:]
	}
	if len(sum) > 0 {
		sum[0] += b.sum
	}
	sizes = xzSizes{uint64(len(head) + len(packed) + len(sum)), uint64(len(b.body))}
	return slices.Concat(head, packed, make([]byte, -len(packed)&3), sum), sizes
}

func lzma2(body []byte) []byte {
	var b bytes.Buffer
	w, err := lzma.Writer2Config{DictCap: 1 << 16}.NewWriter2(&b)
	if err != nil {
		panic(err)
	}
	_, err = w.Write(body)
	return done(&b, err, w.Close())
}

// hiddenXz is a stream whose index names two blocks as one: the dictionary of the second
// stands nowhere but in front of its content.
func hiddenXz(dict byte) []byte {
	whole := tarOf(project...)
	return xzOfBlocks(0, xzItem{body: whole[:tarBlock], unlisted: true}, xzItem{body: whole[tarBlock:], dict: dict})
}

func emptyXz(n int) []byte { return bytes.Repeat(xzOfBlocks(1), n) }

// xzSeeds are streams for the fuzz target.
func xzSeeds() [][]byte {
	whole := tarOf(project...)
	halves := []xzItem{{body: whole[:2*tarBlock], dict: 4, sizes: true}, {body: whole[2*tarBlock:], dict: 2}}
	return [][]byte{
		hiddenXz(36), hiddenXz(0), xzOfBlocks(0, halves...), xzOfBlocks(1, halves...), xzOfBlocks(4, halves...), xzOfBlocks(10, halves...),
		append(emptyXz(3), xzOfBlocks(4, halves...)...), slices.Concat(xzOfBlocks(4, halves...), make([]byte, 8), emptyXz(2), make([]byte, 4)),
		[]byte("\xfd7zXZ\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x01\x04\x01\x00\x00\x00\x00" + "\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00YZ"),
	}
}

func TestReadXz(t *testing.T) {
	whole := tarOf(project...)
	first, second := xzItem{body: whole[:tarBlock]}, xzItem{body: whole[tarBlock:]}
	with := func(change func(*xzItem)) []byte {
		b := second
		change(&b)
		return xzOfBlocks(4, first, b)
	}
	good := xzOfBlocks(4, first, second)
	type test struct {
		data []byte
		want string // of the refusal; "" for none
	}
	tests := map[string]test{
		"two blocks":             {good, ""},
		"stated sizes":           {with(func(b *xzItem) { b.sizes = true }), ""},
		"largest dictionary":     {with(func(b *xzItem) { b.dict = 28 }), ""},
		"padding":                {append(slices.Clone(good), make([]byte, 4096)...), ""},
		"streams":                {slices.Concat(xzOfBlocks(1, first), make([]byte, 8), emptyXz(9), xzOfBlocks(10, second), make([]byte, 4)), ""},
		"a large dictionary":     {with(func(b *xzItem) { b.dict = 29 }), "dictionary of more than 64 MiB"},
		"unlisted, 1 GiB":        {hiddenXz(36), "dictionary of more than 64 MiB"},
		"unlisted, 4 GiB":        {hiddenXz(40), "dictionary of more than 64 MiB"},
		"unlisted":               {hiddenXz(0), "damaged"},
		"a wrong size":           {with(func(b *xzItem) { b.sizes, b.stated = true, -1 }), "damaged"},
		"a size too large":       {with(func(b *xzItem) { b.sizes, b.stated = true, 1 }), "damaged"},
		"a wrong size in index":  {with(func(b *xzItem) { b.indexed = 1 }), "damaged"},
		"a filter":               {with(func(b *xzItem) { b.filters = []byte{4, 0} }), "filter for programs"},
		"a wrong filter":         {with(func(b *xzItem) { b.filters = []byte{0x21, 1, 0, 7} }), "damaged"},
		"a wrong header":         {flipped(good, 13), "damaged"},
		"an unknown checksum":    {xzOfBlocks(2, first, second), "damaged"},
		"too many streams":       {append(emptyXz(xzParts), good...), "too many parts"},
		"too many blocks":        {xzOfBlocks(0, slices.Repeat([]xzItem{{}}, xzParts)...), "too many parts"},
		"too many dictionaries":  {xzOfBlocks(0, slices.Repeat([]xzItem{{dict: 28}}, 17)...), "too many parts"},
		"padding of three bytes": {append(slices.Clone(good), 0, 0, 0), "after the end"},
		"zeros, then something":  {append(slices.Clone(good), append(make([]byte, 99996), "more"...)...), "after the end"},
		"cut in the index":       {good[:len(good)-20], "cut off"},
		"cut in a block":         {good[:80], "cut off"},
	}
	for _, check := range []byte{0, 1, 4, 10} {
		wrong := second
		wrong.sum = 1
		tests[fmt.Sprint("checksum ", check)] = test{xzOfBlocks(check, first, second), ""}
		if check > 0 {
			tests[fmt.Sprint("a wrong checksum ", check)] = test{xzOfBlocks(check, first, wrong), "damaged"}
		}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, got, err := taken(t, tt.data, DefaultLimits())
			if tt.want == "" {
				if err != nil || got["dags/a.py"] == "" {
					t.Errorf("%d files, error %v", len(got), err)
				}
				return
			}
			if _, text := slipway.Explain(err); !slipway.Explained(err) || !strings.Contains(text, tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// Hidden blocks, padding and empty streams cost neither memory nor a call of the system
// for a few bytes.
func TestXzIsReadInLargeSteps(t *testing.T) {
	whole := xzItem{body: tarOf(project...), dict: 28}
	for name, tt := range map[string]struct {
		data []byte
		most int64 // bytes of memory
	}{
		"padding":            {append(xzOfBlocks(4, xzItem{body: whole.body}), make([]byte, 8<<20)...), 32 << 20},
		"empty streams":      {append(emptyXz(xzParts/4), xzOfBlocks(4, xzItem{body: whole.body})...), 32 << 20},
		"hidden":             {hiddenXz(36), 32 << 20},
		"large dictionaries": {xzOfBlocks(4, append(slices.Repeat([]xzItem{{dict: 28}}, 14), whole)...), 96 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			data := tt.data
			src := &countingReaderAt{ReaderAt: bytes.NewReader(data)}
			grown := peak(func() {
				_, _ = Read(t.Context(), src, int64(len(data)), DefaultLimits(), Search{}, func(Entry, io.Reader) (bool, error) { return false, nil })
			})
			if most := len(data)/(32<<10) + 20; src.reads > most {
				t.Errorf("%d reads for %d bytes, want at most %d", src.reads, len(data), most)
			}
			if grown > tt.most {
				t.Errorf("reading took %d MiB, want at most %d", grown>>20, tt.most>>20)
			}
		})
	}
}

type countingReaderAt struct {
	io.ReaderAt
	reads int
}

func (c *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, off)
}

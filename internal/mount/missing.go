package mount

import (
	"cmp"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strings"

	"slipway/internal/slipway"
)

// missing is a file whose content is to be unpacked, in 32 bytes: a first deploy
// has all files missing.
type missing struct {
	sum    uint64 // the first 8 bytes of the content's SHA-256
	offset int64  // of the frame with the content
	length int64
	pack   uint32 // index of the pack
	at     uint32 // offset of the file in the record of the staging; written once on disk
}

// written is the offset of a file on disk already.
const written = math.MaxUint32

// missingFiles are the files whose contents are to be unpacked.
type missingFiles struct {
	list  []missing
	packs []string
	index map[string]uint32 // of packs
	bytes int64             // of all files
}

// add notes the file f, at an offset of the record.
func (m *missingFiles) add(f recorded, at int64) error {
	if at >= written {
		return errors.New("the list of the files is too long")
	}
	pack, ok := m.index[f.Pack]
	if !ok {
		if m.index == nil {
			m.index = map[string]uint32{}
		}
		pack = uint32(len(m.packs)) //nolint:gosec // fewer than files
		m.index[f.Pack], m.packs = pack, append(m.packs, f.Pack)
	}
	m.bytes += min(f.Size, math.MaxInt64-m.bytes) // sizes in a manifest are not trusted
	m.list = append(m.list, missing{firstBytes(f.SHA256), f.Offset, f.Length, pack, uint32(at)})
	return nil
}

// firstBytes returns the first 8 bytes of a SHA-256; 0 for other text.
func firstBytes(sha string) (n uint64) {
	var b [8]byte
	if len(sha) < 2*len(b) {
		return 0
	}
	if _, err := hex.Decode(b[:], []byte(sha[:2*len(b)])); err != nil {
		return 0
	}
	for _, one := range b {
		n = n<<8 | uint64(one)
	}
	return n
}

// sort puts the files in the order of their frames, as bundle.EachFrame reads, and
// in a frame by content, then by path.
func (m *missingFiles) sort() {
	sorted := slices.Sorted(slices.Values(m.packs))
	rank := make([]uint32, len(m.packs))
	for i, pack := range m.packs {
		at, _ := slices.BinarySearch(sorted, pack)
		rank[i] = uint32(at) //nolint:gosec // an index
	}
	for i := range m.list {
		m.list[i].pack = rank[m.list[i].pack]
	}
	m.packs = sorted
	slices.SortFunc(m.list, func(a, b missing) int {
		return cmp.Or(cmp.Compare(a.pack, b.pack), cmp.Compare(a.offset, b.offset), cmp.Compare(a.length, b.length),
			cmp.Compare(a.sum, b.sum), cmp.Compare(a.at, b.at))
	})
}

// place returns the frame of a file.
func (m *missingFiles) place(f missing) slipway.Place {
	return slipway.Place{Pack: m.packs[f.pack], Offset: f.offset, Length: f.length}
}

// places returns each frame once, in the order of the sorted list.
func (m *missingFiles) places() (places []slipway.Place) {
	for i, f := range m.list {
		if i == 0 || !f.sameFrame(m.list[i-1]) {
			places = append(places, m.place(f))
		}
	}
	return places
}

func (f missing) sameFrame(g missing) bool {
	return f.pack == g.pack && f.offset == g.offset && f.length == g.length
}

// frame takes the files of the frame at p from the beginning of the sorted list.
func (m *missingFiles) frame(p slipway.Place) frameFiles {
	n := 0
	for n < len(m.list) && m.place(m.list[n]) == p {
		n++
	}
	files := m.list[:n]
	m.list = m.list[n:]
	return files
}

// frameFiles are the missing files of one frame, by content.
type frameFiles []missing

// of returns the files with the content sha, and maybe others whose SHA-256 begins
// alike.
func (f frameFiles) of(sha string) frameFiles {
	sum := firstBytes(sha)
	from, ok := slices.BinarySearchFunc(f, sum, func(m missing, sum uint64) int { return cmp.Compare(m.sum, sum) })
	if !ok || len(sha) != shaLen || strings.ToLower(sha) != sha {
		return nil
	}
	to := from
	for to < len(f) && f[to].sum == sum {
		to++
	}
	return f[from:to]
}

// shaLen is the length of a SHA-256 in hex.
const shaLen = 64

// left returns a file that was not written; false if all were.
func (f frameFiles) left() (missing, bool) {
	i := slices.IndexFunc(f, func(m missing) bool { return m.at != written })
	if i < 0 {
		return missing{}, false
	}
	return f[i], true
}

package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

// testEntry is an entry of an archive under test: a file unless it says otherwise.
type testEntry struct {
	name string
	body string
	kind byte   // a tar typeflag; 0 is a file
	link string // target
	mode int64  // 0 is 0644
}

func folderItem(name string) testEntry { return testEntry{name: name, kind: tar.TypeDir} }
func linkItem(name, target string) testEntry {
	return testEntry{name: name, kind: tar.TypeSymlink, link: target}
}

// tarHeader builds a header byte by byte, as a library would refuse to.
func tarHeader(it testEntry, size int) []byte {
	h := make([]byte, tarBlock)
	copy(h, it.name)
	if it.mode == 0 {
		it.mode = 0o644
	}
	copy(h[100:], fmt.Sprintf("%07o\x00%07o\x00%07o\x00%011o\x00%011o\x00", it.mode, 0, 0, size, 0))
	h[156] = it.kind
	if it.kind == 0 {
		h[156] = tar.TypeReg
	}
	copy(h[157:], it.link)
	copy(h[257:], "ustar\x0000")
	sumTar(h)
	return h
}

// sumTar writes the checksum of the header h.
func sumTar(h []byte) {
	copy(h[148:156], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
}

// tarBody builds the entries of a tar archive without its end.
func tarBody(items ...testEntry) []byte {
	var b bytes.Buffer
	for _, it := range items {
		if len(it.name) > 100 { // a GNU long name
			b.Write(tarBody(testEntry{name: "././@LongLink", kind: tar.TypeGNULongName, body: it.name + "\x00"}))
			it.name = it.name[:100]
		}
		b.Write(tarHeader(it, len(it.body)))
		b.WriteString(it.body)
		b.Write(make([]byte, (tarBlock-len(it.body)%tarBlock)%tarBlock))
	}
	return b.Bytes()
}

func tarOf(items ...testEntry) []byte { return append(tarBody(items...), make([]byte, 2*tarBlock)...) }

// withSize returns a tar header with another size, in base 256 as GNU tar writes
// what needs it.
func withSize(header []byte, size int64) []byte {
	field := header[124:136]
	for i := range field {
		field[i] = byte(size >> min(8*(len(field)-1-i), 63))
	}
	copy(header[148:156], "        ")
	sum := 0
	for _, b := range header[:tarBlock] {
		sum += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return header
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	return done(&b, err, w.Close())
}

func zstandard(data []byte) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		panic(err)
	}
	_, err = w.Write(data)
	return done(&b, err, w.Close())
}

func done(b *bytes.Buffer, errs ...error) []byte {
	for _, err := range errs {
		if err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// zipItem is an entry of a zip archive under test. What is not set is what an
// honest tool on Unix would write.
type zipItem struct {
	testEntry
	host       byte // the system it was packed on; 0 is Unix, 'W' is Windows
	flags      uint16
	method     uint16
	packed     []byte              // as it lies in the archive; nil is body stored
	size       int                 // as stated; 0 is that of body
	local      func(header []byte) // changes the local header
	central    func(header []byte) // changes the central header
	localName  string
	localExtra []byte
	dirExtra   []byte // extra fields of the central header
	descriptor []byte // behind the content
	gap        string // behind all
}

func zipEntries(items ...testEntry) []zipItem {
	var list []zipItem
	for _, it := range items {
		list = append(list, zipItem{testEntry: it})
	}
	return list
}

func deflated(it zipItem) zipItem {
	it.packed, it.method = deflate(it.body), zip.Deflate
	return it
}

func deflate(body string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: "x", Method: zip.Deflate})
	_, werr := io.WriteString(f, body)
	data := done(&b, err, werr, w.Close())
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		panic(err)
	}
	raw, err := zr.File[0].OpenRaw()
	if err != nil {
		panic(err)
	}
	packed, err := io.ReadAll(raw)
	return done(bytes.NewBuffer(packed), err)
}

func (it zipItem) attrs() uint32 {
	mode := uint32(it.mode)
	if mode == 0 {
		mode = 0o644
	}
	switch it.kind {
	case tar.TypeSymlink:
		mode |= 0o120000
	case tar.TypeFifo:
		mode |= 0o010000
	}
	return mode << 16
}

// header returns what the local and the central header have in common.
func (it zipItem) header(name string) []byte {
	b := le.AppendUint16(nil, 20)
	b = le.AppendUint16(le.AppendUint16(b, it.flags), it.method)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, crc32.ChecksumIEEE([]byte(it.body)))
	b = le.AppendUint32(le.AppendUint32(b, uint32(len(it.packed))), uint32(it.size))
	return le.AppendUint16(le.AppendUint16(b, uint16(len(name))), 0)
}

func (it zipItem) filled() zipItem {
	if it.kind == tar.TypeSymlink {
		it.body = it.link
	}
	if it.packed == nil {
		it.packed = []byte(it.body)
	}
	if it.size == 0 {
		it.size = len(it.body)
	}
	if it.localName == "" {
		it.localName = it.name
	}
	return it
}

// zipOf builds a zip archive byte by byte.
func zipOf(items ...zipItem) []byte {
	var data, dir []byte
	for _, it := range items {
		it = it.filled()
		local := append([]byte(zipLocal), it.header(it.localName)...)
		if it.localExtra != nil {
			le.PutUint16(local[28:], uint16(len(it.localExtra)))
		}
		if it.local != nil {
			it.local(local)
		}
		host := uint16(3 << 8)
		if it.host == 'W' {
			host = 0
		}
		central := le.AppendUint16([]byte(zipCentral), host|20)
		central = append(central, it.header(it.name)...)
		le.PutUint16(central[30:], uint16(len(it.dirExtra)))
		central = append(central, 0, 0, 0, 0, 0, 0)
		central = le.AppendUint32(le.AppendUint32(central, it.attrs()), uint32(len(data)))
		if it.central != nil {
			it.central(central)
		}
		dir = append(append(append(dir, central...), it.name...), it.dirExtra...)
		data = append(append(append(data, local...), it.localName...), it.localExtra...)
		data = append(append(append(data, it.packed...), it.descriptor...), it.gap...)
	}
	return endZip(data, dir, len(items))
}

func endZip(data, dir []byte, n int) []byte {
	start := len(data)
	data = append(append(data, dir...), zipEnd...)
	data = le.AppendUint16(append(data, 0, 0, 0, 0), uint16(n))
	data = le.AppendUint16(data, uint16(n))
	data = le.AppendUint32(le.AppendUint32(data, uint32(len(dir))), uint32(start))
	return append(data, 0, 0)
}

// taken reads data and returns what take got, by name, beside what Read returns.
func taken(t testing.TB, data []byte, lim Limits) (Selection, map[string]string, error) {
	t.Helper()
	return takenBy(t, data, lim, Search{})
}

// takenBy is taken with a search. The word DAG makes a .py a DAG file.
func takenBy(t testing.TB, data []byte, lim Limits, search Search) (Selection, map[string]string, error) {
	t.Helper()
	got := map[string]string{}
	sel, err := Read(t.Context(), bytes.NewReader(data), int64(len(data)), lim, search, func(e Entry, r io.Reader) (bool, error) {
		body, err := io.ReadAll(r)
		if err == nil && int64(len(body)) != e.Size {
			t.Errorf("%s has %d bytes, and Size %d", e.Name, len(body), e.Size)
		}
		got[e.Name] = string(body)
		return strings.HasSuffix(e.Name, ".py") && strings.Contains(string(body), "DAG"), err
	})
	return sel, got, err
}

// paths returns the selected paths, with their targets if they are links.
func paths(sel Selection) string {
	var list []string
	for _, e := range sel.Entries {
		p := e.Path
		if e.Link != "" {
			p += "->" + e.Link
		}
		if e.Exec {
			p += "*"
		}
		list = append(list, p)
	}
	return strings.Join(list, " ")
}

func wantRefusal(t *testing.T, err error, kind slipway.Kind, parts ...string) {
	t.Helper()
	got, text := slipway.Explain(err)
	if err == nil || got != kind {
		t.Fatalf("error %v, want one of kind %v", err, kind)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q, want it to contain %q", text, part)
		}
	}
	if !strings.HasSuffix(text, ".") || strings.ContainsFunc(text, isControl) {
		t.Errorf("%q is no sentence that can be shown", text)
	}
}

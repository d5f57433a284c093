package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

const (
	tarBlock  = 512
	maxWindow = 64 << 20 // memory for unpacking zstd, in bytes
	buffer    = 256 << 10
)

// isTar reports whether head, the start of a file, is a tar header or the end of
// an empty archive.
func isTar(head []byte) bool {
	if len(head) < tarBlock {
		return false
	}
	head = head[:tarBlock]
	if len(bytes.TrimRight(head, "\x00")) == 0 || string(head[257:262]) == "ustar" {
		return true
	}
	field := strings.Trim(string(head[148:156]), " \x00")
	want, err := strconv.ParseInt(field, 8, 64)
	sum := int64(8 * ' ')
	for i, b := range head {
		if i < 148 || i >= 156 {
			sum += int64(b)
		}
	}
	return err == nil && sum == want
}

// tarReader reads a tar stream, plain or compressed.
type tarReader struct{ *scan }

func (s tarReader) readZstd(r io.Reader) error {
	z, err := zstd.NewReader(bufio.NewReaderSize(r, buffer), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return s.explain(err)
	}
	defer z.Close()
	return s.readTarAhead(z)
}

func (s tarReader) readGzip(r io.Reader) error {
	br := bufio.NewReaderSize(r, buffer)
	z, err := gzip.NewReader(br)
	if err != nil {
		return s.explain(err)
	}
	return s.readTarAhead(&gzipMembers{z: z, rest: br})
}

// readBzip2 reads a tar compressed by bzip2, in any number of streams.
func (s tarReader) readBzip2(r io.Reader) error {
	s.ratio = slowRatio
	return s.readTarAhead(bzip2.NewReader(bufio.NewReaderSize(r, buffer)))
}

// errBzip2Tail is the library's error for data behind a stream.
const errBzip2Tail = bzip2.StructuralError("bad magic value in continuation file")

// readTarAhead is readTar, while r is unpacked in another goroutine.
func (s tarReader) readTarAhead(r io.Reader) error {
	a := newReadahead(r)
	defer a.close()
	return s.readTar(a)
}

// gzipMembers reads the members of a gzip file one after the other, like gunzip.
// Only zeros may follow.
type gzipMembers struct {
	z    *gzip.Reader
	rest *bufio.Reader
	err  error // kept, as a caller may ignore an error beside the last bytes
}

func (m *gzipMembers) Read(p []byte) (n int, err error) {
	if m.err != nil {
		return 0, m.err
	}
	m.z.Multistream(false)
	n, m.err = m.z.Read(p)
	if errors.Is(m.err, io.EOF) {
		m.err = m.next()
	}
	return n, m.err
}

// next goes on to the next member, or returns io.EOF after the last one.
func (m *gzipMembers) next() error {
	head, err := m.rest.Peek(2)
	switch {
	case string(head) == gzipMagic:
		return noEOF(m.z.Reset(m.rest))
	case err != nil && err != io.EOF:
		return err
	}
	return m.padding()
}

// padding reads to the end, and returns io.EOF after nothing but zeros.
func (m *gzipMembers) padding() error {
	for {
		b, err := m.rest.Peek(max(m.rest.Buffered(), 1))
		switch {
		case len(bytes.TrimLeft(b, "\x00")) > 0:
			return errTail
		case err != nil:
			return err
		}
		if _, err := m.rest.Discard(len(b)); err != nil {
			return err
		}
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

var errTail = errors.New("data after the end")

// readTar reads the entries of the tar stream r.
func (s tarReader) readTar(r io.Reader) error {
	m := &meter{src: s.src, r: r}
	m.limit, m.over = s.bound(s.lim.stream(), errStream)
	tr := tar.NewReader(m)
	for {
		at := (m.n + tarBlock - 1) / tarBlock * tarBlock // of the header, if the content before was read
		h, err := tr.Next()
		switch {
		case err == io.EOF:
			return s.endTar(m, at)
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return s.explain(err)
		}
		if err := s.readTarEntry(h, tr); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, tr); err != nil {
			return s.explain(err)
		}
	}
}

// endTar checks for a block of zeros in the place of the next header, and for
// nothing behind.
func (s tarReader) endTar(m *meter, at int64) error {
	if m.n < at+tarBlock || m.zeros < tarBlock {
		return s.explain(io.ErrUnexpectedEOF)
	}
	end := m.n
	m.limit, m.over = min(m.limit, m.n+s.lim.Unpacked), errUnpacked
	_, err := io.Copy(io.Discard, m)
	switch {
	case errors.Is(err, errTail), errors.Is(err, errBzip2Tail), errors.Is(err, zstd.ErrMagicMismatch), err == nil && m.zeros < m.n-end:
		return slipway.Errorf(slipway.Invalid, "There is data after the end of the archive, behind %s. Pack and upload it again.", Quote(s.last))
	case err != nil:
		return s.explain(err)
	}
	return nil
}

func (s tarReader) readTarEntry(h *tar.Header, r io.Reader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader, tarVolume: // the commit, from git archive; the label, from tar -V
		return nil
	}
	if err := s.expand(h); err != nil {
		return err
	}
	k, refusal := tarKind(h)
	name, ok, err := s.admit(header{
		raw: h.Name, name: h.Name, kind: k, refusal: refusal,
		size: uint64(max(h.Size, 0)), // the format allows any for a folder or a link
		open: func() (io.Reader, error) { return r, nil },
	})
	if !ok || err != nil {
		return err
	}
	e := Entry{Name: name, Size: h.Size, Exec: h.Mode&0o111 != 0, NoMode: h.Mode&0o777 == 0}
	if k == link {
		e = Entry{Name: name, Link: h.Linkname}
	}
	if err := s.add(e, k); err != nil {
		return err
	}
	if k != file || !s.hands(e) {
		return nil
	}
	s.entries[len(s.entries)-1].handed = true
	return s.deliver(e, r)
}

// Types of entries that GNU tar has beside those of the library.
const (
	tarVolume    = 'V' // the label of the archive, from tar -V
	tarDumpDir   = 'D' // a folder with the list of its files, from tar -g
	tarMultiPart = 'M' // the rest of a file that began in another volume
)

// isSparse reports whether h is a file with holes. The library fills in zeros.
func isSparse(h *tar.Header) bool {
	_, pax := h.PAXRecords["GNU.sparse.major"]
	_, old := h.PAXRecords["GNU.sparse.size"]
	return h.Typeflag == tar.TypeGNUSparse || pax || old
}

// expand refuses an entry that is larger than an archive may be. Sparse files count
// together: a few bytes of the archive may say that a file has many.
func (s tarReader) expand(h *tar.Header) error {
	if isSparse(h) {
		s.expanded += h.Size
	}
	if limit, over := s.bound(s.lim.stream(), errStream); h.Size > limit || s.expanded > limit {
		s.last = h.Name
		return s.explain(over)
	}
	return nil
}

// tarKind returns the kind of h, or the reason to refuse h.
func tarKind(h *tar.Header) (k kind, refusal string) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return tarFileKind(h)
	case tar.TypeDir, tarDumpDir:
		return folder, ""
	case tar.TypeSymlink:
		return link, ""
	case tar.TypeLink:
		return link, "a hard link to " + Quote(h.Linkname) + ". Pack the archive with --hard-dereference"
	case tar.TypeChar, tar.TypeBlock:
		return file, "a device. Leave it out"
	case tar.TypeFifo:
		return file, "a fifo. Leave it out"
	case tarMultiPart:
		return file, "the rest of a file that begins in another archive. Pack all in one, without --multi-volume"
	}
	return file, "neither a file, a folder nor a symlink. Leave it out"
}

// tarFileKind is tarKind for a file: with a slash behind the name, POSIX takes an
// empty one for a folder.
func tarFileKind(h *tar.Header) (kind, string) {
	switch {
	case strings.HasSuffix(h.Name, "/") && h.Size > 0:
		return file, "a file whose name ends in a slash"
	case strings.HasSuffix(h.Name, "/"):
		return folder, ""
	}
	return file, ""
}

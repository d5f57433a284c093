package archive

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"slipway/internal/slipway"
)

// HeadLen is the number of bytes at the start of a file that show the format,
// also below a compression by gzip.
const HeadLen = 4096

const (
	gzipMagic  = "\x1f\x8b"
	zstdMagic  = "\x28\xb5\x2f\xfd"
	xzMagic    = "\xfd7zXZ\x00"
	bzip2Magic = "BZh"
)

// formats are the readers by the first bytes of the archive. A tar has no first
// bytes of its own.
var formats = []struct {
	magic string
	read  func(s *scan, size int64) error
}{
	{gzipMagic, func(s *scan, size int64) error { return tarReader{s}.readGzip(s.section(size)) }},
	{zstdMagic, readZstd},
	{xzMagic, func(s *scan, size int64) error { return tarReader{s}.readXz(s.section(size)) }},
	{bzip2Magic, func(s *scan, size int64) error { return tarReader{s}.readBzip2(s.section(size)) }},
	{zipLocal, readZip},
	{zipEnd, readZip},
}

func readZstd(s *scan, size int64) error { return tarReader{s}.readZstd(s.section(size)) }
func readTar(s *scan, size int64) error  { return tarReader{s}.readTar(s.section(size)) }

// foreign are archives that are known and cannot be read.
var foreign = []struct{ magic, name string }{
	{"7z\xbc\xaf\x27\x1c", "7z archive"},
	{"Rar!\x1a\x07", "RAR archive"},
	{"\x04\x22\x4d\x18", "file compressed by lz4"},
	{"LZIP", "file compressed by lzip"},
	{"\x1f\x9d", "file compressed by compress"},
	{"\x5d\x00\x00", "file compressed by lzma"},
	{"MSCF", "cabinet file of Windows"},
	{"!<arch>\n", "archive of ar"},
}

// recognise returns the reader for an archive that begins with head, or the name
// of a format that cannot be read, or neither.
func recognise(head []byte) (read func(s *scan, size int64) error, alien string) {
	for _, f := range formats {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f.read, ""
		}
	}
	if len(head) > 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18" { // a frame to skip, by pzstd
		return readZstd, ""
	}
	if isTar(head) {
		return readTar, ""
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return nil, f.name
		}
	}
	return nil, ""
}

// read reads all entries. The first bytes of the content show the format.
func (s *scan) read(size int64) error {
	head := make([]byte, tarBlock)
	n, err := io.ReadFull(s.section(size), head)
	if err != nil && !errors.Is(noEOF(err), io.ErrUnexpectedEOF) {
		return s.explain(err)
	}
	if s.inside {
		if err := s.lim.checkInner(size, !isTar(head[:n])); err != nil {
			return err
		}
	}
	switch read, alien := recognise(head[:n]); {
	case read != nil:
		return read(s, size)
	case alien != "":
		return slipway.Errorf(slipway.Invalid, "This is a %s, which cannot be read. Pack the files as .tar.gz or .zip, and upload that.", alien)
	}
	return slipway.Errorf(slipway.Invalid, "This is not an archive that can be read. Upload a .tar.gz, .tar, .tar.zst, .tar.xz, .tar.bz2 or .zip file.")
}

func (s *scan) section(size int64) *io.SectionReader { return io.NewSectionReader(s.src, 0, size) }

// tarEndings are the endings of tars' names, plain or compressed, in lower case.
var tarEndings = []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz"}

// archiveEndings are the endings of archives' names. static/upload.js has the same
// list.
var archiveEndings = slices.Concat(tarEndings, []string{".zip", ".7z", ".rar"})

// IsArchive reports whether one file, sent by itself, is an archive of files to
// deploy: by the ending of the name, or by head, the first HeadLen bytes. Packed
// documents (a .xlsx, a .whl, a .csv.gz) are files. static/upload.js has the same
// rules.
func IsArchive(name string, head []byte) bool {
	if strings.Contains(name, "/") {
		return false
	}
	name = strings.ToLower(name)
	if endsLikeArchive(name) {
		return true
	}
	zeros := len(bytes.TrimRight(head, "\x00")) == 0
	switch read, alien := recognise(head); {
	case zeros, read == nil && alien == "":
		return false
	case isTar(head):
		return true
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		return gzipHoldsTar(head)
	}
	name = plainName(name)
	return endsLikeArchive(name) || !strings.Contains(name, ".")
}

func endsLikeArchive(name string) bool { return endsIn(name, archiveEndings) }

func endsIn(name string, endings []string) bool {
	return slices.ContainsFunc(endings, func(end string) bool { return strings.HasSuffix(name, end) })
}

// gzipHoldsTar reports whether head, the start of a gzip file, unpacks to the
// start of a tar archive.
func gzipHoldsTar(head []byte) bool {
	z, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return false
	}
	block := make([]byte, tarBlock)
	n, _ := io.ReadFull(z, block) // cut off, as head is
	return isTar(block[:n])
}

// plainName returns name without endings that name a compression or say nothing:
// "dags" for "dags.bin", "prices.csv" for "prices.csv.xz".
func plainName(name string) string {
	for {
		switch ext := path.Ext(name); ext {
		case ".xz", ".bz2", ".zst", ".bin", ".dat", ".download", ".part", ".tmp", ".txt", ".file", ".archive", ".bak":
			name = strings.TrimSuffix(name, ext)
		default:
			return name
		}
	}
}

package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"unicode/utf8"

	"slipway/internal/slipway"
)

// Signatures and lengths of a zip archive's records.
const (
	zipLocal     = "PK\x03\x04"
	zipCentral   = "PK\x01\x02"
	zipEnd       = "PK\x05\x06"
	zip64Locator = "PK\x06\x07"
	zip64End     = "PK\x06\x06"

	zipLocalLen   = 30
	zipCentralLen = 46
	zipEndLen     = 22
	zip64LocLen   = 20
	zip64EndLen   = 56

	zipEncrypted  = 1<<0 | 1<<6 | 1<<13
	zipDescriptor = 1 << 3  // sizes and checksum follow the content
	zipUTF8       = 1 << 11 // the name is in UTF-8
	zip64Extra    = 1
	zipPathExtra  = 0x7075 // the name in UTF-8
)

var le = binary.LittleEndian

// checkLocal checks for the header of f at the offset at, equal to the directory
// at dir, and returns the end of f.
func checkLocal(s *scan, f zipFile, at, dir int64) (int64, error) {
	if f.start < at+zipLocalLen || f.start > dir || f.CompressedSize64 > uint64(dir-f.start) {
		return 0, errMisplaced(f)
	}
	b := make([]byte, min(f.start-at, zipLocalLen+2<<16))
	if _, err := s.src.ReadAt(b, at); err != nil {
		return 0, s.explain(noEOF(err))
	}
	nameLen, extraLen := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
	if string(b[:4]) != zipLocal || at+zipLocalLen+int64(nameLen+extraLen) != f.start {
		return 0, errMisplaced(f)
	}
	extra := b[zipLocalLen+nameLen:]
	if !agrees(f.File, b, extra) || string(b[zipLocalLen:zipLocalLen+nameLen]) != f.Name || !sameUnicodePath(f.File, extra) {
		return 0, slipway.Errorf(slipway.Invalid, "The header of %s does not agree with the zip archive's directory. Pack and upload the archive again.", Quote(f.Name))
	}
	return endOf(s, f, dir)
}

func errMisplaced(f zipFile) error {
	return slipway.Errorf(slipway.Invalid, "The entry %s overlaps another one, or there is data between them that belongs to no file. Pack and upload the archive again.", Quote(f.Name))
}

// endOf returns the end of f: behind the content, or behind the descriptor.
func endOf(s *scan, f zipFile, dir int64) (int64, error) {
	end := f.start + int64(f.CompressedSize64)
	if f.Flags&zipDescriptor == 0 {
		return end, nil
	}
	b := make([]byte, 28) // the longest descriptor, and the signature behind it
	n, err := s.src.ReadAt(b, end)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, s.explain(err)
	}
	for _, d := range descriptors(f.File) {
		rest, ok := bytes.CutPrefix(b[:n], d)
		at := end + int64(len(d))
		if ok && (at == dir || at < dir && bytes.HasPrefix(rest, []byte(zipLocal))) {
			return at, nil
		}
	}
	return 0, slipway.Errorf(slipway.Invalid, "What follows the content of %s does not agree with the zip archive's directory. Pack and upload the archive again.", Quote(f.Name))
}

// agrees reports whether the local header of f matches the directory. With a
// descriptor behind the content, the header may leave checksum and sizes open.
func agrees(f *zip.File, header, extra []byte) bool {
	flags, method := le.Uint16(header[6:]), le.Uint16(header[8:])
	if method != f.Method || (flags^f.Flags)&(zipEncrypted|zipDescriptor) != 0 {
		return false
	}
	sum, packed, size := le.Uint32(header[14:]), uint64(le.Uint32(header[18:])), uint64(le.Uint32(header[22:]))
	if packed == 1<<32-1 || size == 1<<32-1 {
		packed, size = zip64Sizes(extra, packed, size)
	}
	open := flags&zipDescriptor != 0
	return (sum == f.CRC32 || open && sum == 0) &&
		(packed == f.CompressedSize64 || open && packed == 0) &&
		(size == f.UncompressedSize64 || open && size == 0)
}

// zip64Sizes returns the sizes from the zip64 extra field where a size in the
// header is all ones.
func zip64Sizes(extra []byte, packed, size uint64) (uint64, uint64) {
	field := extraField(extra, zip64Extra)
	for _, v := range []*uint64{&size, &packed} { // order of the format
		if *v == 1<<32-1 && len(field) >= 8 {
			*v, field = le.Uint64(field), field[8:]
		}
	}
	return packed, size
}

// extraField returns the first field of a kind; nil without one.
func extraField(extra []byte, kind uint16) []byte {
	for len(extra) >= 4 {
		tag, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			break
		}
		if tag == kind {
			return extra[:n]
		}
		extra = extra[n:]
	}
	return nil
}

// unicodePath returns the name in UTF-8 from the extra field of Info-ZIP, if the
// field belongs to name.
func unicodePath(extra []byte, name string) (string, bool) {
	field := extraField(extra, zipPathExtra)
	if len(field) < 6 || field[0] != 1 || le.Uint32(field[1:]) != crc32.ChecksumIEEE([]byte(name)) || !utf8.Valid(field[5:]) {
		return "", false
	}
	return string(field[5:]), true
}

// sameUnicodePath reports whether the local extra fields give f no other name than
// the directory does.
func sameUnicodePath(f *zip.File, local []byte) bool {
	here, ok := unicodePath(local, f.Name)
	there, _ := unicodePath(f.Extra, f.Name)
	return !ok || f.Flags&zipUTF8 != 0 || here == there
}

// descriptors returns the valid bytes behind the content of f: sizes of 4 or 8
// bytes, with a signature or without; or nothing.
func descriptors(f *zip.File) [][]byte {
	sum := le.AppendUint32(nil, f.CRC32)
	short := le.AppendUint32(le.AppendUint32(bytes.Clone(sum), uint32(f.CompressedSize64)), uint32(f.UncompressedSize64))
	long := le.AppendUint64(le.AppendUint64(sum, f.CompressedSize64), f.UncompressedSize64)
	sig := []byte("PK\x07\x08")
	return [][]byte{append(bytes.Clone(sig), short...), append(bytes.Clone(sig), long...), short, long, nil}
}

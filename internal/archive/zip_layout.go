package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
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
	zipDescriptor = 1 << 3 // sizes and checksum follow the content
	zip64Extra    = 1
)

var le = binary.LittleEndian

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
	for len(extra) >= 4 {
		tag, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			break
		}
		if tag == zip64Extra {
			field := extra[:n]
			for _, v := range []*uint64{&size, &packed} { // order of the format
				if *v == 1<<32-1 && len(field) >= 8 {
					*v, field = le.Uint64(field), field[8:]
				}
			}
			break
		}
		extra = extra[n:]
	}
	return packed, size
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

package archive

import (
	"bufio"
	"bytes"
	"io"

	"slipway/internal/slipway"
)

// zipDir is the directory of a zip archive.
type zipDir struct {
	start, length int64 // bytes
	records       int
}

// zipDirReader reads the directory of a zip archive.
type zipDirReader struct{ *scan }

// read returns the directory of the zip archive. The directory must end at the
// end records, and be short enough for memory.
func (s zipDirReader) read(size int64) (zipDir, error) {
	last, err := s.lastByte(size)
	if err != nil {
		return zipDir{}, err
	}
	start := max(0, last-zipEndLen-1<<16)
	tail := make([]byte, min(size, last+zipEndLen)-start)
	if _, err := io.ReadFull(io.NewSectionReader(s.src, start, size), tail); err != nil {
		return zipDir{}, s.explain(err)
	}
	i := bytes.LastIndex(tail, []byte(zipEnd))
	if i < 0 || len(tail)-i < zipEndLen {
		return zipDir{}, slipway.Errorf(slipway.Invalid, "The zip archive is cut off: its directory is missing. Pack and upload it again.")
	}
	end := start + int64(i)
	if behind := end + zipEndLen + int64(le.Uint16(tail[i+20:])); behind > size || behind <= last {
		return zipDir{}, slipway.Errorf(slipway.Invalid, "There is data after the end of the zip archive. Pack and upload it again.")
	}
	d := zipDir{
		start: int64(le.Uint32(tail[i+16:])), length: int64(le.Uint32(tail[i+12:])),
		records: int(le.Uint16(tail[i+10:])),
	}
	if d.start+d.length != end || d.records == 1<<16-1 || d.length == 1<<32-1 || d.start == 1<<32-1 {
		if d, end, err = s.zip64Directory(d, end); err != nil {
			return zipDir{}, err
		}
	}
	if d.length < 0 || d.start < 0 || d.start > end || end-d.start != d.length {
		return zipDir{}, errZipDirectory()
	}
	return s.countRecords(d)
}

// lastByte returns the offset of the last byte that is not zero: a zip archive
// that was written to a pipe may be padded.
func (s zipDirReader) lastByte(size int64) (int64, error) {
	b := make([]byte, buffer)
	for end := size; end > 0; {
		n := min(end, int64(len(b)))
		if _, err := s.src.ReadAt(b[:n], end-n); err != nil {
			return 0, s.explain(noEOF(err))
		}
		if rest := len(bytes.TrimRight(b[:n], "\x00")); rest > 0 {
			return end - n + int64(rest) - 1, nil
		}
		end -= n
	}
	return 0, nil
}

func errZipDirectory() error {
	return slipway.Errorf(slipway.Invalid, "The zip archive's directory is damaged. Pack and upload the archive again.")
}

// failure is errZipDirectory, unless the disk failed.
func (s zipDirReader) failure() error {
	if err := s.src.failed(); err != nil {
		return s.explain(err)
	}
	return errZipDirectory()
}

// zip64Directory returns the directory and its end from the zip64 records in
// front of the end record at end, if present.
func (s zipDirReader) zip64Directory(d zipDir, end int64) (zipDir, int64, error) {
	b := make([]byte, zip64LocLen+zip64EndLen)
	if end < int64(len(b)) {
		return d, end, nil
	}
	if _, err := s.src.ReadAt(b[:zip64LocLen], end-zip64LocLen); err != nil {
		return d, 0, s.explain(noEOF(err))
	}
	if string(b[:4]) != zip64Locator {
		return d, end, nil
	}
	at, disk, disks := int64(le.Uint64(b[8:])), le.Uint32(b[4:]), le.Uint32(b[16:])
	if at < 0 || at > end-int64(len(b)) || disk != 0 || disks != 1 {
		return d, 0, errZipDirectory()
	}
	b = b[:zip64EndLen]
	if _, err := s.src.ReadAt(b, at); err != nil {
		return d, 0, s.explain(noEOF(err))
	}
	if string(b[:4]) != zip64End || at+12+int64(le.Uint64(b[4:])) != end-zip64LocLen {
		return d, 0, errZipDirectory()
	}
	// As in a small archive, 16 bits of the number tell.
	return zipDir{start: int64(le.Uint64(b[48:])), length: int64(le.Uint64(b[40:])), records: int(le.Uint16(b[32:]))}, at, nil
}

// countRecords counts the records of the directory without keeping any, and bounds
// what a reader would keep.
func (s zipDirReader) countRecords(d zipDir) (zipDir, error) {
	r := bufio.NewReader(io.NewSectionReader(s.src, d.start, d.length))
	head := make([]byte, zipCentralLen)
	count, deployed, text := 0, 0, int64(0)
	for rest := d.length; rest > 0; count++ {
		if count == s.lim.entries() {
			return d, s.lim.tooMany(deployed)
		}
		if _, err := io.ReadFull(r, head); err != nil || string(head[:4]) != zipCentral {
			return d, s.failure()
		}
		name, more := int(le.Uint16(head[28:])), int(le.Uint16(head[30:]))+int(le.Uint16(head[32:]))
		if first, err := r.Peek(min(name, len(dagsFolder)+1)); err == nil && string(first) == dagsFolder+"/" {
			deployed++
		}
		if _, err := r.Discard(name + more); err != nil {
			return d, s.failure()
		}
		rest -= int64(zipCentralLen + name + more)
		if text += int64(name + more - extraPerRecord); text > s.lim.scanned() {
			return d, slipway.Errorf(slipway.TooLarge, "The directory of the zip archive has %s, too many for %d files. Pack only the files to deploy, without comments and extra fields.", SizeText(d.length), s.lim.Files)
		}
	}
	if uint16(count) != uint16(d.records) {
		return d, errZipDirectory()
	}
	d.records = count
	return d, nil
}

// extraPerRecord is how many bytes of a record in the directory are free, beside the
// bytes of names: times and owners.
const extraPerRecord = 64

// bounded returns the archive in src up to the end of the directory, followed by
// new end records. Zip readers differ in where they look for the directory and
// which numbers they believe. The new records leave one place to find, and only
// checked numbers.
func (d zipDir) bounded(src io.ReaderAt) boundedZip {
	at, n := uint64(d.start+d.length), uint64(d.records)
	end := le.AppendUint64([]byte(zip64End), zip64EndLen-12)
	end = append(end, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0) // versions, disks
	end = le.AppendUint64(le.AppendUint64(end, n), n)
	end = le.AppendUint64(le.AppendUint64(end, uint64(d.length)), uint64(d.start))
	end = append(end, zip64Locator+"\x00\x00\x00\x00"...)
	end = append(le.AppendUint64(end, at), 1, 0, 0, 0)
	end = append(end, zipEnd+"\x00\x00\x00\x00"...)
	end = append(end, bytes.Repeat([]byte{0xff}, 12)...) // see the records above
	return boundedZip{src: src, cut: int64(at), end: append(end, 0, 0)}
}

// boundedZip is the first cut bytes of src, then end.
type boundedZip struct {
	src io.ReaderAt
	cut int64
	end []byte
}

func (z boundedZip) size() int64 { return z.cut + int64(len(z.end)) }

func (z boundedZip) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0: // a record may say so
		return 0, errZipDirectory()
	case off >= z.cut:
		return bytes.NewReader(z.end).ReadAt(p, off-z.cut)
	}
	want := int(min(int64(len(p)), z.cut-off))
	n, err := z.src.ReadAt(p[:want], off)
	if n < want || want == len(p) {
		return n, err
	}
	m, err := bytes.NewReader(z.end).ReadAt(p[want:], 0)
	return want + m, err
}

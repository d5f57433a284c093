package archive

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// zipRecords returns n records of a zip archive's directory.
func zipRecords(n int) []byte {
	record := append([]byte(zipCentral), make([]byte, zipCentralLen-len(zipCentral)+1)...)
	record[28] = 1 // bytes of the name
	return bytes.Repeat(record, n)
}

// locator64 returns the locator of a directory's end at the offset at.
func locator64(at int, disks byte) []byte {
	b := le.AppendUint64([]byte(zip64Locator+"\x00\x00\x00\x00"), uint64(at))
	return append(b, disks, 0, 0, 0)
}

// end64 returns the end of a directory for large archives.
func end64(n, length, start int) []byte {
	b := le.AppendUint64([]byte(zip64End), zip64EndLen-12)
	b = append(b, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint64(le.AppendUint64(b, uint64(n)), uint64(n))
	return le.AppendUint64(le.AppendUint64(b, uint64(length)), uint64(start))
}

// splitZip returns an archive whose end names n records, and whose locator, of
// two disks, one.
func splitZip(n int) []byte {
	one := zipOf(zipEntries(entry)...)
	at := len(one) - zipEndLen - zipCentralLen - len(entry.name)
	dir := one[at : len(one)-zipEndLen]
	data := append(bytes.Clone(one[:at]), zipRecords(n)...)
	small := len(data)
	data = append(data, dir...)
	end := len(data)
	data = append(append(data, end64(1, len(dir), small)...), locator64(end, 2)...)
	data = endZip(data, nil, 1<<16-1)
	le.PutUint32(data[len(data)-10:], uint32(len(data)-zipEndLen-at))
	le.PutUint32(data[len(data)-6:], uint32(at))
	return data
}

// longDirectory returns an archive whose directory has 65,535 bytes, the last
// of which are tail, and which holds before in front of it.
func longDirectory(before, tail []byte) []byte {
	one := zipOf(zipEntries(entry)...)
	at := len(one) - zipEndLen - zipCentralLen - len(entry.name)
	dir := bytes.Clone(one[at : len(one)-zipEndLen])
	comment := 1<<16 - 1 - len(dir)
	le.PutUint16(dir[32:], uint16(comment))
	dir = append(append(dir, make([]byte, comment-len(tail))...), tail...)
	return endZip(append(bytes.Clone(one[:at]), before...), dir, 1)
}

// hiddenZip returns an archive with n records that only a reader finds which
// takes a directory of 65,535 bytes for one that is described elsewhere.
func hiddenZip(n int) []byte {
	at := len(longDirectory(nil, nil)) - zipEndLen - (1<<16 - 1)
	records := zipRecords(n)
	before := append(records, end64(n, len(records), at)...)
	return longDirectory(before, locator64(at+len(records), 1))
}

// beforeAll returns an archive whose one entry lies before the archive's start.
func beforeAll() []byte {
	one := zipOf(zipEntries(entry)...)
	at := len(one) - zipEndLen - zipCentralLen - len(entry.name)
	dir := bytes.Clone(one[at : len(one)-zipEndLen])
	dir[30] = 12 // bytes of the extra field
	copy(dir[42:], "\xff\xff\xff\xff")
	dir = append(dir, zip64Extra, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0x80)
	return endZip(bytes.Clone(one[:at]), dir, 1)
}

func TestReadIsNotLedToAnotherZipDirectory(t *testing.T) {
	lim := DefaultLimits()
	lim.Files = 100
	for name, data := range map[string][]byte{
		"a locator of two disks":    splitZip(100_000),
		"a directory of 64 KiB - 1": hiddenZip(100_000),
		"a number of records that are not there": zip64Of([]testEntry{{name: "/a", body: strings.Repeat("x", 4<<20)}},
			func(end, _ []byte) { end[26], end[34] = 2, 2 }),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := taken(t, data, lim)
			runtime.ReadMemStats(&after)
			wantRefusal(t, err, slipway.Invalid)
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Errorf("reading allocated %d bytes, want 1 MiB at most", got)
			}
		})
	}
}

func TestReadZipDirectoryOfAnyLength(t *testing.T) {
	sel, got, err := taken(t, longDirectory(nil, nil), DefaultLimits())
	if err != nil || paths(sel) != "a.py" || got[entry.name] != entry.body {
		t.Errorf("selected %s, take got %q, error %v", paths(sel), got, err)
	}
}

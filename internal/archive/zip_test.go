package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

var entry = testEntry{name: "dags/a.py", body: "print('a dag')"}

// descriptorOf returns the descriptor of body, packed to 14 bytes.
func descriptorOf(body, sig string) []byte {
	b := le.AppendUint32([]byte(sig), crc32.ChecksumIEEE([]byte(body)))
	return le.AppendUint32(le.AppendUint32(b, 14), uint32(len(body)))
}

func TestReadRefusesZip(t *testing.T) {
	good := zipOf(zipEntries(entry)...)
	local := func(change func(h []byte)) []byte { return zipOf(zipItem{testEntry: entry, local: change}) }
	for name, tt := range map[string]struct {
		data []byte
		want []string
	}{
		"absolute":               {zipOf(zipEntries(testEntry{name: "/a.py"})...), []string{`"/a.py"`, "absolute"}},
		"drive":                  {zipOf(zipItem{testEntry: testEntry{name: `c:\a.py`}, host: 'W'}), []string{`"c:/a.py"`, "absolute"}},
		"dots by Windows":        {zipOf(zipItem{testEntry: testEntry{name: `dags\..\..\a.py`}, host: 'W'}), []string{`"dags/../../a.py"`}},
		"code page 437":          {zipOf(zipEntries(testEntry{name: "dags/\x82.py"})...), []string{`"dags/\x82.py"`, "UTF-8"}},
		"no name":                {zipOf(zipEntries(testEntry{name: "."})...), []string{`"."`}},
		"twice":                  {zipOf(zipEntries(entry, entry)...), []string{`"dags/a.py"`, "two files"}},
		"fifo":                   {zipOf(zipEntries(testEntry{name: "dags/pipe", kind: tar.TypeFifo})...), []string{`"dags/pipe"`}},
		"link out":               {zipOf(zipEntries(linkItem("dags/l", "../../x"))...), []string{`"dags/l"`, "leaves"}},
		"damaged link":           {zipOf(zipItem{testEntry: linkItem("dags/l", "x"), packed: []byte("y")}), []string{`"dags/l"`, "checksum"}},
		"link without target":    {zipOf(zipEntries(entry, linkItem("dags/l", ""))...), []string{`"dags/l"`, "target"}},
		"folder with content":    {zipOf(zipEntries(testEntry{name: "dags/a/", body: "x"})...), []string{`"dags/a/"`, "content"}},
		"encrypted":              {zipOf(zipItem{testEntry: entry, flags: 1}), []string{`"dags/a.py"`, "encrypted"}},
		"strongly encrypted":     {zipOf(zipItem{testEntry: entry, flags: 1 << 6}), []string{`"dags/a.py"`, "encrypted"}},
		"method":                 {zipOf(zipItem{testEntry: entry, method: 93}), []string{`"dags/a.py"`, "method 93"}},
		"local name":             {zipOf(zipItem{testEntry: entry, localName: "dags/b.py"}), []string{`"dags/a.py"`, "agree"}},
		"local method":           {local(func(h []byte) { h[8] = 8 }), []string{`"dags/a.py"`, "agree"}},
		"local encryption":       {local(func(h []byte) { h[6] = 1 }), []string{`"dags/a.py"`, "agree"}},
		"local descriptor":       {local(func(h []byte) { h[6] = 8 }), []string{`"dags/a.py"`, "agree"}},
		"local sum":              {local(func(h []byte) { h[14]++ }), []string{`"dags/a.py"`, "agree"}},
		"local packed size":      {local(func(h []byte) { h[18]++ }), []string{`"dags/a.py"`, "agree"}},
		"local size":             {local(func(h []byte) { h[22]++ }), []string{`"dags/a.py"`, "agree"}},
		"local size without 64":  {local(func(h []byte) { copy(h[22:], "\xff\xff\xff\xff") }), []string{`"dags/a.py"`, "agree"}},
		"local signature":        {local(func(h []byte) { h[0] = 'Q' }), []string{"not an archive"}},
		"second signature":       {zipOf(zipItem{testEntry: testEntry{name: "b"}}, zipItem{testEntry: entry, local: func(h []byte) { h[3] = 9 }}), []string{`"dags/a.py"`}},
		"sum":                    {zipOf(zipItem{testEntry: entry, packed: []byte("print('a bug')")}), []string{`"dags/a.py"`, "checksum"}},
		"inflates further":       {zipOf(zipItem{testEntry: entry, packed: deflate(entry.body + "more"), method: zip.Deflate}), []string{`"dags/a.py"`, "more bytes"}},
		"inflates to less":       {zipOf(zipItem{testEntry: entry, packed: deflate("less"), method: zip.Deflate}), []string{`"dags/a.py"`, "fewer bytes"}},
		"stored further":         {zipOf(zipItem{testEntry: entry, packed: []byte(entry.body + "more")}), []string{`"dags/a.py"`, "more bytes"}},
		"data behind deflate":    {zipOf(zipItem{testEntry: entry, packed: append(deflate(entry.body), "more"...), method: zip.Deflate}), []string{`"dags/a.py"`, "after its end"}},
		"deflate cut off":        {zipOf(zipItem{testEntry: entry, packed: deflate(entry.body)[:5], method: zip.Deflate}), []string{`"dags/a.py"`, "cut off"}},
		"deflate damaged":        {zipOf(zipItem{testEntry: entry, packed: []byte("\xff\xff\xff\xff"), method: zip.Deflate}), []string{`"dags/a.py"`, "damaged"}},
		"descriptor":             {zipOf(zipItem{testEntry: entry, flags: 8, descriptor: flipped(descriptorOf(entry.body, "PK\x07\x08"), 5)}), []string{`"dags/a.py"`, "follows"}},
		"gap":                    {zipOf(zipItem{testEntry: entry, gap: "evil"}, zipItem{testEntry: testEntry{name: "b"}}), []string{`"b"`}},
		"gap before directory":   {zipOf(zipItem{testEntry: entry, gap: "evil"}), []string{`"dags/a.py"`, "no file"}},
		"same content twice":     {overlapping(), []string{`"dags/`, "overlaps"}},
		"data before":            {append([]byte("MZ"), good...), []string{"not an archive"}},
		"other archive before":   {append(bytes.Clone(good), good...), []string{"directory"}},
		"data after":             {append(bytes.Clone(good), "evil"...), []string{"after the end"}},
		"data after padding":     {append(append(bytes.Clone(good), make([]byte, 5000)...), "evil"...), []string{"after the end"}},
		"comment cut off":        {flipped(good, -2), []string{"after the end"}},
		"directory cut off":      {good[:len(good)-30], []string{"cut off"}},
		"directory missing":      {good[:40], []string{"cut off"}},
		"directory damaged":      {flipped(good, -zipEndLen-len(entry.name)-zipCentralLen), []string{"directory"}},
		"directory too short":    {flipped(good, -zipEndLen+12), []string{"directory"}},
		"directory elsewhere":    {flipped(good, -zipEndLen+16), []string{"directory"}},
		"number of records":      {flipped(good, -zipEndLen+10), []string{"directory"}},
		"large directory":        {zip64Of([]testEntry{entry}, func(end, _ []byte) { end[48]++ }), []string{"directory"}},
		"large directory's end":  {zip64Of([]testEntry{entry}, func(end, _ []byte) { end[4]++ }), []string{"directory"}},
		"large directory's spot": {zip64Of([]testEntry{entry}, func(_, locator []byte) { locator[14] = 0xff }), []string{"directory"}},
		"large directory's disk": {zip64Of([]testEntry{entry}, func(_, locator []byte) { locator[4]++ }), []string{"directory"}},
		"more disks":             {zip64Of([]testEntry{entry}, func(_, locator []byte) { locator[16]++ }), []string{"directory"}},
		"large number":           {zip64Of([]testEntry{entry}, func(end, _ []byte) { end[32]++ }), []string{"directory"}},
		"content before all":     {beforeAll(), []string{"directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := taken(t, tt.data, DefaultLimits())
			wantRefusal(t, err, slipway.Invalid, tt.want...)
		})
	}
}

// overlapping returns an archive whose two records share one content.
func overlapping() []byte {
	one := zipOf(zipEntries(entry)...)
	dirLen := zipCentralLen + len(entry.name)
	at := len(one) - zipEndLen - dirLen
	dir := one[at : at+dirLen]
	second := bytes.Clone(dir)
	copy(second[zipCentralLen:], "dags/b.py")
	return endZip(bytes.Clone(one[:at]), append(bytes.Clone(dir), second...), 2)
}

// zip64Of returns an archive with the records for large ones, changed.
func zip64Of(items []testEntry, change func(end, locator []byte)) []byte {
	return withEnd64(zipOf(zipEntries(items...)...), true, change)
}

// withEnd64 returns plain with the records for large archives, changed. The last
// record names nothing but them, or has the numbers as well.
func withEnd64(plain []byte, alone bool, change func(end, locator []byte)) []byte {
	at := len(plain) - zipEndLen
	n := uint64(bytes.Count(plain[le.Uint32(plain[at+16:]):], []byte(zipCentral)))
	old := plain[at:]
	end := le.AppendUint64([]byte(zip64End), zip64EndLen-12)
	end = append(end, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	end = le.AppendUint64(le.AppendUint64(end, n), n)
	end = le.AppendUint64(end, uint64(le.Uint32(old[12:])))
	end = le.AppendUint64(end, uint64(le.Uint32(old[16:])))
	locator := append([]byte(zip64Locator), 0, 0, 0, 0)
	locator = append(le.AppendUint64(locator, uint64(at)), 1, 0, 0, 0)
	if change != nil {
		change(end, locator)
	}
	last := bytes.Clone(old)
	if alone {
		copy(last[8:20], strings.Repeat("\xff", 12))
	}
	return append(append(append(bytes.Clone(plain[:at]), end...), locator...), last...)
}

func TestReadAcceptsZip(t *testing.T) {
	none := func(h []byte) { copy(h[14:26], make([]byte, 12)) }
	with := func(descriptor []byte) []byte {
		return zipOf(zipItem{testEntry: testEntry{name: "b"}},
			zipItem{testEntry: entry, flags: 8, local: none, descriptor: descriptor}, zipItem{testEntry: testEntry{name: "c"}})
	}
	long := le.AppendUint32([]byte("PK\x07\x08"), crc32.ChecksumIEEE([]byte(entry.body)))
	long = le.AppendUint64(le.AppendUint64(long, 14), 14)
	inExtra := func(h []byte) {
		copy(h[18:26], "\xff\xff\xff\xff\xff\xff\xff\xff")
		h[28] = 24
	}
	extra := []byte{'U', 'X', 0, 0, 1, 0, 16, 0, 14, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0}
	commented := zipOf(zipEntries(entry)...)
	commented[len(commented)-2] = 5
	for name, data := range map[string][]byte{
		"descriptor":                   with(descriptorOf(entry.body, "PK\x07\x08")),
		"descriptor without signature": with(descriptorOf(entry.body, "")),
		"long descriptor":              with(long),
		"long one without signature":   with(long[4:]),
		"descriptor left away":         with(nil),
		"sizes in the extra field":     zipOf(zipItem{testEntry: entry, local: inExtra, localExtra: extra}),
		"comment":                      append(commented, "hello"...),
		"records for large archives":   zip64Of([]testEntry{entry}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			sel, got, err := taken(t, data, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if paths(sel) != "a.py" || got[entry.name] != entry.body {
				t.Errorf("selected %s, take got %q", paths(sel), got)
			}
		})
	}
}

// Writers that do not know the size in advance, or never ask, write the records
// for large archives always, in more than one way.
func TestReadSmallZipInLargeForm(t *testing.T) {
	size := uint64(len(entry.body))
	sizes := func(offset bool) []byte {
		b := le.AppendUint64(le.AppendUint64([]byte{zip64Extra, 0, 16, 0}, size), size)
		if offset {
			b[2] = 24
			b = le.AppendUint64(b, 0)
		}
		return b
	}
	ones := func(at int) func(h []byte) {
		return func(h []byte) { copy(h[at:at+8], "\xff\xff\xff\xff\xff\xff\xff\xff") }
	}
	long := le.AppendUint32([]byte("PK\x07\x08"), crc32.ChecksumIEEE([]byte(entry.body)))
	long = le.AppendUint64(le.AppendUint64(long, size), size)
	for _, local := range []bool{false, true} {
		for _, central := range []string{"", "extra alone", "sizes", "all"} {
			for _, descriptor := range []string{"", "short", "long"} {
				for _, end := range []string{"", "beside", "alone"} {
					for _, padding := range []int{0, 1, 10240} {
						it := zipItem{testEntry: entry}
						if local {
							it.local, it.localExtra = ones(18), sizes(false)
						}
						switch central {
						case "extra alone":
							it.dirExtra = []byte{zip64Extra, 0, 0, 0}
						case "sizes":
							it.central, it.dirExtra = ones(20), sizes(false)
						case "all":
							it.central, it.dirExtra = func(h []byte) { ones(20)(h); copy(h[42:], "\xff\xff\xff\xff") }, sizes(true)
						}
						switch descriptor {
						case "short":
							it.flags, it.descriptor = zipDescriptor, descriptorOf(entry.body, "PK\x07\x08")
						case "long":
							it.flags, it.descriptor = zipDescriptor, long
						}
						data := zipOf(it)
						if end != "" {
							data = withEnd64(data, end == "alone", nil)
						}
						sel, got, err := taken(t, append(data, make([]byte, padding)...), DefaultLimits())
						if err != nil || paths(sel) != "a.py" || got[entry.name] != entry.body {
							t.Errorf("local %t, central %q, descriptor %q, end %q, padding %d: selected %q, error %v", local, central, descriptor, end, padding, paths(sel), err)
						}
					}
				}
			}
		}
	}
}

func TestReadLargeZip(t *testing.T) {
	var items []testEntry
	for i := range 1<<16 + 10 { // more than the end record can count
		items = append(items, testEntry{name: fmt.Sprintf("dags/%05d.py", i), body: "x"})
	}
	sel, got, err := taken(t, zip64Of(items, nil), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if len(sel.Entries) != len(items) || len(got) != len(items) {
		t.Errorf("%d entries, %d taken, want %d", len(sel.Entries), len(got), len(items))
	}
}

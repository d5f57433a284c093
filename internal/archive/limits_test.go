package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"slipway/internal/slipway"
)

func TestReadLimits(t *testing.T) {
	zeros := strings.Repeat("\x00", 1<<20)
	bomb := testEntry{name: "dags/bomb", body: zeros}
	many := []testEntry{{name: "dags/a"}, {name: "dags/b"}, {name: "dags/c"}}
	for name, tt := range map[string]struct {
		data []byte
		lim  func(*Limits)
		want []string
	}{
		"archive":             {tarOf(bomb), func(l *Limits) { l.Archive = 1 << 20 }, []string{"1 MiB"}},
		"tar":                 {tarOf(bomb), func(l *Limits) { l.Unpacked = 1 << 19 }, []string{`"dags/bomb"`, "512 KiB"}},
		"tar.gz":              {gzipped(tarOf(bomb)), func(l *Limits) { l.Unpacked = 1 << 19 }, []string{`"dags/bomb"`, "512 KiB"}},
		"tar.zst":             {zstandard(tarOf(bomb)), func(l *Limits) { l.Unpacked = 1 << 19 }, []string{`"dags/bomb"`}},
		"zip":                 {zipOf(deflated(zipItem{testEntry: bomb})), func(l *Limits) { l.Unpacked = 1 << 19 }, []string{`"dags/bomb"`}},
		"zip in many files":   {zipOf(deflated(zipItem{testEntry: testEntry{name: "dags/a", body: zeros}}), deflated(zipItem{testEntry: testEntry{name: "dags/b", body: zeros}})), func(l *Limits) { l.Unpacked = 1<<21 - 1 }, []string{`"dags/b"`}},
		"sparse":              {tarOf(hole("dags/hole", 1<<30)...), func(l *Limits) { l.Unpacked = 1 << 19 }, []string{`"dags/hole"`}},
		"many sparse":         {tarOf(append(hole("dags/a", 300<<10), hole("dags/b", 300<<10)...)...), func(l *Limits) { l.Unpacked = 1 << 19 }, []string{`"dags/b"`}},
		"xz":                  {packedBy(t, "tar-J.tar.xz"), func(l *Limits) { l.Unpacked = 1 << 10 }, []string{"4 KiB"}},
		"xz with a window":    {packedBy(t, "window.tar.xz"), func(*Limits) {}, []string{"64 MiB", "-9"}},
		"xz in many parts":    {bytes.Repeat(packedBy(t, "empty-9.xz"), 300), func(*Limits) {}, []string{"parts"}},
		"bzip2":               {packedBy(t, "tar-j.tar.bz2"), func(l *Limits) { l.Unpacked = 1 << 18 }, []string{`"dags/s.bin"`}},
		"left out":            {gzipped(tarOf(testEntry{name: ".git/bomb", body: zeros})), func(l *Limits) { l.Unpacked = 1 << 17 }, []string{`".git/bomb"`, "512 KiB", "not deployed"}},
		"after the end":       {gzipped(append(tarOf(testEntry{name: "dags/a"}), zeros...)), func(l *Limits) { l.Unpacked = 1 << 19 }, []string{`"dags/a"`}},
		"stated size":         {append(tarHeader(testEntry{name: "dags/big"}, 1<<30), zeros...), func(l *Limits) { l.Unpacked = 1 << 19 }, []string{`"dags/big"`}},
		"files":               {tarOf(many...), func(l *Limits) { l.Files = 2 }, []string{"more than 2 files"}},
		"files in a zip":      {zipOf(zipEntries(many...)...), func(l *Limits) { l.Files = 2 }, []string{"more than 2 files"}},
		"records in a zip":    {zipOf(zipEntries(many...)...), func(l *Limits) { l.Files = 1 }, []string{"more than 1 files"}},
		"folders":             {tarOf(testEntry{name: "a/b/c/d"}), func(l *Limits) { l.Files = 3 }, []string{"more than 3 files and folders"}},
		"entries":             {tarOf(outsiders(9)...), func(l *Limits) { l.Files = 2 }, []string{"more than 8 files", "not deployed"}},
		"entries in a zip":    {zipOf(zipEntries(outsiders(9)...)...), func(l *Limits) { l.Files = 2 }, []string{"more than 8 files", "not deployed"}},
		"names of folders":    {tarOf(longFolders(500)...), func(l *Limits) { l.Files, l.Path = 1000, 4096 }, []string{"names", "beyond"}},
		"names outside":       {tarOf(append(longNames(500), testEntry{name: "dags/a.py"})...), func(l *Limits) { l.Files, l.Path = 1000, 4096 }, []string{"names", "beyond"}},
		"nesting":             {tarOf(testEntry{name: "dags/" + strings.Repeat("d/", 128) + "a.py"}), func(*Limits) {}, []string{"130 names", "128"}},
		"path":                {tarOf(testEntry{name: "dags/abcdef/g"}), func(l *Limits) { l.Path = 12 }, []string{`"dags/abcdef/g"`, "13 bytes", "12"}},
		"name":                {tarOf(testEntry{name: "dags/abcdefg.py"}), func(l *Limits) { l.Name = 9 }, []string{`"abcdefg.py"`, "10 bytes", "9"}},
		"target":              {tarOf(linkItem("dags/l", "a/b/c/d/e/f/g")), func(l *Limits) { l.Path = 10 }, []string{`"dags/l"`}},
		"target in a zip":     {zipOf(zipEntries(linkItem("dags/l", "a/b/c/d/e/f/g"))...), func(l *Limits) { l.Path = 10 }, []string{`"dags/l"`}},
		"way of a link":       {tarOf(linkItem("dags/l", "aa/bb/cc"), linkItem("dags/m", "l/dd/ee")), func(l *Limits) { l.Path = 12 }, []string{`"dags/m"`}},
		"long zip directory":  {zipOf(zipEntries(hugeNames()...)...), func(l *Limits) { l.Files = 100 }, []string{"directory", "100 files"}},
		"names":               {tarOf(longNames(500)...), func(l *Limits) { l.Files, l.Path = 1000, 4096 }, []string{"names", "beyond"}},
		"ignore file":         {tarOf(testEntry{name: ".slipwayignore", body: strings.Repeat("x\n", 40000)}), func(*Limits) {}, []string{".slipwayignore", "64 KiB"}},
		"many ignore files":   {tarOf(ignoreFiles(20)...), func(*Limits) {}, []string{"/.slipwayignore", "too large"}},
		"zstd with a window":  {[]byte("\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"), func(*Limits) {}, []string{"64 MiB", "--long"}},
		"patterns over names": {tarOf(append(longNames(200), testEntry{name: ".slipwayignore", body: strings.Repeat("**/*[a-z]*[a-z]*[a-z]*X/y\n", 2000)})...), func(l *Limits) { l.Files, l.Path = 10000, 4096 }, []string{"patterns", "stopped"}},
	} {
		t.Run(name, func(t *testing.T) {
			lim := DefaultLimits()
			tt.lim(&lim)
			_, _, err := taken(t, tt.data, lim)
			wantRefusal(t, err, slipway.TooLarge, tt.want...)
		})
	}
}

func longNames(n int) []testEntry {
	var list []testEntry
	for i := range n {
		list = append(list, testEntry{name: strings.Repeat(strings.Repeat(string(rune('a'+i/26)), 200)+"/", 19) + strings.Repeat("x", i%26+1)})
	}
	return list
}

// hole returns the entries of a file with no content but a hole of n bytes.
func hole(name string, n int) []testEntry {
	text := fmt.Sprintf(" GNU.sparse.realsize=%d\n", n)
	text = fmt.Sprint(len(text)+2) + text
	return []testEntry{
		{name: "pax", kind: tar.TypeXHeader, body: "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n" + text},
		{name: name, body: "0\n" + strings.Repeat("\x00", tarBlock-2)},
	}
}

// outsiders returns n files beside a dags folder.
func outsiders(n int) []testEntry {
	list := []testEntry{{name: "dags/a.py", body: "a"}}
	for i := range n {
		list = append(list, testEntry{name: fmt.Sprintf("logs/%06d", i)})
	}
	return list
}

func longFolders(n int) []testEntry {
	list := longNames(n)
	for i := range list {
		list[i].name += "/"
		list[i].kind = tar.TypeDir
	}
	return list
}

func hugeNames() []testEntry {
	var list []testEntry
	for i := range 20 {
		list = append(list, testEntry{name: strings.Repeat(string(rune('a'+i)), 65000)})
	}
	return list
}

func ignoreFiles(n int) []testEntry {
	var list []testEntry
	for i := range n {
		list = append(list, testEntry{name: string(rune('a'+i)) + "/.slipwayignore", body: strings.Repeat("#", maxIgnore)})
	}
	return list
}

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 64 << 20: "64 MiB", 8 << 30: "8 GiB", 1 << 50: "1.048576e+06 GiB"} {
		if got := SizeText(n); got != want {
			t.Errorf("sizeText(%d) = %s, want %s", n, got, want)
		}
	}
}

// What an archive may unpack to depends on the bytes that were uploaded.
func TestBoundByTheUpload(t *testing.T) {
	for name, tt := range map[string]struct {
		upload, ratio int64
		want          int64
		over          error
	}{
		"small":            {936, slowRatio, 1<<30 + 936*200, errRatio},
		"as gzip at best":  {10 << 20, ratio, 1<<30 + 11000<<20, errRatio},
		"much":             {100 << 20, ratio, 32 << 30, errStream},
		"much, by bzip2":   {100 << 20, slowRatio, 1<<30 + 20000<<20, errRatio},
		"nearly unpacked":  {2 << 30, slowRatio, 32 << 30, errStream},
		"nothing uploaded": {0, ratio, 1 << 30, errRatio},
	} {
		s := &scan{lim: DefaultLimits(), ratio: tt.ratio}
		s.lim.Upload = tt.upload
		if got, over := s.bound(s.lim.stream(), errStream); got != tt.want || !errors.Is(over, tt.over) {
			t.Errorf("%s: %d, %v, want %d, %v", name, got, over, tt.want, tt.over)
		}
	}
}

func TestReadBoundsByTheUpload(t *testing.T) {
	bomb := append(tarOf(testEntry{name: "dags/a.py", body: "a"})[:2*tarBlock], tarHeader(testEntry{name: "logs/bomb"}, 3<<30)...)
	var data bytes.Buffer
	w, err := zstd.NewWriter(&data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.Write(bomb); err == nil {
		_, err = io.CopyN(w, zeroReader{}, 1<<30+16<<20)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		data []byte
		size int64 // 0 is that of data
		lim  func(*Limits)
		want []string
	}{
		"zstd":          {data.Bytes(), 0, func(*Limits) {}, []string{`"logs/bomb"`, "more than 1.1 GiB", "Leave out"}},
		"sparse":        {hugeHole(3 << 30), 0, func(*Limits) {}, []string{`"dags/hole"`, "more than 1 GiB"}},
		"packed inside": {gzipped(tarOf(project...)), 17 << 20, func(l *Limits) { l.Upload = 1 << 10 }, []string{"17 MiB", "1 KiB", "by itself"}},
		"a tar inside":  {tarOf(project...), 65 << 20, func(l *Limits) { l.Upload = 1 << 10 }, []string{"65 MiB", "1 KiB", "by itself"}},
		"a bomb inside": {hugeHole(2 << 30), 0, func(l *Limits) { l.Upload = 1 << 10 }, []string{`"dags/hole"`, "has 1 KiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			lim := DefaultLimits()
			tt.lim(&lim)
			_, err := Read(t.Context(), bytes.NewReader(tt.data), max(tt.size, int64(len(tt.data))), lim, Search{}, func(Entry, io.Reader) (bool, error) { return false, nil })
			wantRefusal(t, err, slipway.TooLarge, tt.want...)
		})
	}
	lim := DefaultLimits()
	lim.Upload = 1 << 10 // an honest one inside
	if _, _, err := taken(t, gzipped(tarOf(project...)), lim); err != nil {
		t.Error(err)
	}
}

func hugeHole(n int) []byte { return tarOf(hole("dags/hole", n)...) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// The archive inside is refused by its stated size, before a byte is written.
func TestExtractBounds(t *testing.T) {
	outer := tarOf(testEntry{name: "dags.tar", body: strings.Repeat("x", 4096)})
	lim := DefaultLimits()
	lim.Archive = 4095
	err := Extract(t.Context(), bytes.NewReader(outer), 4000, lim, "dags.tar", func(Entry, io.Reader) error {
		t.Error("written")
		return nil
	})
	wantRefusal(t, err, slipway.TooLarge, `"dags.tar"`, "4 KiB")
	large := append(tarOf(testEntry{name: "dags/a.py"})[:tarBlock], tarHeader(testEntry{name: "dags.tar"}, 70<<20)...)
	err = Extract(t.Context(), bytes.NewReader(large), int64(len(large)), DefaultLimits(), "dags.tar", func(Entry, io.Reader) error {
		t.Error("written")
		return nil
	})
	wantRefusal(t, err, slipway.TooLarge, "70 MiB", "by itself")
}

// What unpacks slowly may unpack to less.
func TestRatioOfFormats(t *testing.T) {
	for name, want := range map[string]int64{
		"tar-j.tar.bz2": slowRatio, "bzip2-streams.tar.bz2": slowRatio, "tar-J.tar.xz": slowRatio, "tar-S.tar.gz": ratio, "zip-fz.zip": ratio,
	} {
		data := packedBy(t, name)
		s := newScan(t.Context(), bytes.NewReader(data), DefaultLimits(), Search{}, func(Entry, io.Reader) (bool, error) { return false, nil })
		if err := s.read(int64(len(data))); err != nil || s.ratio != want {
			t.Errorf("%s: %d, %v, want %d", name, s.ratio, err, want)
		}
	}
}

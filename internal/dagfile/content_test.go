package dagfile

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

func TestMark(t *testing.T) {
	both, asset := "from airflow import DAG\n", "from airflow.sdk import Asset\n"
	pack, data := string(zipOf(t, "dag.py")), string(zipOf(t, "word/document.xml"))
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
	for name, tt := range map[string]struct {
		path, content string
		want          string // dag, asset, lfs, bidi
	}{
		"both":                  {"a.py", both, "dag"},
		"any case":              {"a.py", "AIRFLOW daG", "dag"},
		"asset":                 {"a.py", asset, "asset"},
		"airflow alone":         {"a.py", "import airflow", ""},
		"dag and asset":         {"a.py", "dag asset", ""},
		"no Python":             {"a.txt", both, ""},
		"large suffix":          {"a.PY", both, ""},
		"a bare suffix":         {"s/.py", both, ""},
		"empty":                 {"a.py", "", ""},
		"over a chunk's end":    {"a.py", strings.Repeat("x", 1021) + "airflow" + strings.Repeat("y", 1016) + "asset", "asset"},
		"zip":                   {"a.zip", pack, "dag"},
		"zip without a module":  {"a.zip", data, "dag"},
		"empty zip":             {"a.zip", string(zipOf(t)), "dag"},
		"no zip":                {"a.zip", "no zip", ""},
		"cut zip":               {"a.zip", pack[:len(pack)-1], ""},
		"zip behind a shebang":  {"a.pyz", "#!/usr/bin/python\n" + pack, "dag"},
		"zip of another name":   {"a.egg", pack, "dag"},
		"sheet":                 {"a.xlsx", data, ""},
		"only the end of a zip": {"a.zip", pack[len(pack)-22:], ""},
		"zip named as Python":   {"a.py", data, "dag"},
		"pointer":               {"a.py", pointer, "lfs"},
		"pointer of data":       {"a.bin", pointer, "lfs"},
		"old pointer":           {"a.zip", strings.Replace(pointer, "git-lfs", "hawser", 1), "lfs"},
		"text about LFS":        {"a.md", "version https://git-lfs.github.com/spec/v1 is the first line.", ""},
		"larger than a pointer": {"a.bin", pointer + strings.Repeat("x", pointerMax), ""},
		"override":              {"a.py", "x = 1 # \u202e", "bidi"},
		"isolate":               {"a.sql", "\u2066", "bidi"},
		"a mark of direction":   {"a.py", "x = '\u200f'", ""},
		"a binary":              {"a.bin", "\x00\u202e", ""},
		"not UTF-8":             {"a.bin", "\xff\u202e", ""},
	} {
		f := slipway.File{Path: tt.path}
		LookAt(tt.path, []byte(tt.content)).Mark(&f)
		if got := marks(f); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		c, err := Look(tt.path, strings.NewReader(tt.content), int64(len(tt.content)))
		if err != nil || c != LookAt(tt.path, []byte(tt.content)) {
			t.Errorf("%s: Look = %+v, %v, and LookAt %+v", name, c, err, LookAt(tt.path, []byte(tt.content)))
		}
	}
}

func marks(f slipway.File) string {
	var all []string
	for i, set := range []bool{f.DAG, f.Asset, f.LFS, f.Bidi} {
		if set {
			all = append(all, []string{"dag", "asset", "lfs", "bidi"}[i])
		}
	}
	return strings.Join(all, " ")
}

// A directory of names without end and a wrong place are no zip, and no panic.
func FuzzZip(f *testing.F) {
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x01", 18)))
	f.Add(append([]byte(centralSign), bytes.Repeat([]byte{0xff}, 80)...))
	pack := zipOf(f, "dag.py", "lib/größe.pyc")
	f.Add(pack)
	f.Add(pack[:len(pack)-22])
	f.Add(append([]byte("#!/usr/bin/python\n"), pack...))
	f.Add([]byte("PK\x06\x06" + strings.Repeat("\xff", 52) + "PK\x06\x07" + strings.Repeat("\x00", 16)))
	f.Fuzz(func(_ *testing.T, b []byte) {
		LookAt("a.zip", append(b, "PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00\x2e\x00\x00\x00\x00\x00\x00\x00\x00\x00"...))
	})
}

// broken is a file on a disk that fails from the nth read on.
type broken struct {
	*bytes.Reader
	left int
}

var errDisk = errors.New("the disk fails")

func (b *broken) ReadAt(p []byte, at int64) (int, error) {
	if b.left--; b.left < 0 {
		return 0, errDisk
	}
	return b.Reader.ReadAt(p, at)
}

// A file that cannot be read is not taken for one that Airflow would not load.
func TestLookFailsWithTheDisk(t *testing.T) {
	pack := zipOf(t, "a/data.txt", "dag.py")
	for n := 0; ; n++ {
		c, err := Look("a.zip", &broken{bytes.NewReader(pack), n}, int64(len(pack)))
		if err == nil {
			if n < 3 || !c.Zip || !c.Modules {
				t.Errorf("after %d reads: %+v", n, c)
			}
			return
		}
		if !errors.Is(err, errDisk) {
			t.Fatalf("after %d reads: %v", n, err)
		}
	}
}

// A directory is read in large steps, and not beyond what an archive without Zip64 has.
func TestFindModuleIsBounded(t *testing.T) {
	record := append([]byte(centralSign), make([]byte, centralSize-4)...)
	record[28], record[30] = 3, 1 // a name, and an extra field
	record = append(record, "a/b?"...)
	module := append([]byte(centralSign), make([]byte, centralSize-4)...)
	module[28] = 4
	module = append(module, "b.py"...)
	for name, tt := range map[string]struct {
		records       []byte
		length        int // 0 is that of records
		module, found bool
	}{
		"none":                {nil, 1000, false, false},
		"no module":           {bytes.Repeat(record, 5000), 0, false, true},
		"a module at the end": {append(bytes.Repeat(record, 5000), module...), 0, true, true},
		"a module beyond":     {append(bytes.Repeat(record, 10), module...), 10 * len(record), false, true},
		"too many":            {bytes.Repeat(record, recordsMax+9), 0, true, true},
		"too long":            {bytes.Repeat(record, 100), directoryMax + 1, true, true},
		"something else":      {append(bytes.Repeat(record, 100), make([]byte, 50)...), 0, false, true},
	} {
		if tt.length == 0 {
			tt.length = len(tt.records)
		}
		r := &countingReader{Reader: bytes.NewReader(tt.records)}
		module, found, err := findModule(r, 0, int64(tt.length))
		if err != nil || module != tt.module || found != tt.found {
			t.Errorf("%s: %t, %t, %v, want %t, %t", name, module, found, err, tt.module, tt.found)
		}
		if most := len(tt.records)>>16 + 5; r.reads > most {
			t.Errorf("%s: %d reads, want at most %d", name, r.reads, most)
		}
	}
}

type countingReader struct {
	*bytes.Reader
	reads int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(p, off)
}

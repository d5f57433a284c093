package archive

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packedBy returns an archive in testdata/tools, each made by the program in the
// name: GNU tar 1.34, bsdtar 3.6, Info-ZIP zip 3.0, xz 5.4, bzip2 1.0.8.
func packedBy(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "tools", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadArchivesOfTools(t *testing.T) {
	content := strings.Repeat("\x00", 150000) + "data" + strings.Repeat("\x00", 149996)
	for _, name := range []string{
		"bsdtar.tar.gz", "bsdtar-pipe.zip", "bsdtar-zip64.zip", "zip-fz.zip",
		"tar-V.tar.gz", "tar-V-posix.tar.gz", "tar-g.tar.gz", "tar-g-posix.tar.gz",
		"tar-S.tar.gz", "tar-S-0.0.tar.gz", "tar-S-0.1.tar.gz", "tar-S-1.0.tar.gz",
		"tar-J.tar.xz", "xz-blocks.tar.xz", "xz-streams.tar.xz", "tar-j.tar.bz2", "bzip2-streams.tar.bz2",
	} {
		t.Run(name, func(t *testing.T) {
			sel, got, err := taken(t, packedBy(t, name), DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if want := "a.py lib/b.py* s.bin"; paths(sel) != want || sel.Root != "dags" || len(sel.Outside) != 0 {
				t.Errorf("selected %s below %q, outside %q, want %s", paths(sel), sel.Root, sel.Outside, want)
			}
			if got["dags/a.py"] != "from airflow import DAG\n" || got["dags/lib/b.py"] != "x\n" || got["dags/s.bin"] != content {
				t.Errorf("take got %d files of another content", len(got))
			}
		})
	}
}

func TestIsArchive(t *testing.T) {
	plain := tarOf(project...)
	gz, zip := gzipped(plain), zipOf(zippedProject()...)
	for name, tt := range map[string]struct {
		file string
		head []byte
		want bool
	}{
		"by name":                   {"dags.tar.gz", []byte("x"), true},
		"by name in capitals":       {"DAGS.ZIP", nil, true},
		"xz by name":                {"dags.tar.xz", nil, true},
		"bzip2 by name":             {"dags.tbz2", nil, true},
		"7z by name":                {"dags.7z", nil, true},
		"tar by content":            {"dags.bin", plain, true},
		"tar of the old form":       {"a.b.c", oldTar(project...), true},
		"tar.gz by content":         {"bundle.2026", gz, true},
		"tar.gz as .gz":             {"dags.gz", gz, true},
		"tar.gz as .zip":            {"dags.zip", gz, true},
		"tar.zst by content":        {"dags", zstandard(plain), true},
		"tar.xz by content":         {"dags.xz", packedBy(t, "tar-J.tar.xz"), true},
		"tar.bz2 by content":        {"dags.bin", packedBy(t, "tar-j.tar.bz2"), true},
		"zip by content":            {"dags.zip.download", zip, true},
		"7z by content":             {"dags", []byte("7z\xbc\xaf\x27\x1c\x00\x04"), true},
		"in a folder":               {"x/dags.tar.gz", gz, false},
		"a text":                    {"a.py", []byte("import airflow"), false},
		"a text without an end":     {"README", []byte("hello"), false},
		"a packed table":            {"prices.csv.gz", gzipped([]byte(strings.Repeat("1,2,3\n", 200))), false},
		"a packed table by xz":      {"prices.csv.xz", packedBy(t, "text.xz"), false},
		"a packed table by zstd":    {"prices.parquet.zst", zstandard([]byte("x")), false},
		"a document":                {"report.xlsx", zip, false},
		"a wheel":                   {"lib-1.0-py3-none-any.whl", zip, false},
		"zeros":                     {"zeros", make([]byte, HeadLen), false},
		"nothing":                   {"empty", nil, false},
		"a header of gzip, no more": {"x", []byte("\x1f\x8b"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsArchive(tt.file, tt.head[:min(len(tt.head), HeadLen)]); got != tt.want {
				t.Errorf("IsArchive(%q) = %t, want %t", tt.file, got, tt.want)
			}
		})
	}
}

// The upload client asks the same question before anything is sent.
func TestUploadClientKnowsTheSameEndings(t *testing.T) {
	script, err := os.ReadFile(filepath.Join("..", "..", "static", "pack.js"))
	if err != nil {
		t.Fatal(err)
	}
	all := strings.NewReplacer(".", `\.`).Replace(strings.Join(archiveEndings, "|"))
	if want := `/\.(` + strings.ReplaceAll(strings.TrimPrefix(all, `\.`), `|\.`, "|") + `)$/i`; !strings.Contains(string(script), want) {
		t.Errorf("static/pack.js has no expression %s", want)
	}
}

// Files without a mode are known as such, unless another file of the archive has one:
// git archive says only of executable files that they are.
func TestReadModes(t *testing.T) {
	none := func(it zipItem) zipItem { it.central = func(h []byte) { le.PutUint32(h[38:], 0) }; return it }
	windows := func(it zipItem) zipItem { it.host = 'W'; return it }
	plain, exec := zipItem{testEntry: testEntry{name: "dags/a.py"}}, zipItem{testEntry: testEntry{name: "dags/run.sh", mode: 0o755}}
	for name, tt := range map[string]struct {
		data []byte
		want string // modes by file: x, -, or ? for unknown
	}{
		"tar":                {tarOf(plain.testEntry, exec.testEntry), "-x"},
		"tar without modes":  {tarOf(testEntry{name: "dags/a.py", mode: 0o1000}, testEntry{name: "dags/run.sh", mode: 0o4000}, folderItem("dags")), "??"},
		"zip of Unix":        {zipOf(plain, exec), "-x"},
		"zip of Windows":     {zipOf(windows(plain), windows(exec)), "??"},
		"zip without modes":  {zipOf(none(plain), none(exec)), "??"},
		"zip of git archive": {zipOf(windows(plain), exec), "-x"},
		"a link has no mode": {zipOf(windows(plain), windows(exec), zipItem{testEntry: linkItem("dags/z", "a.py")}), "??-"},
	} {
		t.Run(name, func(t *testing.T) {
			sel, _, err := taken(t, tt.data, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, e := range sel.Entries {
				switch {
				case e.NoMode:
					got += "?"
				case e.Exec:
					got += "x"
				default:
					got += "-"
				}
			}
			if got != tt.want {
				t.Errorf("modes %s, want %s", got, tt.want)
			}
		})
	}
}

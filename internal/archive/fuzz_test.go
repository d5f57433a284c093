package archive

import (
	"archive/zip"
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// FuzzRead feeds Read with damaged archives: it never panics, it refuses in
// sentences only, and what it selects can be a version. With mend, the checksums
// of tar headers are made right again, so that more than these is tried.
func FuzzRead(f *testing.F) {
	ignoring := append([]testEntry{{name: ".slipwayignore", body: "*.csv\n!keep.csv\nscratch/\n!*/\na**b\n[]a-[:alpha:]\n**/**/*a*a\\\n"}, {name: "dags/x.csv"}}, project...)
	for _, data := range [][]byte{
		tarOf(project...), gzipped(tarOf(project...)), zstandard(tarOf(project...)), zipOf(zippedProject()...),
		tarOf(under("repo-main/", project)...), tarOf(ignoring...), zipOf(zipEntries(ignoring...)...), zip64Of([]testEntry{entry}, nil), overlapping(),
		zipOf(zipItem{testEntry: entry, flags: 8, descriptor: descriptorOf(entry.body, "PK\x07\x08")}),
		zipOf(zipItem{testEntry: entry, packed: deflate("less"), method: zip.Deflate}),
		tarOf(linkItem("a/l", "../b"), linkItem("b/m", "../a"), testEntry{name: "a/x"}),
		tarOf(longNames(3)...),
		splitZip(3), hiddenZip(3), longDirectory(nil, nil), beforeAll(),
		zip64Of([]testEntry{entry}, func(_, locator []byte) { locator[16]++ }),
		tarOf(linksOf(chain(MaxHops-1, 1, 2))...), tarOf(linksOf(chain(MaxHops, 1, 2))...),
		tarOf(linkItem("é/a", "b/c/../../gone/.."), linkItem("é/b", "."), linkItem("É/b", "../é/b/b/b")),
	} {
		f.Add(data, false)
		f.Add(data, true)
	}
	tools, err := filepath.Glob("testdata/tools/*")
	if err != nil || len(tools) == 0 {
		f.Fatalf("no archives of tools: %v", err)
	}
	for _, name := range tools {
		f.Add(packedBy(f, filepath.Base(name)), false)
	}
	lim := Limits{Archive: 1 << 20, Unpacked: 1 << 20, Files: 200, Path: 300, Name: 100}
	f.Fuzz(func(t *testing.T, data []byte, mend bool) {
		if mend {
			data = mended(data)
		}
		sizes := map[string]int64{}
		sel, err := Read(t.Context(), bytes.NewReader(data), int64(len(data)), lim, Search{}, func(e Entry, r io.Reader) (bool, error) {
			n, err := io.Copy(io.Discard, r)
			sizes[e.Name] = n
			return strings.HasSuffix(e.Name, ".py") && n > 0, err
		})
		if err != nil {
			if kind, _ := slipway.Explain(err); kind == slipway.Internal {
				t.Fatalf("not a sentence for the user: %v", err)
			}
			return
		}
		if sel.Inner != "" {
			return
		}
		checkSelection(t, sel, sizes, lim)
	})
}

// linksOf returns files, all symlinks, as entries of an archive.
func linksOf(files []slipway.File) (items []testEntry) {
	for _, f := range files {
		items = append(items, linkItem(f.Path, f.Link))
	}
	return items
}

func mended(data []byte) []byte {
	data = bytes.Clone(data)
	for at := range len(data) / tarBlock {
		h := data[at*tarBlock:][:tarBlock]
		if string(h[257:262]) == "ustar" {
			sumTar(h)
		}
	}
	return data
}

func checkSelection(t *testing.T, sel Selection, sizes map[string]int64, lim Limits) {
	t.Helper()
	var files []slipway.File
	var total int64
	for _, e := range sel.Entries {
		n, ok := sizes[e.Name]
		if e.Link == "" && (!ok || n != e.Size) {
			t.Errorf("%q was selected with %d bytes; take got it: %t, with %d bytes", e.Name, e.Size, ok, n)
		}
		if !filepath.IsLocal(e.Path) || filepath.Clean(e.Path) != e.Path || join(sel.Root, e.Path) != e.Name {
			t.Errorf("%q is not a clean path for %q", e.Path, e.Name)
		}
		files = append(files, slipway.File{Path: e.Path, Size: e.Size, Link: e.Link})
		total += e.Size
	}
	if err := CheckVersion(files, lim); err != nil {
		t.Errorf("selected what cannot be a version: %v", err)
	}
	if total > lim.Unpacked || len(files) > lim.Files || len(files) == 0 {
		t.Errorf("selected %d files with %d bytes", len(files), total)
	}
}

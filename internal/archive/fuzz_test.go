package archive

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// FuzzRead feeds Read with damaged archives: it never panics, it refuses in
// sentences only, and what it selects can be a version. With mend, the checksums
// of tar headers are made right again, so that more than these is tried. how
// chooses one of the searches.
func FuzzRead(f *testing.F) {
	for _, data := range slices.Concat(plainSeeds(), defectSeeds(), namedSeeds(), xzSeeds()) {
		f.Add(data, false, byte(0))
		f.Add(data, true, byte(0))
	}
	tools, err := filepath.Glob("testdata/tools/*")
	if err != nil || len(tools) == 0 {
		f.Fatalf("no archives of tools: %v", err)
	}
	for _, name := range tools {
		packed := packedBy(f, filepath.Base(name))
		f.Add(packed, false, byte(0))
		// As an archive in an artifact, under the name that is looked for and under another.
		inside := zipOf(zipEntries(testEntry{name: innerName, body: string(packed)}, testEntry{name: "sha256sum.txt"})...)
		f.Add(inside, false, byte(0))
		f.Add(inside, false, byte(1))
		f.Add(tarOf(testEntry{name: "out/" + filepath.Base(name), body: string(packed)}), false, byte(0))
	}
	for _, data := range rootSeeds() {
		for how := range fuzzSearches {
			f.Add(data, false, byte(how))
		}
	}
	lim := Limits{Archive: 1 << 20, Unpacked: 1 << 20, Files: 200, Path: 300, Name: 100}
	f.Fuzz(func(t *testing.T, data []byte, mend bool, how byte) {
		if mend {
			data = mended(data)
		}
		sizes := map[string]int64{}
		search := fuzzSearches[int(how)%len(fuzzSearches)]
		sel, err := Read(t.Context(), bytes.NewReader(data), int64(len(data)), lim, search, func(e Entry, r io.Reader) (bool, error) {
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

// innerName is the archive inside that a search of FuzzRead reads.
const innerName = "dags.tar"

// fuzzSearches are the ways in which FuzzRead looks for the dags folder.
var fuzzSearches = []Search{
	{}, {Inside: innerName}, {Root: "dags"}, {Root: slipway.WholeArchive}, {Add: true},
	{Add: true, Folder: "team_a", Known: func(folder string) bool { return folder == "lib" }},
}

// plainSeeds are archives as tools write them, and damaged ones.
func plainSeeds() [][]byte {
	ignoring := append([]testEntry{{name: ".slipwayignore", body: "*.csv\n!keep.csv\nscratch/\n!*/\na**b\n[]a-[:alpha:]\n**/**/*a*a\\\n"}, {name: "dags/x.csv"}}, project...)
	return [][]byte{
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
		tarOf(), zipOf(), tarOf(folderItem("dags/")), zipOf(zipEntries(folderItem("dags/"))...), // without a file
		withSizeOf(entry, -1), withSizeOf(entry, 1<<62),
	}
}

// withSizeOf is a tar archive of one entry that states another size.
func withSizeOf(it testEntry, size int64) []byte { return withSize(tarOf(it), size) }

// defectSeeds are archives with entries that cannot be deployed: inside the dags
// folder, and all of them beside it.
func defectSeeds() (list [][]byte) {
	good := []testEntry{{name: "dags/a.py", body: "a"}, {name: "dags/lib/b.py", body: "b"}}
	beside := slices.Clone(good)
	inside, outside := defective("dags/"), defective("logs/")
	for _, name := range slices.Sorted(maps.Keys(inside)) {
		list = append(list, tarOf(append(inside[name], good...)...))
		if inZip(inside[name]) {
			list = append(list, zipOf(zipEntries(append(good, inside[name]...)...)...))
		}
		beside = append(beside, outside[name]...)
	}
	return append(list, tarOf(beside...), tarOf(under("repo-main/", beside)...))
}

// namedSeeds are archives with names and texts that programs read in several ways.
func namedSeeds() [][]byte {
	const raw = "dags/gr\x94\xe1e.py" // code page 437
	extra := pathField(raw, "dags/größe.py")
	named := func(it zipItem) []byte {
		it.testEntry = testEntry{name: raw, body: "x"}
		return zipOf(it)
	}
	hidden := []testEntry{
		{name: "dags/a\u202eyp.txt", body: "x = 1 # \u2066\r\n"}, {name: "dags/\u200b.py", body: "\ufeffx\r"}, {name: "dags/e\u0301.py"}, {name: "dags/\u00e9.py"},
		{name: "dags/masse.py"}, {name: "dags/maße.py"}, {name: "dags/Icon\r"}, {name: "dags/a.py~"}, {name: "dags/x:Zone.Identifier"},
	}
	windows := []testEntry{{name: `dags\a.py`, body: "x"}, {name: `dags\lib\b.py`}, {name: `.slipwayignore`, body: "\xff\xfe*\x00"}}
	return [][]byte{
		named(zipItem{dirExtra: extra, localExtra: extra}), named(zipItem{dirExtra: extra}), named(zipItem{localExtra: extra}),
		named(zipItem{host: 'W', dirExtra: pathField(raw, `dags\lib\größe.py`)}), named(zipItem{dirExtra: pathField(raw, "../evil.py")}),
		named(zipItem{dirExtra: extra[:8]}), named(zipItem{dirExtra: pathField(raw, "dags/\xff.py")}),
		named(zipItem{dirExtra: append([]byte{'U', 'T', 1, 0, 3}, extra...)}),
		tarOf(hidden...), tarOf(hidden[0]), zipOf(zipEntries(hidden...)...), tarOf(windows[:2]...), zipOf(zipEntries(windows[:2]...)...), tarOf(windows...),
		tarOf(testEntry{name: "dags/a", body: strings.Repeat("x", 1<<16), mode: 0o755}, testEntry{name: "dags/.airflowignore", body: "*"}),
		tarOf(hole("dags/h", 3)...), tarOf(ignoreFiles(3)...),
	}
}

// rootSeeds are archives whose dags folder is not the first thing in them.
func rootSeeds() (list [][]byte) {
	for _, names := range []string{
		"dags -> src,src/a.py", "dags -> gone", "dags -> ../x,a.py", "dags -> now,now -> dags", "repo/airflow/dags/a.py,repo/README.md,repo/tests/dags/b.py",
		"DAGs/a.py,x", "README.md,repo-main/dags/a.py", "repo-main/a.py,repo-main/lib/no_b.py", "one/dags/a.py,two/dags/b.py", "dags/dags/team_a/a.py", "dags.tar", "a.tar.gz,b.zip",
	} {
		items := dagFiles(strings.Split(names, ",")...)
		list = append(list, tarOf(items...), zipOf(zipEntries(items...)...))
	}
	return list
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
	if total > lim.Unpacked || len(files) > lim.Files {
		t.Errorf("selected %d files with %d bytes", len(files), total)
	}
}

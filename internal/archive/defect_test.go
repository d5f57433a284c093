package archive

import (
	"archive/tar"
	"hash/crc32"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// defective are entries that cannot be deployed, by name.
func defective(dir string) map[string][]testEntry {
	return map[string][]testEntry{
		"hard link":         {{name: dir + "hard", kind: tar.TypeLink, link: "dags/a.py"}},
		"fifo":              {{name: dir + "pipe", kind: tar.TypeFifo}},
		"device":            {{name: dir + "null", kind: tar.TypeChar}},
		"second volume":     {{name: dir + "rest", kind: 'M', body: "x"}},
		"unknown kind":      {{name: dir + "odd", kind: 'W'}},
		"case twins":        {{name: dir + "A.txt"}, {name: dir + "a.txt"}},
		"twice":             {{name: dir + "x", body: "1"}, {name: dir + "x", body: "2"}},
		"Unicode forms":     {{name: dir + "\u00e9"}, {name: dir + "e\u0301"}},
		"Latin-1":           {{name: dir + "\xe9t\xe9.log"}},
		"control character": {{name: dir + "a\nb"}},
		"long name":         {{name: dir + strings.Repeat("n", 256)}},
		"long path":         {{name: dir + strings.Repeat(strings.Repeat("p", 200)+"/", 16)}},
		"deep path":         {{name: dir + strings.Repeat("d/", 140) + "x"}},
		"file and folder":   {{name: dir + "x"}, {name: dir + "x/y"}},
		"folder and file":   {folderItem(dir + "x/"), {name: dir + "x"}},
		"through a link":    {linkItem(dir+"l", "elsewhere"), {name: dir + "l/x"}},
		"folder by a link":  {linkItem(dir+"l", "elsewhere"), folderItem(dir + "l/")},
		"link out":          {linkItem(dir+"l", "../../etc/passwd")},
		"absolute link":     {linkItem(dir+"l", "/etc/passwd")},
		"link in a circle":  {linkItem(dir+"l", "l")},
		"link to nowhere":   {linkItem(dir+"l", "")},
		"link to Latin-1":   {linkItem(dir+"l", "\xe9")},
		"backslash":         {{name: dir + `a\b`}},
		"slash behind":      {{name: dir + "x/", body: "x"}},
		"large file":        {{name: dir + "large", body: strings.Repeat("x", 15_000)}},
		"many bytes":        {{name: dir + "b1", body: strings.Repeat("x", 6000)}, {name: dir + "b2", body: strings.Repeat("x", 6000)}},
		"many files":        {{name: dir + "1"}, {name: dir + "2"}, {name: dir + "3"}, {name: dir + "4"}, {name: dir + "5"}, {name: dir + "6"}},
	}
}

// Limits and refusals are about what is deployed: the same entries are refused in the
// dags folder and counted beside it, before and after, in every format, and with a
// folder around everything.
func TestReadRefusesOnlyWhatIsDeployed(t *testing.T) {
	lim := DefaultLimits()
	lim.Unpacked, lim.Files, lim.Path = 10_000, 5, 3072
	good := []testEntry{{name: "dags/a.py", body: "a"}, {name: "dags/lib/b.py", body: "b"}}
	inside, beside := defective("dags/"), defective("logs/")
	ignored, atRoot := defective("dags/data/"), defective("")
	rule := testEntry{name: ".slipwayignore", body: "data/\n"}
	for name := range inside {
		for format, pack := range map[string]func(items ...testEntry) []byte{
			"tar": tarOf,
			"zip": func(items ...testEntry) []byte { return zipOf(zipEntries(items...)...) },
		} {
			if format == "zip" && !inZip(inside[name]) {
				continue
			}
			for order, data := range map[string][]byte{
				"beside, before":     pack(append(beside[name], good...)...),
				"beside, after":      pack(append(good, beside[name]...)...),
				"at the root":        pack(append(atRoot[name], good...)...),
				"beside, wrapped":    pack(under("repo/", append(beside[name], good...))...),
				"ignored":            pack(append(append([]testEntry{rule}, good...), ignored[name]...)...),
				"ignored, rule last": pack(append(append(ignored[name], good...), rule)...),
			} {
				sel, got, err := taken(t, data, lim)
				root := strings.TrimSuffix(sel.Root, "dags")
				if err != nil || paths(sel) != "a.py lib/b.py" || got[root+"dags/a.py"] != "a" || got[root+"dags/lib/b.py"] != "b" {
					t.Errorf("%s, %s, %s: selected %q, error %v", format, name, order, paths(sel), err)
				}
				if left := len(sel.Outside) + sel.LeftOutFiles; left == 0 && !strings.HasPrefix(name, "folder") {
					t.Errorf("%s, %s, %s: nothing was counted", format, name, order)
				}
			}
			for order, data := range map[string][]byte{
				"inside, first": pack(append(inside[name], good...)...),
				"inside, last":  pack(append(good, inside[name]...)...),
				"alone":         pack(append([]testEntry{{name: "x.py"}, {name: "y/z.py"}}, atRoot[name]...)...),
			} {
				if name == "large file" && order == "alone" {
					continue // nothing to tell
				}
				_, _, err := taken(t, data, lim)
				kind, text := slipway.Explain(err)
				if err == nil || kind != slipway.Invalid && kind != slipway.TooLarge {
					t.Errorf("%s, %s, %s: error %v of kind %v %s, want a refusal", format, name, order, err, kind, text)
				}
			}
		}
	}
}

// inZip reports whether a zip archive can hold the items.
func inZip(items []testEntry) bool {
	for _, it := range items {
		switch it.kind {
		case tar.TypeLink, tar.TypeChar, 'M', 'W':
			return false
		}
	}
	return true
}

func TestReadZipRefusesOnlyWhatIsDeployed(t *testing.T) {
	good := zipItem{testEntry: entry}
	for name, change := range map[string]func(it *zipItem){
		"encrypted":           func(it *zipItem) { it.flags = 1 },
		"method":              func(it *zipItem) { it.method = 93 },
		"damaged":             func(it *zipItem) { it.packed = []byte("y") },
		"damaged link":        func(it *zipItem) { it.kind, it.link, it.packed = tar.TypeSymlink, "x", []byte("y") },
		"folder with content": func(it *zipItem) { it.name += "/" },
	} {
		for _, dir := range []string{"logs/", "dags/"} {
			it := zipItem{testEntry: testEntry{name: dir + "x", body: "x"}}
			change(&it)
			sel, _, err := taken(t, zipOf(it, good), DefaultLimits())
			if dir == "dags/" {
				wantRefusal(t, err, slipway.Invalid, "dags/x")
			} else if err != nil || paths(sel) != "a.py" || len(sel.Outside) != 1 {
				t.Errorf("%s: selected %s, outside %q, error %v", name, paths(sel), sel.Outside, err)
			}
		}
	}
}

// The directory says how much a zip archive unpacks to, before anything is unpacked.
func TestReadRefusesLargeZipByItsDirectory(t *testing.T) {
	lim := DefaultLimits()
	lim.Unpacked = 1000
	var items []zipItem
	for _, name := range []string{"dags/a.py", "dags/b.bin", "dags/c.bin"} {
		items = append(items, deflated(zipItem{testEntry: testEntry{name: name, body: strings.Repeat("x", 400)}}))
	}
	_, got, err := taken(t, zipOf(items...), lim)
	wantRefusal(t, err, slipway.TooLarge, `"dags/c.bin"`, "1000 bytes")
	if len(got) != 0 {
		t.Errorf("%d files were unpacked", len(got))
	}
}

// The rest of what is deployed is read again where more than may be deployed came
// before.
func TestReadFindsDagsBehindMuchElse(t *testing.T) {
	lim := DefaultLimits()
	lim.Unpacked = 10_000
	data := func(dir string) []testEntry {
		var list []testEntry
		for _, name := range []string{"1", "2", "3", "x.py"} {
			list = append(list, testEntry{name: dir + "data/" + name, body: strings.Repeat(name[:1], 5000)})
		}
		return append(list, testEntry{name: dir + "dags/a.py", body: strings.Repeat("a", 900)}, testEntry{name: dir + "dags/b", body: "b"})
	}
	for name, archive := range map[string][]byte{
		"tar": tarOf(data("")...), "tar, wrapped": gzipped(tarOf(data("repo/")...)),
		"zip": zipOf(zipEntries(data("")...)...), "zip, wrapped": zipOf(zipEntries(data("repo/")...)...),
	} {
		sel, got, err := taken(t, archive, lim)
		if err != nil || paths(sel) != "a.py b" || got[sel.Root+"/a.py"] != strings.Repeat("a", 900) || got[sel.Root+"/b"] != "b" {
			t.Errorf("%s: selected %s of %q, take got %d files, error %v", name, paths(sel), sel.Root, len(got), err)
		}
	}
}

// pathField returns the extra field of Info-ZIP with a name in UTF-8.
func pathField(of, name string) []byte {
	b := []byte{0x75, 0x70, byte(5 + len(name)), 0, 1}
	return append(le.AppendUint32(b, crc32.ChecksumIEEE([]byte(of))), name...)
}

func TestReadZipNames(t *testing.T) {
	const raw, utf = "dags/gr\x94\xe1e.py", "dags/größe.py" // code page 437
	for name, tt := range map[string]struct {
		item zipItem
		want string // a path, or part of the refusal
	}{
		"in the extra field":     {zipItem{dirExtra: pathField(raw, utf), localExtra: pathField(raw, utf)}, "größe.py"},
		"in the directory alone": {zipItem{dirExtra: pathField(raw, utf)}, "größe.py"},
		"behind another field":   {zipItem{dirExtra: append([]byte{'U', 'T', 1, 0, 3}, pathField(raw, utf)...)}, "größe.py"},
		"of Windows":             {zipItem{host: 'W', dirExtra: pathField(raw, `dags\lib\größe.py`)}, "lib/größe.py"},
		"of another name":        {zipItem{dirExtra: pathField("dags/x.py", utf)}, "UTF-8"},
		"another in the header":  {zipItem{dirExtra: pathField(raw, utf), localExtra: pathField(raw, "dags/evil.py")}, "agree"},
		"only in the header":     {zipItem{localExtra: pathField(raw, "dags/evil.py")}, "agree"},
		"not UTF-8":              {zipItem{dirExtra: pathField(raw, "dags/\xff.py")}, "UTF-8"},
		"out of the archive":     {zipItem{dirExtra: pathField(raw, "../evil.py")}, `".."`},
		"of an unknown version":  {zipItem{dirExtra: func() []byte { b := pathField(raw, utf); b[4] = 2; return b }()}, "UTF-8"},
		"cut off":                {zipItem{dirExtra: pathField(raw, utf)[:8]}, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.item.testEntry = testEntry{name: raw, body: "x"}
			sel, _, err := taken(t, zipOf(tt.item), DefaultLimits())
			if strings.HasSuffix(tt.want, ".py") {
				if err != nil || paths(sel) != tt.want {
					t.Errorf("selected %q, error %v, want %s", paths(sel), err, tt.want)
				}
				return
			}
			wantRefusal(t, err, slipway.Invalid, tt.want)
		})
	}
}

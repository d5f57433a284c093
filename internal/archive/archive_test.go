package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

var project = []testEntry{
	{name: "dags/a.py", body: "a"},
	{name: "dags/bin/run.sh", body: "run", mode: 0o4755},
	linkItem("dags/latest.py", "a.py"),
	{name: "plugins/p.py", body: "p"},
	{name: "plugins/more/q.py", body: "q"},
	{name: "Dockerfile", body: "FROM"},
}

func zippedProject() []zipItem {
	list := zipEntries(project...)
	list[0] = deflated(list[0])
	return list
}

func under(wrapper string, items []testEntry) []testEntry {
	var list []testEntry
	for _, it := range items {
		it.name = wrapper + it.name
		list = append(list, it)
	}
	return list
}

func libraryZip(t testing.TB, items ...testEntry) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, it := range items {
		f, err := w.Create(it.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, it.body); err != nil {
			t.Fatal(err)
		}
	}
	return done(&b, w.Close())
}

func TestReadFormats(t *testing.T) {
	plain := tarOf(project...)
	half := len(plain) / 2
	for name, data := range map[string][]byte{
		"tar":                       plain,
		"tar with a longer end":     append(bytes.Clone(plain), make([]byte, 20*tarBlock)...),
		"tar with one block at end": plain[:len(plain)-tarBlock],
		"tar of the old form":       oldTar(project...),
		"tar.gz":                    gzipped(plain),
		"tar.gz of two members":     append(gzipped(plain[:half]), gzipped(plain[half:])...),
		"tar.gz with padding":       append(gzipped(plain), 0, 0, 0),
		"tar.zst":                   zstandard(plain),
		"tar.zst of two frames":     append(zstandard(plain[:half]), zstandard(plain[half:])...),
		"zip":                       zipOf(zippedProject()...),
	} {
		t.Run(name, func(t *testing.T) {
			sel, got, err := taken(t, data, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if want := "a.py bin/run.sh* latest.py->a.py"; paths(sel) != want || sel.Root != "dags" {
				t.Errorf("selected %s below %q, want %s", paths(sel), sel.Root, want)
			}
			if want := []string{"Dockerfile", "plugins/"}; !slices.Equal(sel.Outside, want) {
				t.Errorf("outside %q, want %q", sel.Outside, want)
			}
			if len(got) != 2 || got["dags/a.py"] != "a" || got["dags/bin/run.sh"] != "run" {
				t.Errorf("take got %q", got)
			}
		})
	}
}

// oldTar returns an archive whose headers know no "ustar".
func oldTar(items ...testEntry) []byte {
	data := tarOf(items...)
	for at := range len(data) / tarBlock {
		h := data[at*tarBlock:][:tarBlock]
		if string(h[257:262]) == "ustar" {
			copy(h[257:], make([]byte, 8))
			sumTar(h)
		}
	}
	return data
}

func TestReadPlace(t *testing.T) {
	git := testEntry{name: "pax_global_header", kind: tar.TypeXGlobalHeader, body: "52 comment=0123456789012345678901234567890123456789\n"}
	long := "dags/" + strings.Repeat("folder/", 30) + "a.py"
	for name, tt := range map[string]struct {
		data    []byte
		root    string
		want    string
		outside string
		left    string
	}{
		"no dags folder":          {data: tarOf(testEntry{name: "a.py"}, testEntry{name: "lib/b.py"}), want: "a.py lib/b.py"},
		"names with ./":           {data: tarOf(folderItem("./"), testEntry{name: "./dags/./a.py"}, testEntry{name: ".//b"}), root: "dags", want: "a.py", outside: "b"},
		"empty tar":               {data: tarOf()},
		"empty tar.gz":            {data: gzipped(tarOf())},
		"empty zip":               {data: zipOf()},
		"empty dags folder":       {data: tarOf(folderItem("dags"), testEntry{name: "Dockerfile"}), root: "dags", outside: "Dockerfile"},
		"only ignored":            {data: tarOf(testEntry{name: "dags/x.pyc"}), left: "dags/x.pyc 1"},
		"wrapper":                 {data: tarOf(under("repo-main/", project)...), root: "repo-main/dags", want: "a.py bin/run.sh* latest.py->a.py", outside: "repo-main/Dockerfile repo-main/plugins/"},
		"as GitHub packs it":      {data: gzipped(tarOf(append([]testEntry{git, folderItem("repo-main/")}, under("repo-main/", project)...)...)), root: "repo-main/dags", want: "a.py bin/run.sh* latest.py->a.py", outside: "repo-main/Dockerfile repo-main/plugins/"},
		"wrapper without dags":    {data: tarOf(testEntry{name: "w/a.py"}, testEntry{name: "w/lib/b.py"}), want: "w/a.py w/lib/b.py"},
		"two wrappers":            {data: tarOf(testEntry{name: "w/dags/a.py"}, testEntry{name: "v/b.py"}), root: "w/dags", want: "a.py", outside: "v/"},
		"second wrapper ignored":  {data: tarOf(testEntry{name: "__MACOSX/w/._a.py"}, testEntry{name: "w/dags/a.py"}), root: "w/dags", want: "a.py", left: "__MACOSX/ 1"},
		"dags in other case":      {data: tarOf(testEntry{name: "DAGs/a.py"}), root: "DAGs", want: "a.py"},
		"dags and wrapper":        {data: tarOf(testEntry{name: "w/dags/b.py"}, testEntry{name: "dags/a.py"}), root: "dags", want: "a.py", outside: "w/"},
		"wrapper in a zip":        {data: zipOf(zipEntries(under("w/", project)...)...), root: "w/dags", want: "a.py bin/run.sh* latest.py->a.py", outside: "w/Dockerfile w/plugins/"},
		"dags is a link":          {data: tarOf(testEntry{name: "src/a.py"}, linkItem("dags", "src")), root: "src", want: "a.py", outside: "dags"},
		"folder twice":            {data: tarOf(folderItem("dags"), folderItem("dags/"), testEntry{name: "dags/a.py"}), root: "dags", want: "a.py"},
		"folder of size -1":       {data: append(withSize(tarBody(folderItem("dags/")), -1), tarOf(testEntry{name: "dags/a.py"})...), root: "dags", want: "a.py"},
		"folder as an empty file": {data: tarOf(testEntry{name: "dags/"}, testEntry{name: "dags/a.py"}), root: "dags", want: "a.py"},
		"long name":               {data: tarOf(testEntry{name: long}), root: "dags", want: long[5:]},
		"names beyond ASCII":      {data: tarOf(testEntry{name: "dags/größe_日本.py"}), root: "dags", want: "größe_日本.py"},
		"zip by Windows":          {data: zipOf(zipItem{testEntry: testEntry{name: `dags\lib\`}, host: 'W'}, zipItem{testEntry: testEntry{name: `dags\lib\a.py`, body: "a", mode: 0o755}, host: 'W'}), root: "dags", want: "lib/a.py"},
		"zip with backslashes":    {data: zipOf(zipEntries(testEntry{name: `dags\a.py`}, testEntry{name: `dags\lib\b.py`}, testEntry{name: "README"})...), root: "dags", want: "a.py lib/b.py", outside: "README"},
		"tar with backslashes":    {data: tarOf(folderItem(`dags\`), folderItem(`dags\lib/`), testEntry{name: `dags\lib\b.py`}, linkItem(`dags\l`, `lib\b.py`)), root: "dags", want: "l->lib/b.py lib/b.py"},
		"backslashes in a folder": {data: tarOf(testEntry{name: `.\repo\dags\a.py`}, testEntry{name: `.\repo\x.txt`}), root: "repo/dags", want: "a.py", outside: "repo/x.txt"},
		"backslashes outside":     {data: tarOf(testEntry{name: "dags/a.py"}, testEntry{name: `logs\x`}), root: "dags", want: "a.py", outside: "logs/"},
		"backslash ignored":       {data: tarOf(testEntry{name: ".slipwayignore", body: "data/\n"}, testEntry{name: "dags/a.py"}, testEntry{name: `dags/data/a\b`}), root: "dags", want: "a.py", left: "dags/data/ 1"},
		"backslash left out":      {data: tarOf(testEntry{name: "dags/a.py"}, testEntry{name: `dags/.git\x`}), root: "dags", want: "a.py", left: "dags/.git/ 1"},
		"decomposed names":        {data: tarOf(testEntry{name: "dags/gro\u0308\u00dfe.py"}, linkItem("dags/l", "gro\u0308\u00dfe.py"), testEntry{name: "dags/\u1112\u1161\u11ab/x"}), root: "dags", want: "gr\u00f6\u00dfe.py l->gr\u00f6\u00dfe.py \ud55c/x"},
		"ß and ss":                {data: tarOf(testEntry{name: "dags/maße.py"}, testEntry{name: "dags/masse.py"}, testEntry{name: "dags/ŉ.py"}, testEntry{name: "dags/ʼn.py"}, testEntry{name: "dags/ﬁ.py"}, testEntry{name: "dags/fi.py"}), root: "dags", want: "fi.py masse.py maße.py ŉ.py ʼn.py ﬁ.py"},
		"left by systems":         {data: tarOf(testEntry{name: "dags/a.py"}, testEntry{name: "Icon\r"}, testEntry{name: "dags/Icon\r"}, testEntry{name: "dags/a.py:Zone.Identifier"}, testEntry{name: "dags/Thumbs.db"}, testEntry{name: "dags/desktop.ini"}), root: "dags", want: "a.py", left: "Icon\r 1,dags/Icon\r 1,dags/Thumbs.db 1,dags/a.py:Zone.Identifier 1,dags/desktop.ini 1"},
		"left by editors":         {data: tarOf(testEntry{name: "dags/a.py"}, testEntry{name: "dags/a.py~"}, testEntry{name: "dags/.a.py.swp"}, testEntry{name: "dags/#a.py#"}, linkItem("dags/.#a.py", "me@host.1:2"), testEntry{name: "dags/.ipynb_checkpoints/a-checkpoint.py"}), root: "dags", want: "a.py", left: "dags/#a.py# 1,dags/.#a.py 1,dags/.a.py.swp 1,dags/.ipynb_checkpoints/ 1,dags/a.py~ 1"},
		"zip of the library":      {data: libraryZip(t, testEntry{name: "dags/"}, testEntry{name: "dags/a.py", body: "a"}, testEntry{name: "b"}), root: "dags", want: "a.py", outside: "b"},
		"left out":                {data: tarOf(testEntry{name: "dags/a.py"}, testEntry{name: "dags/__pycache__/a.pyc"}, testEntry{name: "dags/__pycache__/b.pyc"}, testEntry{name: "dags/c.pyc"}, folderItem(".git"), testEntry{name: ".git/x", kind: tar.TypeLink, link: "y"}, linkItem(".venv/bin/python", "/usr/bin/python"), testEntry{name: "dags/node_modules/x/.DS_Store"}, testEntry{name: "dags/._a.py"}), root: "dags", want: "a.py", left: ".git/ 1,.venv/ 1,dags/._a.py 1,dags/__pycache__/ 2,dags/c.pyc 1,dags/node_modules/ 1"},
		"odd links":               {data: tarOf(testEntry{name: "dags/a/b.py"}, linkItem("dags/nowhere", "missing/x"), linkItem("dags/up", "a/../a/b.py"), linkItem("dags/far", "up"), linkItem("out", "/etc")), root: "dags", want: "a/b.py far->up nowhere->missing/x up->a/../a/b.py", outside: "out"},
	} {
		t.Run(name, func(t *testing.T) {
			sel, _, err := taken(t, tt.data, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if sel.Root != tt.root || paths(sel) != tt.want {
				t.Errorf("selected %s below %q, want %s below %q", paths(sel), sel.Root, tt.want, tt.root)
			}
			if got := strings.Join(sel.Outside, " "); got != tt.outside {
				t.Errorf("outside %q, want %q", got, tt.outside)
			}
			if got := leftOut(sel); got != tt.left {
				t.Errorf("left out %q, want %q", got, tt.left)
			}
		})
	}
}

func TestReadSkipsWhatIsKnownToStay(t *testing.T) {
	items := []testEntry{{name: "early", body: "e"}, {name: "dags/a.py", body: "a"}, {name: "late", body: "l"}}
	for name, tt := range map[string]struct {
		data []byte
		want []string
	}{
		"tar": {tarOf(items...), []string{"dags/a.py", "early"}},
		"zip": {zipOf(zipEntries(items...)...), []string{"dags/a.py"}},
	} {
		t.Run(name, func(t *testing.T) {
			sel, got, err := taken(t, tt.data, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for name := range got {
				names = append(names, name)
			}
			if slices.Sort(names); !slices.Equal(names, tt.want) || paths(sel) != "a.py" {
				t.Errorf("take got %q and %s was selected, want %q", names, paths(sel), tt.want)
			}
		})
	}
}

func TestReadRefusesTar(t *testing.T) {
	good := testEntry{name: "dags/good.py", body: strings.Repeat("x", 1000)}
	whole := tarOf(good)
	pax := testEntry{name: "pax", kind: tar.TypeXHeader, body: "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"}
	for name, tt := range map[string]struct {
		data []byte
		want []string
	}{
		"absolute":              {tarOf(testEntry{name: "/etc/passwd"}), []string{`"/etc/passwd"`, "absolute"}},
		"drive":                 {tarOf(testEntry{name: `C:/x/a.py`}), []string{`"C:/x/a.py"`, "absolute"}},
		"dots":                  {tarOf(testEntry{name: "dags/../../a.py"}), []string{`"dags/../../a.py"`, `".."`}},
		"folder with dots":      {tarOf(folderItem("dags/..")), []string{`"dags/.."`}},
		"dots where ignored":    {tarOf(testEntry{name: ".git/../a.py"}), []string{`".git/../a.py"`}},
		"not UTF-8":             {tarOf(testEntry{name: "dags/\xe9.py"}), []string{`"dags/\xe9.py"`, "UTF-8"}},
		"control character":     {tarOf(testEntry{name: "dags/a\x1b[31m.py"}), []string{`"dags/a\x1b[31m.py"`, "control"}},
		"turned text":           {tarOf(testEntry{name: "dags/a\u202eyp.exe"}), []string{`"dags/a\u202eyp.exe"`, "control"}},
		"no name":               {tarOf(testEntry{name: "./."}), []string{`"./."`}},
		"slash behind a file":   {tarOf(testEntry{name: "dags/a/", body: "x"}), []string{`"dags/a/"`, "slash"}},
		"hard link":             {tarOf(testEntry{name: "dags/hard", kind: tar.TypeLink, link: "dags/good.py"}), []string{`"dags/hard"`, "hard link", `"dags/good.py"`}},
		"character device":      {tarOf(testEntry{name: "dags/null", kind: tar.TypeChar}), []string{`"dags/null"`, "device"}},
		"block device":          {tarOf(testEntry{name: "dags/sda", kind: tar.TypeBlock}), []string{`"dags/sda"`, "device"}},
		"fifo":                  {tarOf(testEntry{name: "dags/pipe", kind: tar.TypeFifo}), []string{`"dags/pipe"`, "fifo"}},
		"second volume":         {tarOf(testEntry{name: "dags/rest", kind: 'M', body: "x"}), []string{`"dags/rest"`, "--multi-volume"}},
		"unknown kind":          {tarOf(testEntry{name: "dags/odd", kind: 'W'}), []string{`"dags/odd"`, "neither"}},
		"damaged sparse file":   {tarOf(pax, testEntry{name: "dags/sparse", body: "1\n0\n9\n" + strings.Repeat("\x00", 506) + "x"}), []string{"damaged"}},
		"twice":                 {tarOf(good, good), []string{`"dags/good.py"`, "two files"}},
		"case":                  {tarOf(testEntry{name: "dags/Load.py"}, testEntry{name: "dags/load.py"}), []string{`"dags/Load.py"`, `"dags/load.py"`, "case"}},
		"case of a folder":      {tarOf(testEntry{name: "dags/Lib/load.py"}, testEntry{name: "dags/lib/load.py"}), []string{`"dags/Lib/load.py"`, `"dags/lib/load.py"`}},
		"Unicode form":          {tarOf(testEntry{name: "dags/\u00e9.py"}, testEntry{name: "dags/e\u0301.py"}), []string{"dags/\u00e9.py", "dags/e\u0301.py", "Unicode"}},
		"Unicode case":          {tarOf(testEntry{name: "dags/größe.py"}, testEntry{name: "dags/GRÖẞE.py"}), []string{"größe", "GRÖẞE", "case"}},
		"Greek case":            {tarOf(testEntry{name: "dags/σ.py"}, testEntry{name: "dags/ς.py"}), []string{"σ", "ς"}},
		"case and form":         {tarOf(testEntry{name: "dags/E\u0301.py"}, testEntry{name: "dags/\u00e9.py"}), []string{"\u00c9.py", "\u00e9.py"}},
		"backslash and slash":   {tarOf(testEntry{name: `dags\a.py`}, testEntry{name: "dags/b.py"}), []string{`"dags\\a.py"`, "backslash"}},
		"backslash inside":      {tarOf(testEntry{name: `dags/a\b.py`}), []string{`"dags/a\\b.py"`, "backslash"}},
		"backslash and folder":  {tarOf(testEntry{name: `a\b.py`}, testEntry{name: "lib/b.py"}), []string{`"a\\b.py"`, "backslash"}},
		"backslash at the root": {tarOf(testEntry{name: `\dags\a.py`}), []string{`absolute`}},
		"dots by backslash":     {tarOf(testEntry{name: `dags\..\..\a.py`}), []string{`".."`}},
		"file then folder":      {tarOf(testEntry{name: "dags/a"}, testEntry{name: "dags/a/b.py"}), []string{`"dags/a/b.py"`, `"dags/a"`, "folder"}},
		"folder then file":      {tarOf(testEntry{name: "dags/a/b.py"}, testEntry{name: "dags/a"}), []string{`"dags/a"`, "folder"}},
		"file then empty one":   {tarOf(testEntry{name: "dags/a"}, folderItem("dags/a")), []string{`"dags/a"`, "folder"}},
		"link twice":            {tarOf(linkItem("dags/l", "x"), linkItem("dags/l", "y")), []string{`"dags/l"`}},
		"through a link":        {tarOf(linkItem("dags/l", "lib"), testEntry{name: "dags/l/a.py"}), []string{`"dags/l/a.py"`, `"dags/l"`, "through"}},
		"folder over a link":    {tarOf(linkItem("dags/l", "lib"), folderItem("dags/l/")), []string{`"dags/l"`, "through"}},
		"absolute link":         {tarOf(linkItem("dags/l", "/etc/passwd")), []string{`"dags/l"`, `"/etc/passwd"`, "absolute"}},
		"link out":              {tarOf(good, linkItem("dags/l", "../plugins/p.py"), testEntry{name: "plugins/p.py"}), []string{`"dags/l"`, `"../plugins/p.py"`, "leaves"}},
		"link out by a link":    {tarOf(testEntry{name: "dags/a/b/c.py"}, linkItem("dags/up", "a/b"), linkItem("dags/x/out", "../up/../../../x")), []string{`"dags/x/out"`, "leaves"}},
		"link out by nothing":   {tarOf(linkItem("dags/l", "missing/../../x")), []string{`"dags/l"`, "leaves"}},
		"link without target":   {tarOf(linkItem("dags/l", "")), []string{`"dags/l"`, "target"}},
		"link to odd text":      {tarOf(linkItem("dags/l", "a\nb")), []string{`"dags/l"`, "control"}},
		"link to itself":        {tarOf(linkItem("dags/l", "l")), []string{`"dags/l"`, "circle"}},
		"links in a circle":     {tarOf(linkItem("dags/l", "m"), linkItem("dags/m", "l")), []string{`"dags/`, "circle"}},
		"link to own folder":    {tarOf(good, linkItem("dags/a/l", "..")), []string{`"dags/a/l"`, "circle"}},
		"folders in a circle":   {tarOf(testEntry{name: "dags/a/x"}, testEntry{name: "dags/b/x"}, linkItem("dags/a/l", "../b"), linkItem("dags/b/m", "../a")), []string{`"dags/b/m"`, "circle"}},
		"cut off in a content":  {whole[:1000], []string{`"dags/good.py"`, "cut off"}},
		"cut off in a header":   {append(tarBody(good), tarHeader(good, 0)[:100]...), []string{`"dags/good.py"`, "cut off"}},
		"cut off between":       {tarBody(good), []string{`"dags/good.py"`, "cut off"}},
		"cut off after zeros":   {tarBody(testEntry{name: "dags/zeros", body: strings.Repeat("\x00", 1024)}), []string{`"dags/zeros"`, "cut off"}},
		"cut off after pax":     {append(tarBody(good), tarBody(pax)...), []string{`"dags/good.py"`, "cut off"}},
		"data after the end":    {append(tarOf(good), tarOf(testEntry{name: "dags/evil.py"})...), []string{`"dags/good.py"`, "after the end"}},
		"wrong checksum":        {append(tarBody(good), bytes.Repeat([]byte("x"), 2*tarBlock)...), []string{`"dags/good.py"`, "damaged"}},
		"one zero block inside": {append(append(tarBody(good), make([]byte, tarBlock)...), tarOf(testEntry{name: "b"})...), []string{`"dags/good.py"`, "damaged"}},
		"gzip cut off":          {gzipped(whole)[:60], []string{"cut off"}},
		"gzip without its end":  {gzipped(whole)[:len(gzipped(whole))-8], []string{`"dags/good.py"`, "cut off"}},
		"gzip header only":      {gzipped(whole)[:5], []string{"cut off"}},
		"gzip with a wrong sum": {flipped(gzipped(whole), -6), []string{`"dags/good.py"`, "damaged"}},
		"data after gzip":       {append(gzipped(whole), "evil"...), []string{`"dags/good.py"`, "after the end"}},
		"gzip of something":     {gzipped(bytes.Repeat([]byte("print('dag') "), 100)), []string{"not an archive"}},
		"xz cut off":            {packedBy(t, "tar-J.tar.xz")[:300], []string{"cut off"}},
		"xz, index for a block": {[]byte("\xfd7zXZ\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x01\x04\x01\x00\x00\x00\x00" + "\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00YZ"), []string{"damaged"}},
		"xz header only":        {packedBy(t, "tar-J.tar.xz")[:12], []string{"cut off"}},
		"xz with a wrong sum":   {flipped(packedBy(t, "tar-J.tar.xz"), 200), []string{"damaged"}},
		"xz with a wrong index": {flipped(packedBy(t, "tar-J.tar.xz"), -21), []string{"damaged", "Pack and upload it again"}},
		"data after xz":         {append(packedBy(t, "tar-J.tar.xz"), "evil"...), []string{"after the end"}},
		"xz of something":       {packedBy(t, "text.xz"), []string{"not an archive"}},
		"xz with a filter":      {packedBy(t, "filtered.tar.xz"), []string{"filter"}},
		"bzip2 cut off":         {packedBy(t, "tar-j.tar.bz2")[:200], []string{"cut off"}},
		"bzip2 with wrong sum":  {flipped(packedBy(t, "tar-j.tar.bz2"), 100), []string{"damaged"}},
		"data after bzip2":      {append(packedBy(t, "tar-j.tar.bz2"), "evil"...), []string{`"dags/lib/b.py"`, "after the end"}},
		"7z":                    {[]byte("7z\xbc\xaf\x27\x1c\x00\x04rest"), []string{"7z archive", "Pack the files as .tar.gz or .zip"}},
		"RAR":                   {[]byte("Rar!\x1a\x07\x01\x00rest"), []string{"RAR archive", ".zip"}},
		"lz4":                   {[]byte("\x04\x22\x4d\x18rest"), []string{"lz4", ".tar.gz"}},
		"zstd cut off":          {zstandard(whole)[:40], []string{"cut off"}},
		"zstd with a wrong sum": {flipped(zstandard(whole), -1), []string{"damaged"}},
		"data after zstd":       {append(zstandard(whole), "evil"...), []string{`"dags/good.py"`, "after the end"}},
		"patterns by a link":    {tarOf(good, linkItem(".slipwayignore", "x")), []string{`".slipwayignore"`, "link"}},
		"patterns, hard link":   {tarOf(good, testEntry{name: ".slipwayignore", kind: tar.TypeLink, link: "x"}), []string{`".slipwayignore"`, "link"}},
		"not an archive":        {[]byte("from airflow import DAG\n"), []string{"not an archive"}},
		"nothing":               {nil, []string{"not an archive"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := taken(t, tt.data, DefaultLimits())
			wantRefusal(t, err, slipway.Invalid, tt.want...)
		})
	}
}

// flipped returns data with the byte at changed, counted from the end if at is negative.
func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 0x55
	return data
}

func TestReadStops(t *testing.T) {
	data := gzipped(tarOf(project...))
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Read(ctx, bytes.NewReader(data), int64(len(data)), DefaultLimits(), Search{}, nil)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
	})
	t.Run("take", func(t *testing.T) {
		full := errors.New("disk full")
		_, err := Read(t.Context(), bytes.NewReader(data), int64(len(data)), DefaultLimits(), Search{}, func(Entry, io.Reader) (bool, error) { return false, full })
		if !errors.Is(err, full) {
			t.Errorf("error %v, want %v", err, full)
		}
	})
	t.Run("disk", func(t *testing.T) {
		_, err := Read(t.Context(), brokenDisk{}, int64(len(data)), DefaultLimits(), Search{}, nil)
		if kind, _ := slipway.Explain(err); !errors.Is(err, errBroken) || kind != slipway.Internal {
			t.Errorf("error %v of kind %v, want %v", err, kind, errBroken)
		}
	})
}

func TestReadIsNotFooledByTake(t *testing.T) {
	data := tarOf(testEntry{name: "dags/a.py", body: strings.Repeat("x", 5000)})[:2000]
	for name, take := range map[string]Take{
		"it reads nothing":  func(Entry, io.Reader) (bool, error) { return false, nil },
		"it hides an error": func(_ Entry, r io.Reader) (bool, error) { _, _ = io.ReadAll(r); return false, nil },
		"it rewords it":     func(_ Entry, r io.Reader) (bool, error) { _, _ = io.ReadAll(r); return false, errBroken },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(t.Context(), bytes.NewReader(data), int64(len(data)), DefaultLimits(), Search{}, take)
			wantRefusal(t, err, slipway.Invalid, `"dags/a.py"`, "cut off")
		})
	}
}

var errBroken = errors.New("input/output error")

type brokenDisk struct{}

func (brokenDisk) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

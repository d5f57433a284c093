package archive

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// leftOut returns what is left out, with the numbers of files.
func leftOut(sel Selection) string {
	var list []string
	for _, o := range sel.LeftOut {
		if o.Name == ".slipwayignore" || strings.HasSuffix(o.Name, "/.slipwayignore") {
			continue
		}
		list = append(list, fmt.Sprintf("%s %d", o.Name, o.Files))
	}
	return strings.Join(list, ",")
}

func TestSlipwayIgnore(t *testing.T) {
	files := func(names ...string) (list []testEntry) {
		for _, name := range names {
			list = append(list, testEntry{name: name})
		}
		return list
	}
	inDags := files("dags/a.py", "dags/scratch/b.py", "dags/scratch/c/d.py", "dags/data.csv", "dags/lib/data.csv")
	for name, tt := range map[string]struct {
		where string
		text  string
		items []testEntry
		want  string
		left  string
	}{
		"folder":                 {".slipwayignore", "scratch/\n", inDags, "a.py data.csv lib/data.csv", "dags/scratch/ 2"},
		"path from the project":  {".slipwayignore", "/dags/scratch\r\n", inDags, "a.py data.csv lib/data.csv", "dags/scratch/ 2"},
		"star":                   {".slipwayignore", "# data\n\n*.csv", inDags, "a.py scratch/b.py scratch/c/d.py", "dags/data.csv 1,dags/lib/data.csv 1"},
		"negation":               {".slipwayignore", "*.csv\n!dags/lib/data.csv\n", inDags, "a.py lib/data.csv scratch/b.py scratch/c/d.py", "dags/data.csv 1"},
		"no way back in":         {".slipwayignore", "scratch/\n!b.py\n", inDags, "a.py data.csv lib/data.csv", "dags/scratch/ 2"},
		"class":                  {".slipwayignore", "[!a].py\n", inDags, "a.py data.csv lib/data.csv", "dags/scratch/b.py 1,dags/scratch/c/d.py 1"},
		"two stars":              {".slipwayignore", "dags/**/d.py\n", inDags, "a.py data.csv lib/data.csv scratch/b.py", "dags/scratch/c/d.py 1"},
		"byte order mark":        {".slipwayignore", "\ufeffscratch\n", inDags, "a.py data.csv lib/data.csv", "dags/scratch/ 2"},
		"nothing built in again": {".slipwayignore", "!*.pyc\n", files("dags/a.py", "dags/b.pyc"), "a.py", "dags/b.pyc 1"},
		"in the dags folder":     {"dags/.slipwayignore", "/scratch\n", inDags, "a.py data.csv lib/data.csv", "dags/scratch/ 2"},
		"in the wrapper":         {"w/.slipwayignore", "/dags/scratch\n", under("w/", inDags), "a.py data.csv lib/data.csv", "w/dags/scratch/ 2"},
		"wrapper without dags":   {"w/.slipwayignore", "/scratch\n", files("w/a.py", "w/scratch/b.py"), "w/a.py", "w/scratch/ 1"},
		"upload of dags itself":  {".slipwayignore", "/scratch\n", files("a.py", "scratch/b.py"), "a.py", "scratch/ 1"},
		"deeper does not count":  {"dags/lib/.slipwayignore", "*\n", inDags, "a.py data.csv lib/data.csv scratch/b.py scratch/c/d.py", ""},
		"all but Python files":   {".slipwayignore", "*\n!*/\n!*.py\n", inDags, "a.py scratch/b.py scratch/c/d.py", "dags/data.csv 1,dags/lib/data.csv 1"},
		"folders in again":       {"dags/.slipwayignore", "scratch/*\n!scratch/c/\n", inDags, "a.py data.csv lib/data.csv scratch/c/d.py", "dags/scratch/b.py 1"},
		"one file in again":      {".slipwayignore", "dags/**\n!dags/**/\n!dags/**/data.csv\n", inDags, "data.csv lib/data.csv", "dags/a.py 1,dags/scratch/b.py 1,dags/scratch/c/d.py 1"},
		"class by name":          {"dags/.slipwayignore", "[[:alpha:]].py\n", inDags, "data.csv lib/data.csv", "dags/a.py 1,dags/scratch/b.py 1,dags/scratch/c/d.py 1"},
		"name as macOS has it":   {".slipwayignore", "cafe\u0301.py\n", files("dags/a.py", "dags/café.py", "dags/cafe\u0301s.py"), "a.py cafés.py", "dags/café.py 1"},
		"folders on the way":     {"dags/.slipwayignore", "!a.py\n", append(files("dags/a.py", "dags/b.py", "x/c.py"), testEntry{name: ".slipwayignore", body: "a.py\nb.py\n"}), "a.py", "dags/b.py 1"},
		"bad pattern":            {".slipwayignore", "[\nscratch\n", inDags, "a.py data.csv lib/data.csv", "dags/scratch/ 2"},
	} {
		ignoreFile := testEntry{name: tt.where, body: tt.text}
		for at, items := range map[string][]testEntry{
			"first": append([]testEntry{ignoreFile}, tt.items...),
			"last":  append(slices.Clone(tt.items), ignoreFile),
		} {
			t.Run(name+" "+at, func(t *testing.T) {
				for format, data := range map[string][]byte{"tar": tarOf(items...), "zip": zipOf(zipEntries(items...)...)} {
					sel, got, err := taken(t, data, DefaultLimits())
					if err != nil {
						t.Fatal(err)
					}
					if paths(sel) != tt.want || leftOut(sel) != tt.left {
						t.Errorf("%s: selected %s, left out %s; want %s and %s", format, paths(sel), leftOut(sel), tt.want, tt.left)
					}
					if _, ok := got[tt.where]; ok {
						t.Errorf("%s: take got %s", format, tt.where)
					}
				}
			})
		}
	}
}

func TestSlipwayIgnoreInUTF16(t *testing.T) {
	for _, text := range []string{"\xff\xfes\x00\n\x00", "\xfe\xff\x00s\x00\n"} {
		_, _, err := taken(t, tarOf(testEntry{name: "dags/a.py"}, testEntry{name: "dags/.slipwayignore", body: text}), DefaultLimits())
		wantRefusal(t, err, slipway.Invalid, `"dags/.slipwayignore"`, "UTF-16", "UTF-8")
	}
}

func TestLinkToIgnoredFileIsKept(t *testing.T) {
	data := tarOf(testEntry{name: ".slipwayignore", body: "big"}, testEntry{name: "a.py"}, testEntry{name: "big"}, linkItem("l", "big"))
	sel, _, err := taken(t, data, DefaultLimits())
	if err != nil || paths(sel) != "a.py l->big" {
		t.Errorf("selected %s, %v", paths(sel), err)
	}
}

func TestLeftOutIsBounded(t *testing.T) {
	items := []testEntry{{name: "a.py"}}
	for i := range maxOmissions + 500 {
		items = append(items, testEntry{name: fmt.Sprintf("%d.pyc", i)})
	}
	sel, _, err := taken(t, tarOf(items...), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if len(sel.LeftOut) != maxOmissions || sel.LeftOutFiles != maxOmissions+500 {
		t.Errorf("%d names of %d files, want %d of %d", len(sel.LeftOut), sel.LeftOutFiles, maxOmissions, maxOmissions+500)
	}
	if !slices.IsSortedFunc(sel.LeftOut, func(a, b Omission) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("what is left out is not sorted")
	}
}

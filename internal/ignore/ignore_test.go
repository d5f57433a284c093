package ignore

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// kept returns the names that the ignore file text, at the root, does not leave out.
func kept(t *testing.T, text, names string) string {
	t.Helper()
	rules := New(1 << 20)
	rules.Add("", text)
	return strings.Join(slices.DeleteFunc(strings.Fields(names), func(name string) bool {
		top, err := rules.Top(name)
		if err != nil {
			t.Fatal(err)
		}
		return top != ""
	}), " ")
}

func TestTop(t *testing.T) {
	for name, tt := range map[string]struct{ text, names, kept string }{
		"all but folders":            {"*\n!*/\n!*.py", "a.py a.csv d/a.py d/a.csv d/e/a.py", "a.py d/a.py d/e/a.py"},
		"all, and no way into one":   {"*\n!*.py", "a.py d/a.py", "a.py"},
		"folders come back in":       {"sub/*\n!sub/", "sub/a other/a", "other/a"},
		"two stars, one file back":   {"data/**\n!data/**/\n!data/**/keep.csv", "data/a data/keep.csv data/b/keep.csv data/b/a", "data/keep.csv data/b/keep.csv"},
		"two stars, no way back":     {"data/**\n!data/**/keep.csv", "data/keep.csv data/b/keep.csv", "data/keep.csv"},
		"two stars in a name":        {"a**b", "ab axb axxb a/b ax/xb", "a/b ax/xb"},
		"two stars at both ends":     {"**/a/**", "a b/a a/b b/a/c b/c", "a b/a b/c"},
		"two stars for none":         {"a/**/b", "a/b a/c/b a/c/d/b c/a/b", "c/a/b"},
		"a class by name":            {"[[:alpha:]]", "a 1 Z _ é", "1 _ é"},
		"a class by no such name":    {"[[:letter:]]\nx", "a x", "a"},
		"a bracket in a class":       {"[]a]", "] a b ]a", "b ]a"},
		"a minus in a class":         {"[!a-]", "a - b", "a -"},
		"a class without an end":     {"[a\nx", "a [a x", "a [a"},
		"no slash in a class":        {"a[/-z]b", "a/b azb", "a/b"},
		"escapes":                    {`\!a` + "\n" + `\#b` + "\n" + `c\*`, "!a a #b c* cx", "a cx"},
		"an escape of nothing":       {`a\`, `a a\`, `a a\`},
		"a comment":                  {"#a\n #b", "#a a #b", "#a a #b"},
		"spaces at the end":          {"a   \nb\t", "a b", "b"},
		"line ends of Windows":       {"a\r\nb/\r\nc", "a b/x c d", "d"},
		"a byte order mark":          {"\ufeffa\n\ufeffb", "a b", "b"},
		"a slash at the start":       {"/a", "a b/a", "b/a"},
		"a slash inside":             {"a/b", "a/b c/a/b", "c/a/b"},
		"a slash at the end":         {"a/", "a b/a c/a/b a/b", "a b/a"},
		"only a slash":               {"/\n//\n!\n!/", "a a/b", "a a/b"},
		"bytes":                      {"?.py", "a.py é.py", "é.py"},
		"case":                       {"A.csv", "a.csv A.csv", "a.csv"},
		"the last match wins":        {"*.csv\n!a.csv\na.csv\n!a.csv", "a.csv b.csv", "a.csv"},
		"a literal start, two stars": {"x/a**/b", "x/a/b x/ac/d/b y/b", "y/b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := kept(t, tt.text, tt.names); got != tt.kept {
				t.Errorf("of %q, %q keeps %q; want %q", tt.names, tt.text, got, tt.kept)
			}
		})
	}
}

func TestTopNamesTheFolder(t *testing.T) {
	rules := New(1 << 20)
	rules.Add("", "a/b/\n")
	rules.Add("a", "!b\n*.csv\n")
	rules.Add("a/c", "/d\n!x.csv\n")
	for name, want := range map[string]string{
		"a/b/c/e":     "", // the file in a wins
		"a/x.csv":     "a/x.csv",
		"a/c/d/e/f":   "a/c/d/",
		"a/c/e/d/f":   "",
		"a/c/x.csv":   "",
		"a/c/e/x.csv": "",
		"x.csv":       "",
		"ab/x.csv":    "",
	} {
		if got, err := rules.Top(name); got != want || err != nil {
			t.Errorf("Top(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
}

// Steps grow with the product of the lengths, where a naive matcher takes ages.
func TestHostilePatterns(t *testing.T) {
	as := strings.Repeat("a", 4000)
	folders := strings.TrimSuffix(strings.Repeat("a/", 2000), "/")
	for name, tt := range map[string]struct {
		text, name string
		steps      int
	}{
		"many stars":            {strings.Repeat("a*", 1000) + "b", as, 1 << 16},
		"stars with any byte":   {strings.Repeat("*?", 1000) + "b", as, 1 << 16},
		"stars with brackets":   {strings.Repeat("*[a]", 1000) + "b", as, 1 << 16},
		"stars with ab":         {strings.Repeat("*a", 1000) + "ab", as, 1 << 24},
		"many pairs of stars":   {strings.Repeat("**/a/", 500) + "b", folders, 1 << 24},
		"pairs and single ones": {strings.Repeat("**/*a*/", 300) + "b", folders, 1 << 24},
		"pairs, then singles":   {"**/" + strings.Repeat("*/", 900) + "b", folders, 1 << 24},
		"a long bracket":        {"*[" + strings.Repeat("b", 8000) + "]", as, 1 << 26},
	} {
		t.Run(name, func(t *testing.T) {
			rules := New(tt.steps)
			rules.Add("", tt.text)
			ignored, err := rules.ignored(tt.name, false)
			if ignored || err != nil {
				t.Errorf("ignored: %t, %v; want no match within %d steps", ignored, err, tt.steps)
			}
			t.Logf("%d steps", tt.steps-rules.steps)
		})
	}
}

func TestTopStopsAtTheLimit(t *testing.T) {
	for text, name := range map[string]string{
		strings.Repeat("x\n", 1000):             "a/b/c",
		"*[" + strings.Repeat("b", 1000) + "]c": "aaaaaa",
		strings.Repeat("*a", 100) + "ab":        strings.Repeat("a", 1000),
	} {
		rules := New(1000)
		rules.Add("", text)
		if top, err := rules.Top(name); !errors.Is(err, ErrWork) || top != "" {
			t.Errorf("Top(%.9q) by %.9q = %q, %v; want %v", name, text, top, err, ErrWork)
		}
	}
}

// FuzzTop tries any patterns on any names: a part of the name, or none, is ignored.
func FuzzTop(f *testing.F) {
	for _, text := range []string{"*", "!*/\n[[:alpha:]]", "a**/b\\/**\\/[]-a]", "[a-\\", "[[:", "\\", "/**/", "\ufeff!#\x00\r\n"} {
		f.Add(text, "a/b/c")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		rules := New(1 << 20)
		rules.Add("a", text)
		rules.Add("", text)
		top, err := rules.Top(name)
		if err == nil && top != "" && top != name && !strings.HasPrefix(name, top) {
			t.Errorf("Top(%q) = %q", name, top)
		}
	})
}

// Names that nobody deploys may have any number of folders.
func TestTopOfDeepNames(t *testing.T) {
	r := New(1 << 20)
	r.Add("", "x/\n*.log\n")
	name := strings.Repeat("a/", 1<<17) + "b.log"
	if top, err := r.Top(name); top != name || err != nil || len(r.folders) > keptName {
		t.Errorf("%d bytes, %v, %d folders kept", len(top), err, len(r.folders))
	}
	if top, err := r.Top(strings.Repeat("a/", keptName) + "x/y/b"); top != strings.Repeat("a/", keptName)+"x/" || err != nil {
		t.Errorf("%d bytes, %v", len(top), err)
	}
}

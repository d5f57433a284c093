package dagfile

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// folder is a DAG folder of testdata/airflow.json, with what Airflow's own code
// lists (airflow.py).
type folder struct {
	Airflow int
	Files   map[string]string // kind of content by path
	Ignores map[string]string // text by path
	Links   map[string]string // target by path
	Want    []string
}

// contentOf returns the bytes of a kind of file in airflow.py.
func contentOf(t *testing.T, kind string) []byte {
	switch kind {
	case "both":
		return []byte("from Airflow import DAG\n")
	case "asset":
		return []byte("from airflow.sdk import ASSET\n")
	case "none":
		return []byte("x = 1\n")
	case "zip":
		return zipOf(t, "in/a.txt")
	case "pack":
		return zipOf(t, "dag.py")
	}
	return nil
}

func zipOf(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		if _, err := z.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLoadedAsAirflow holds the rule against what Airflow 3.3.2 and 2.11.2 list
// in random folders.
func TestLoadedAsAirflow(t *testing.T) {
	text, err := os.ReadFile("testdata/airflow.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []folder
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for i, f := range all {
		var files []slipway.File
		texts := map[string]string{}
		for name, kind := range f.Files {
			file := slipway.File{Path: name, SHA256: "of " + name}
			LookAt(name, contentOf(t, kind)).Mark(&file)
			files = append(files, file)
		}
		for name, text := range f.Ignores {
			files = append(files, slipway.File{Path: name, SHA256: name})
			texts[name] = text
		}
		for name, to := range f.Links {
			files = append(files, slipway.File{Path: name, Link: to})
		}
		slipway.SortFiles(files)
		got, err := Loaded(t.Context(), files, f.Airflow, texts)
		got, f.Want = slices.DeleteFunc(got, f.differs), slices.DeleteFunc(f.Want, f.differs)
		if err != nil || !slices.Equal(got, f.Want) {
			t.Errorf("folder %d: Airflow %d loads %q with %+v, and here %q, %v", i, f.Airflow, f.Want, f, got, err)
		}
	}
}

// differs reports whether Airflow lists name, and Slipway on purpose does not: an
// archive of another name than .zip without a module inside, which cannot give
// a DAG, and a link to a file that has another suffix.
func (f folder) differs(name string) bool {
	to, isLink := f.Links[name]
	if !isLink {
		return f.Files[name] == "zip" && path.Ext(name) != ".zip" && !isPython(name)
	}
	return isPython(name) != isPython(to) || path.Ext(name) != path.Ext(to) || f.differs(to)
}

func TestLoaded(t *testing.T) {
	dag, asset := slipway.File{DAG: true}, slipway.File{Asset: true}
	for name, tt := range map[string]struct {
		files   map[string]slipway.File
		ignore  map[string]string
		airflow int
		want    string
	}{
		"nothing":                   {want: ""},
		"both":                      {files: map[string]slipway.File{"a.py": dag, "b.py": asset, "c.py": {}}, want: "a.py b.py"},
		"Airflow 2 knows no assets": {files: map[string]slipway.File{"a.py": dag, "b.py": asset}, airflow: 2, want: "a.py"},
		"all ignored":               {files: map[string]slipway.File{"a.py": dag, "s/b.py": dag}, ignore: map[string]string{".airflowignore": "*"}},
		"nested":                    {files: map[string]slipway.File{"a.py": dag, "s/a.py": dag, "s/b.py": dag}, ignore: map[string]string{"s/.airflowignore": "a.py"}, want: "a.py s/b.py"},
		"nested keeps again":        {files: map[string]slipway.File{"a.py": dag, "s/a.py": dag}, ignore: map[string]string{".airflowignore": "a.py", "s/.airflowignore": "!a.py"}, want: "s/a.py"},
		"no way back into a folder": {files: map[string]slipway.File{"s/a.py": dag}, ignore: map[string]string{".airflowignore": "s/\n!s/a.py"}},
		"regexp":                    {files: map[string]slipway.File{"a.py": dag, "s/b.py": dag}, ignore: map[string]string{".airflowignore": `^s/.*\.py$`}, airflow: 2, want: "a.py"},
		"glob to Airflow 2":         {files: map[string]slipway.File{"a.py": dag}, ignore: map[string]string{".airflowignore": "*.py"}, airflow: 2, want: "a.py"},
		"link":                      {files: map[string]slipway.File{"a.py": {Link: "s/b.py"}, "s/b.py": dag}, want: "a.py s/b.py"},
		"dangling":                  {files: map[string]slipway.File{"a.py": {Link: "s/c.py"}, "s/b.py": dag}, want: "s/b.py"},
		"link to a link":            {files: map[string]slipway.File{"a.py": {Link: "./b.py"}, "b.py": {Link: "s/../s/b.py"}, "s/b.py": dag}, want: "a.py b.py s/b.py"},
		"circle":                    {files: map[string]slipway.File{"a.py": {Link: "b.py"}, "b.py": {Link: "a.py"}}},
		"link to an ignored folder": {files: map[string]slipway.File{"t": {Link: "s"}, "s/b.py": dag}, ignore: map[string]string{".airflowignore": "s/"}, want: "t/b.py"},
		"link to patterns":          {files: map[string]slipway.File{"a.py": dag, "b.py": dag, ".airflowignore": {Link: "p/rules"}, "p/rules": {SHA256: "p"}}, ignore: map[string]string{}, want: "b.py"},
	} {
		t.Run(name, func(t *testing.T) {
			texts := map[string]string{"p": "a.py"}
			for at, text := range tt.ignore {
				tt.files[at] = slipway.File{SHA256: at}
				texts[at] = text
			}
			var files []slipway.File
			for _, at := range slices.Sorted(maps.Keys(tt.files)) {
				f := tt.files[at]
				f.Path = at
				files = append(files, f)
			}
			got, err := Loaded(t.Context(), files, tt.airflow, texts)
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("Loaded = %q, %v, want %q", got, err, tt.want)
			}
			for _, f := range Ignores(files) {
				if _, known := texts[f.SHA256]; !known {
					t.Errorf("Ignores names %+v", f)
				}
			}
		})
	}
}

func TestWhy(t *testing.T) {
	files := []slipway.File{
		{Path: "asset.py", Size: 1, Asset: true}, {Path: "empty.py"}, {Path: "folder.py/x.txt"}, {Path: "gone.py", Link: "nothing.py"}, {Path: "ignored.py", Size: 1, DAG: true},
		{Path: "link.py", Link: "lfs.py"}, {Path: "lfs.py", Size: 1, LFS: true}, {Path: "plain.py", Size: 1},
	}
	for path, want := range map[string]slipway.Stop{
		"asset.py": slipway.StopPlain, "empty.py": slipway.StopEmpty, "folder.py": "", "gone.py": slipway.StopDangling, "ignored.py": slipway.StopIgnored,
		"link.py": slipway.StopPointer, "lfs.py": slipway.StopPointer, "plain.py": slipway.StopPlain, "no.py": "", "no/no.py": "",
	} {
		if got := Why(files, 2)(path); got != want {
			t.Errorf("%s is no longer loaded because it is %q, want %q", path, got, want)
		}
	}
}

// Patterns cost a bounded time, whatever they are: beyond, nothing is judged.
func TestCostOfPatterns(t *testing.T) {
	deep := strings.Repeat("d/", 100)
	for name, tt := range map[string]struct {
		text    string
		names   []string
		airflow int
		want    error
		loaded  int
	}{
		"as many patterns as files": {text: strings.Repeat("tests/\n*.pyc\nlib/**/x_*.py\n/team_?/old\n", 20), names: numbered(20_000, "team_%d/dag.py"), loaded: 20_000},
		"regexps":                   {text: strings.Repeat("tests/\n_old\\.py$\n^team_x.*/lib\n", 20), names: numbered(20_000, "team_%d/dag.py"), airflow: 2, loaded: 20_000},
		"too many patterns":         {text: strings.Repeat("x*\n", maxRules+1), names: []string{"a.py"}, want: errCostly},
		"stars":                     {text: strings.Repeat(strings.Repeat("*a", 60)+"*b\n", 200), names: numbered(100, strings.Repeat("a", 225)+"%d"), want: errCostly},
		"stars in folders":          {text: strings.Repeat("**/d*/*d*/", 300) + "x\n", names: numbered(20_000, deep+"%d.py"), want: errCostly},
		"nested counts":             {text: strings.Repeat("((x{10}){10}){10}", 240), names: []string{"a.py"}, airflow: 2, want: errCostly},
		"many large counts":         {text: strings.Repeat("x{1000}\n", 1_000), names: []string{"a.py"}, airflow: 2, want: errCostly},
		"alternatives":              {text: strings.Repeat("(a|b|ab)*c$\n", 1_000), names: numbered(10_000, strings.Repeat("ab", 100)+"c%d"), airflow: 2, want: errCostly},
		"a long line":               {text: strings.Repeat("x", maxLine+1), names: []string{"a.py"}, want: errLongRow},
		"a long comment":            {text: "# " + strings.Repeat("x", 2*maxLine), names: []string{"a.py"}, loaded: 1},
		"many comments":             {text: strings.Repeat("# x\n", 60_000), names: []string{"a.py"}, loaded: 1},
	} {
		t.Run(name, func(t *testing.T) {
			files := []slipway.File{{Path: ".airflowignore", SHA256: "i"}}
			for _, name := range tt.names {
				files = append(files, slipway.File{Path: name, DAG: true})
			}
			slipway.SortFiles(files)
			start := time.Now()
			got, err := Loaded(t.Context(), files, tt.airflow, map[string]string{"i": tt.text})
			if !errors.Is(err, tt.want) || len(got) != tt.loaded {
				t.Errorf("%d files, %v, want %d, %v", len(got), err, tt.loaded, tt.want)
			}
			t.Logf("%v", time.Since(start))
		})
	}
}

// FuzzLoaded tries any patterns on any name: the answer is the file, nothing, or a
// sentence, and the same twice.
func FuzzLoaded(f *testing.F) {
	for _, text := range []string{"*", "!*/\n[[:alpha:]]", "a**/b\\/**\\/[]-a]", "(a|b)+$", "(?P<n>a)(?P=n)", "(((a*)*)*)*b", "a{1,1000}{1,1000}", "[", "\\", "#\r\n\n", "\ufeffa", "\xff", "^dags/.*\\.py"} {
		for _, airflow := range []int{0, 2, 3} {
			f.Add(text, "team/a.py", airflow)
		}
	}
	f.Fuzz(func(t *testing.T, text, name string, airflow int) {
		files := []slipway.File{{Path: IgnoreName, SHA256: "1"}, {Path: "x/" + IgnoreName, SHA256: "1"}, {Path: "x/" + name, DAG: true, Size: 1}, {Path: "z", Link: "x"}}
		texts := map[string]string{"1": text}
		got, err := Loaded(t.Context(), files, airflow, texts)
		if _, unjudged := errors.AsType[UnjudgedError](err); err != nil && !unjudged {
			t.Fatalf("not a sentence for the user: %v", err)
		}
		again, _ := Loaded(t.Context(), files, airflow, texts)
		if !slices.Equal(got, again) {
			t.Errorf("%q, and then %q", got, again)
		}
		for _, path := range got {
			if !strings.HasSuffix(path, "/"+name) {
				t.Errorf("%q is loaded, and is no file", path)
			}
		}
	})
}

func numbered(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

// A judgement ends with the request that asked for it.
func TestLoadedEndsWithItsReader(t *testing.T) {
	files := []slipway.File{{Path: ".airflowignore", SHA256: "i"}, {Path: "a.py", DAG: true}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := Loaded(ctx, files, 3, map[string]string{"i": "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%q, %v", got, err)
	}
}

// The machine finds what package regexp finds.
func TestMatches(t *testing.T) {
	exprs := []string{
		"", "a", "^a", "a$", "^a$", "ab*", "(?:a|b)+c", "^(?:.+/)?lib(?:/|$)", "[^/]*\\.py", "^[^/]+(?:/|$)", "(?i)LIB", "\\blib\\b", "\\Bb", "(?m)^b$", "a{2,3}", "(ab)?c", ".", "/",
		"größ.", "[[:alpha:]]+\\d", "x|", "(a|ab)(c|bcd)$", "\\pL{4}", "^$", "a.*b.*c", "(?s).+", "[^a]", "(a*)*b",
	}
	names := []string{"", "a", "b", "ab", "abb", "aab", "lib", "lib/", "x/lib/y", "xlib", "LIB/a.py", "größe.py", "a b", "c", "abcd", "aaa/b1", "b\nc", "foo.py", "aaaaaaaa"}
	var m machine
	for _, expr := range exprs {
		p, ok := compile(expr)
		if !ok {
			t.Errorf("%q does not compile", expr)
			continue
		}
		re := regexp.MustCompile(expr)
		for _, name := range names {
			if got, want := m.matches(p, name), re.MatchString(name); got != want {
				t.Errorf("%q in %q: %t, want %t", expr, name, got, want)
			}
		}
	}
}

func FuzzMatches(f *testing.F) {
	f.Add("^(?:.+/)?a[^/]*(?:/|$)", "x/ab/")
	f.Add("(?i)(a|b)*\\bc{2,4}$", "ABcc")
	f.Fuzz(func(t *testing.T, expr, name string) {
		re, err := regexp.Compile(expr)
		p, ok := compile(expr)
		if ok != (err == nil) {
			t.Fatalf("compile %q: %t, %v", expr, ok, err)
		}
		if !ok || len(p.prog.Inst) > 10_000 || len(name) > 1_000 {
			return
		}
		var m machine
		if got := m.matches(p, name); m.work <= maxWork && got != re.MatchString(name) {
			t.Errorf("%q in %q: %t", expr, name, got)
		}
	})
}

// TestCostOfLinks has links that lead to each other, where the folders themselves
// are ignored: their paths grow with each link, or each link walks all of a chain.
func TestCostOfLinks(t *testing.T) {
	long := strings.Repeat("n", 254)
	deep := []slipway.File{{Path: ".airflowignore", SHA256: "i"}, {Path: "l", Link: "x/f1"}}
	for n := 1; n <= 10_000; n++ {
		dir := fmt.Sprintf("x/f%d/", n)
		deep = append(deep, slipway.File{Path: dir + "d.py", DAG: true}, slipway.File{Path: dir + long, Link: fmt.Sprintf("../f%d", n+1)})
	}
	chain := []slipway.File{{Path: ".airflowignore", SHA256: "i"}, {Path: "a/x.py", DAG: true}, {Path: "h0", Link: "a/x.py"}}
	for n := 1; n <= 39; n++ {
		chain = append(chain, slipway.File{Path: fmt.Sprintf("h%d", n), Link: strings.Repeat("a/../", 600) + fmt.Sprintf("h%d", n-1)})
	}
	for n := range 20_000 {
		chain = append(chain, slipway.File{Path: fmt.Sprintf("links/%d.py", n), Link: "../h39"})
	}
	for name, tt := range map[string]struct {
		files  []slipway.File
		want   error
		loaded int
	}{
		"deep":  {deep, nil, 1 + maxPath/(len(long)+1)},
		"chain": {chain, errCostly, 0},
	} {
		slipway.SortFiles(tt.files)
		got, err := Loaded(t.Context(), tt.files, 3, map[string]string{"i": "x/\n"})
		if !errors.Is(err, tt.want) || len(got) != tt.loaded {
			t.Errorf("%s: %d files, %v, want %d, %v", name, len(got), err, tt.loaded, tt.want)
		}
		for _, name := range got {
			if len(name) > maxPath {
				t.Errorf("%s: a name of %d bytes", name[:20], len(name))
			}
		}
	}
}

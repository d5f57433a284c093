package dagfile

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

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
		got, err := Loaded(files, f.Airflow, texts)
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
			got, err := Loaded(files, tt.airflow, texts)
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

// Patterns may not cost more than a bounded time.
func TestTooManyRules(t *testing.T) {
	files := []slipway.File{{Path: ".airflowignore", SHA256: "i"}, {Path: "a.py", DAG: true}}
	if _, err := Loaded(files, 3, map[string]string{"i": strings.Repeat("x*\n", maxRules+1)}); !errors.Is(err, errTooManyRules) {
		t.Errorf("%d patterns: %v", maxRules+1, err)
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
		got, err := Loaded(files, airflow, texts)
		if kind, _ := slipway.Explain(err); err != nil && kind == slipway.Internal {
			t.Fatalf("not a sentence for the user: %v", err)
		}
		again, _ := Loaded(files, airflow, texts)
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

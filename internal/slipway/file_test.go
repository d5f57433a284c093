package slipway

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestChanges(t *testing.T) {
	a := File{Path: "a.py", SHA256: "1"}
	b := File{Path: "b.py", SHA256: "2", DAG: true}
	for name, tt := range map[string]struct {
		old, new []File
		want     []Change
	}{
		"nothing":       {nil, nil, nil},
		"same":          {[]File{a, b}, []File{a, b}, nil},
		"added":         {[]File{b}, []File{a, b}, []Change{{Op: Added, Path: "a.py", New: a}}},
		"removed":       {[]File{a, b}, []File{a}, []Change{{Op: Removed, Path: "b.py", Old: b}}},
		"all removed":   {[]File{a, b}, nil, []Change{{Op: Removed, Path: "a.py", Old: a}, {Op: Removed, Path: "b.py", Old: b}}},
		"other content": {[]File{a}, []File{{Path: "a.py", SHA256: "2"}}, []Change{{Op: Changed, Path: "a.py", Old: a, New: File{Path: "a.py", SHA256: "2"}}}},
		"other mode":    {[]File{a}, []File{{Path: "a.py", SHA256: "1", Exec: true}}, []Change{{Op: Changed, Path: "a.py", Old: a, New: File{Path: "a.py", SHA256: "1", Exec: true}}}},
		"to a symlink":  {[]File{a}, []File{{Path: "a.py", Link: "b.py"}}, []Change{{Op: Changed, Path: "a.py", Old: a, New: File{Path: "a.py", Link: "b.py"}}}},
		"other target":  {[]File{{Path: "l", Link: "a"}}, []File{{Path: "l", Link: "b"}}, []Change{{Op: Changed, Path: "l", Old: File{Path: "l", Link: "a"}, New: File{Path: "l", Link: "b"}}}},
		"other pack":    {[]File{a}, []File{{Path: "a.py", SHA256: "1", Place: Place{Pack: "p", Offset: 9}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Changes(tt.old, tt.new); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Changes = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	base := []File{{Path: "a", SHA256: "1"}, {Path: "c", SHA256: "1"}}
	files := []File{{Path: "b", SHA256: "2"}, {Path: "c", SHA256: "2"}}
	teams := []File{{Path: "a/x", SHA256: "1"}, {Path: "b", SHA256: "1"}, {Path: "b.py", SHA256: "1"}, {Path: "b/deep/x", SHA256: "1"}, {Path: "b/x", SHA256: "1"}, {Path: "bb/x", SHA256: "1"}, {Path: "c/b/x", SHA256: "1"}}
	toB := []File{{Path: "b/x", SHA256: "2"}, {Path: "b/y", SHA256: "2"}}
	for name, tt := range map[string]struct {
		merge       Merge
		folder      string
		base, files []File
		want        string
	}{
		"add":                      {AddFiles, "", base, files, "a1 b2 c2"},
		"add to none":              {AddFiles, "", nil, files, "b2 c2"},
		"add none":                 {AddFiles, "", base, nil, "a1 c1"},
		"add to a folder":          {AddFiles, "b", teams, toB, "a/x1 b1 b.py1 b/deep/x1 b/x2 b/y2 bb/x1 c/b/x1"},
		"replace":                  {ReplaceAll, "", base, files, "b2 c2"},
		"replace by none":          {ReplaceAll, "", base, nil, ""},
		"replace all, in a folder": {ReplaceAll, "b", teams, toB, "b/x2 b/y2"},
		"a folder":                 {ReplaceFolder, "b", teams, toB, "a/x1 b1 b.py1 b/x2 b/y2 bb/x1 c/b/x1"},
		"a folder by none":         {ReplaceFolder, "b", teams, nil, "a/x1 b1 b.py1 bb/x1 c/b/x1"},
		"a folder in it":           {ReplaceFolder, "b/deep", teams, nil, "a/x1 b1 b.py1 b/x1 bb/x1 c/b/x1"},
		"a new folder":             {ReplaceFolder, "new", base, []File{{Path: "new/x", SHA256: "2"}}, "a1 c1 new/x2"},
		"the folder dags":          {ReplaceFolder, "", base, files, "b2 c2"},
		"unsaid":                   {"", "", base, files, "b2 c2"},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(tt.base)
			if got := tree(tt.merge.Apply(tt.folder, tt.base, tt.files)); got != tt.want {
				t.Errorf("Apply = %q, want %q", got, tt.want)
			}
			if !slices.Equal(tt.base, before) {
				t.Error("Apply wrote to what it was given")
			}
		})
	}
}

func TestInFolder(t *testing.T) {
	for _, tt := range []struct {
		folder, name string
		want         bool
	}{
		{"", "a.py", true}, {"", "", true}, {"b", "b", true}, {"b", "b/x.py", true}, {"b", "b/c/x.py", true}, {"b/c", "b/c/x.py", true},
		{"b", "", false}, {"b", "bb", false}, {"b", "b.py", false}, {"b", "B/x.py", false}, {"b", "a/b/x.py", false}, {"b/c", "b/x.py", false}, {"b/c", "b", false}, {"b", DAGsItself, false},
	} {
		if got := InFolder(tt.folder, tt.name); got != tt.want {
			t.Errorf("InFolder(%q, %q) = %v", tt.folder, tt.name, got)
		}
	}
}

func TestFilesIn(t *testing.T) {
	base := []File{{Path: "b"}, {Path: "b/x"}, {Path: "b/y/z"}, {Path: "bb/x"}}
	if got := FilesIn("b", base, base[:2]); got != (FolderFiles{2, 1}) {
		t.Errorf("FilesIn = %+v", got)
	}
}

func tree(files []File) string {
	var words []string
	for _, f := range files {
		words = append(words, f.Path+f.SHA256)
	}
	return strings.Join(words, " ")
}

// TestRandomTrees holds Apply, Changes and NewPlan against maps.
func TestRandomTrees(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		base, files := randomTree(r), randomTree(r)
		want := maps.Clone(files)
		merge, folder := ReplaceAll, ""
		switch r.IntN(3) {
		case 0:
			merge = AddFiles
			want = maps.Clone(base)
			maps.Copy(want, files)
		case 1:
			merge, folder = ReplaceFolder, "team"
			files = below(folder, files)
			base = below(folder, base)
			maps.Copy(base, randomTree(r))
			want = maps.Clone(base)
			maps.DeleteFunc(want, func(path string, _ File) bool { return strings.HasPrefix(path, "team/") })
			maps.Copy(want, files)
		}
		old, sent := sorted(base), sorted(files)
		next := merge.Apply(folder, old, sent)
		if !slices.Equal(next, sorted(want)) {
			t.Fatalf("%s of %v onto %v is %v, want %v", merge, sent, old, next, sorted(want))
		}
		if !slices.Equal(old, sorted(base)) || !slices.Equal(sent, sorted(files)) {
			t.Fatalf("Apply wrote to what it was given: %v, %v", old, sent)
		}
		if got := patched(t, base, Changes(old, next)); !maps.Equal(got, want) {
			t.Fatalf("the changes turn %v into %v, want %v", base, got, want)
		}
		checkPlan(t, planOf(old, next), base, want)
	}
}

// below returns files moved into a folder.
func below(folder string, files map[string]File) map[string]File {
	moved := map[string]File{}
	for _, f := range files {
		f.Path = folder + "/" + f.Path
		moved[f.Path] = f
	}
	return moved
}

func randomTree(r *rand.Rand) map[string]File {
	files := map[string]File{}
	for range r.IntN(8) {
		// "a-b" lies between "a" and "a/b": the order is that of bytes.
		path := []string{"a", "a-b", "a/b", "b", "B", "b/c", "z", "ü"}[r.IntN(8)]
		content := r.IntN(3)
		files[path] = File{Path: path, SHA256: strconv.Itoa(content), DAG: content == 2}
	}
	return files
}

func sorted(files map[string]File) []File {
	list := slices.Collect(maps.Values(files))
	SortFiles(list)
	return list
}

// patched carries out list on a copy of files.
func patched(t *testing.T, files map[string]File, list []Change) map[string]File {
	t.Helper()
	files = maps.Clone(files)
	for i, c := range list {
		old, there := files[c.Path]
		if there != (c.Op != Added) || old != c.Old || i > 0 && list[i-1].Path >= c.Path {
			t.Fatalf("change %+v of %v in %v", c, old, list)
		}
		if files[c.Path] = c.New; c.Op == Removed {
			delete(files, c.Path)
		}
	}
	return files
}

// planOf is NewPlan where Airflow loads all files marked as DAG.
func planOf(base, next []File) Plan {
	stays := func(path string) Stop {
		if slices.ContainsFunc(next, func(f File) bool { return f.Path == path }) {
			return StopPlain
		}
		return ""
	}
	return NewPlan(base, next).WithDAGs(dagsIn(base), dagsIn(next), stays)
}

func dagsIn(files []File) (paths []string) {
	for _, f := range files {
		if f.DAG {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

func checkPlan(t *testing.T, p Plan, base, next map[string]File) {
	t.Helper()
	want := Plan{Changes: p.Changes, NoDAGs: true}
	for path, f := range next {
		old, there := base[path]
		switch {
		case !there:
			want.Counts.Added++
		case old == f:
			want.Counts.Unchanged++
		default:
			want.Counts.Changed++
		}
		if f.DAG {
			want.NoDAGs = false
			want.DAGs.After++
		}
	}
	for _, path := range slices.Sorted(maps.Keys(base)) {
		if base[path].DAG {
			want.DAGs.Before++
		}
		if _, stays := next[path]; !stays {
			want.Counts.Removed++
			if base[path].DAG {
				want.RemovedDAGs = append(want.RemovedDAGs, path)
			}
		} else if base[path].DAG && !next[path].DAG {
			want.StoppedDAGs = append(want.StoppedDAGs, StopDAG{path, StopPlain})
		}
	}
	want.Counts.Files = len(next)
	if got, want := fmt.Sprintf("%+v", p), fmt.Sprintf("%+v", want); got != want {
		t.Fatalf("the plan is %s, want %s", got, want)
	}
}

func TestContentSum(t *testing.T) {
	a, b := File{Path: "a.py", SHA256: "1"}, File{Path: "b.py", SHA256: "2"}
	sum := ContentSum([]File{a, b})
	for name, tt := range map[string]struct {
		files []File
		same  bool
	}{
		"another order": {[]File{b, a}, true},
		"another place": {[]File{a, {Path: "b.py", SHA256: "2", Place: Place{Pack: "p"}, DAG: true}}, true},
		"a mode":        {[]File{a, {Path: "b.py", SHA256: "2", Exec: true}}, false},
		"a content":     {[]File{a, {Path: "b.py", SHA256: "3"}}, false},
		"a name":        {[]File{a, {Path: "c.py", SHA256: "2"}}, false},
		"a link":        {[]File{a, {Path: "b.py", Link: "2"}}, false},
		"one less":      {[]File{a}, false},
		"one more":      {[]File{a, b, {Path: "c.py", SHA256: "1"}}, false},
		"a long name":   {[]File{{Path: "a.py\" 1 false \"\"\n\"b.py", SHA256: "2"}}, false},
	} {
		if got := ContentSum(tt.files); got == sum != tt.same {
			t.Errorf("%s: %s and %s, want the same: %v", name, got, sum, tt.same)
		}
	}
}

func TestApplyKeepsModes(t *testing.T) {
	base := []File{{Path: "a.sh", SHA256: "1", Exec: true}, {Path: "b.sh", SHA256: "1"}, {Path: "c.sh", Exec: true, SHA256: "1"}, {Path: "z.sh", SHA256: "1", Exec: true}}
	files := []File{
		{Path: "a.sh", SHA256: "2", NoMode: true}, {Path: "b.sh", SHA256: "2", NoMode: true}, {Path: "c.sh", SHA256: "2"},
		{Path: "d.sh", SHA256: "2", NoMode: true}, {Path: "z.sh", SHA256: "2", NoMode: true},
	}
	sent := slices.Clone(files)
	for _, merge := range []Merge{AddFiles, ReplaceFolder, ReplaceAll} {
		var exec []string
		for _, f := range merge.Apply("", base, files) {
			if f.NoMode || f.SHA256 != "2" {
				t.Errorf("%s: %+v", merge, f)
			}
			if f.Exec {
				exec = append(exec, f.Path)
			}
		}
		if want := []string{"a.sh", "z.sh"}; !slices.Equal(exec, want) {
			t.Errorf("%s: executable are %q, want %q", merge, exec, want)
		}
	}
	if !slices.Equal(files, sent) {
		t.Error("Apply wrote to what it was given")
	}
}

func TestFolderBelowDAGs(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "team_a": "team_a", "/team_a/": "team_a", " team_a ": "team_a", "dags": "", "dags/": "", "/dags/team_a": "team_a", "dags/team_a/sql/": "team_a/sql",
		"./dags/team_a": "team_a", `dags\team_a\sql`: "team_a/sql", `team_a\`: "team_a", "dags//team_a": "team_a", "dagsy/x": "dagsy/x", "x/dags/y": "x/dags/y", ".": "", "./": "", "dags/dags/x": "dags/x",
	} {
		if got := FolderBelowDAGs(text); got != want {
			t.Errorf("FolderBelowDAGs(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestFindFiles(t *testing.T) {
	files := []File{{Path: "Orders.py"}, {Path: "orders/etl.sql"}, {Path: "sales/load_orders.py"}, {Path: "sales/orders.py"}, {Path: "z.py"}}
	for text, want := range map[string]string{
		" ORDERS ":        "Orders.py sales/orders.py sales/load_orders.py orders/etl.sql",
		"orders.py":       "Orders.py sales/orders.py sales/load_orders.py",
		"sales/orders.py": "sales/orders.py",
		"sales/":          "sales/load_orders.py sales/orders.py",
		"nothing":         "",
		" ":               "",
	} {
		var got []string
		for _, f := range FindFiles(files, text) {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q finds %q, want %q", text, got, want)
		}
	}
}

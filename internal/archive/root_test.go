package archive

import (
	"archive/tar"
	"fmt"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// dagFiles returns entries by name: a .py is a DAG file, but for names with "no_".
func dagFiles(names ...string) (list []testEntry) {
	for _, name := range names {
		e := testEntry{name: name, body: "DAG " + name}
		if strings.Contains(name, "no_") {
			e.body = "x"
		}
		if from, to, ok := strings.Cut(name, " -> "); ok {
			e = linkItem(from, to)
		}
		list = append(list, e)
	}
	return list
}

func TestFindRoot(t *testing.T) {
	known := func(names ...string) Search {
		return Search{Known: func(folder string) bool {
			for _, name := range names {
				if name == folder {
					return true
				}
			}
			return false
		}}
	}
	for name, tt := range map[string]struct {
		files  string // separated by commas
		search Search
		root   string // "" for the whole archive
		paths  string
		asks   string // the folders of the question
	}{
		"dags at the top":                 {files: "dags/a.py,README.md,x/b.py", root: "dags", paths: "a.py"},
		"dags in the wrapper":             {files: "r/dags/a.py,r/README.md,r/x/b.py", root: "r/dags", paths: "a.py"},
		"dags is a link":                  {files: "src/a.py,src/lib/no_b.py,dags -> src,README.md", root: "src", paths: "a.py lib/no_b.py"},
		"dags is a link, further down":    {files: "src/flows/a.py,dags -> ./src/flows", root: "src/flows", paths: "a.py"},
		"dags is a link to a link":        {files: "src/a.py,dags -> now,now -> src", root: "src", paths: "a.py"},
		"dags is a link in the wrapper":   {files: "r/src/a.py,r/dags -> src,r/Dockerfile", root: "r/src", paths: "a.py"},
		"deep":                            {files: "repo/airflow/dags/a.py,repo/airflow/dags/sql/x.sql,repo/README.md,repo/src/x.txt", root: "repo/airflow/dags", paths: "a.py sql/x.sql"},
		"deep without a wrapper":          {files: "airflow/dags/a.py,README.md,Dockerfile", root: "airflow/dags", paths: "a.py"},
		"deep, and a link":                {files: "airflow/dags -> ../src,src/a.py,README.md", root: "src", paths: "a.py"},
		"deep, and tests beside":          {files: "r/airflow/dags/a.py,r/airflow/tests/dags/test_a.py,r/plugins/op.py,r/.astro/test_dag_integrity_default.py", root: "r/airflow/dags", paths: "a.py"},
		"deep, no DAG file":               {files: "r/airflow/dags/no_a.py,r/README.md", root: "r/airflow/dags", paths: "no_a.py"},
		"other case":                      {files: "DAGs/a.py,README.md", root: "DAGs", paths: "a.py"},
		"other case in the wrapper":       {files: "r/Dags/a.py,r/README.md", root: "r/Dags", paths: "a.py"},
		"README beside the wrapper":       {files: "README.md,repo-main/dags/a.py,repo-main/Dockerfile", root: "repo-main/dags", paths: "a.py"},
		"folder of dags in dags":          {files: "dags/dags/a.py,dags/b.py", root: "dags", paths: "b.py dags/a.py"},
		"second dags without DAG files":   {files: "r/dags.d/x,r/one/dags/a.py,r/two/dags/x.sql", root: "r/one/dags", paths: "a.py"},
		"the repository is the folder":    {files: "repo-main/a.py,repo-main/lib/no_b.py,repo-main/README.md", root: "repo-main", paths: "README.md a.py lib/no_b.py"},
		"the repository has folders":      {files: "repo-main/x/a.py,repo-main/y/b.py,repo-main/README.md", root: "repo-main", paths: "README.md x/a.py y/b.py"},
		"only one folder in the wrapper":  {files: "repo-main/x/a.py,repo-main/x/no_b.py", root: "repo-main", paths: "x/a.py x/no_b.py"},
		"a wrapper that is known":         {files: "sales/a.py,sales/no_b.py", search: known("sales"), paths: "sales/a.py sales/no_b.py"},
		"a project with another name":     {files: "Dockerfile,requirements.txt,pipelines/a.py,plugins/op.py", root: "pipelines", paths: "a.py"},
		"the same in a wrapper":           {files: "r/Dockerfile,r/pipelines/a.py,r/tests/test_a.py,r/README.md", root: "r/pipelines", paths: "a.py"},
		"folders without a wrapper":       {files: "sales/a.py,ops/b.py,sql/x.sql", paths: "ops/b.py sales/a.py sql/x.sql"},
		"at the top":                      {files: "a.py,lib/b.py,README.md", paths: "README.md a.py lib/b.py"},
		"no DAG file":                     {files: "lib/no_b.py,x.sql", paths: "lib/no_b.py x.sql"},
		"one folder, known":               {files: "sales/a.py,sql/x.sql", search: known("sales"), paths: "sales/a.py sql/x.sql"},
		"one folder and something beside": {files: "sales/a.py,sql/x.sql", asks: ". sales"},
		"two folders of dags":             {files: "a/dags/x.py,b/dags/y.py", asks: ". a/dags b/dags"},
		"two of dags, known":              {files: "a/dags/x.py,b/dags/y.py", search: known("a", "b"), paths: "a/dags/x.py b/dags/y.py"},
		"two of dags in a wrapper":        {files: "r/a/dags/x.py,r/b/dags/y.py", asks: ". r r/a/dags r/b/dags"},
		"dags and DAG files at the top":   {files: "a.py,lib/dags/b.py", asks: ". lib/dags"},
		"dags and DAG files elsewhere":    {files: "x/a.py,y/dags/b.py", asks: ". x y/dags"},
		"added files":                     {files: "sales/a.py,sales/no_b.py", search: Search{Add: true}, paths: "sales/a.py sales/no_b.py"},
		"added project":                   {files: "r/dags/a.py,r/x", search: Search{Add: true}, root: "r/dags", paths: "a.py"},
		"added to a folder of the name":   {files: "sales/a.py,sales/no_b.py", search: Search{Add: true, Folder: "sales"}, root: "sales", paths: "a.py no_b.py"},
		"to a folder, packed with dags":   {files: "dags/team/a.py,dags/team/sql/x.sql,README.md", search: Search{Folder: "team"}, root: "dags/team", paths: "a.py sql/x.sql"},
		"to a folder, in the wrapper":     {files: "r/dags/team/no_a.py,r/README.md", search: Search{Folder: "team"}, root: "r/dags/team", paths: "no_a.py"},
		"to a folder, by its path":        {files: "team/sql/a.py,team/sql/no_b.py", search: Search{Folder: "team/sql"}, root: "team/sql", paths: "a.py no_b.py"},
		"to a folder, no DAG file":        {files: "team/x.sql,team/y.sql", search: Search{Folder: "team"}, root: "team", paths: "x.sql y.sql"},
		"to a folder of the name, twice":  {files: "team/team/a.py,team/team/no_b.py", search: Search{Folder: "team"}, root: "team", paths: "team/a.py team/no_b.py"},
		"to a folder around dags":         {files: "team/dags/a.py,team/x.txt", search: Search{Folder: "team"}, root: "team/dags", paths: "a.py"},
		"to another folder":               {files: "dags/ops/a.py", search: Search{Folder: "team"}, root: "dags", paths: "ops/a.py"},
		"to a folder alike":               {files: "dags/team_b/a.py", search: Search{Folder: "team"}, root: "dags", paths: "team_b/a.py"},
		"to a folder, others beside":      {files: "dags/team/a.py,dags/ops/b.py", search: Search{Folder: "team"}, asks: "dags dags/team"},
		"to a folder, added, others":      {files: "dags/team/a.py,dags/ops/b.py", search: Search{Folder: "team", Add: true}, root: "dags", paths: "ops/b.py team/a.py"},
		"to a folder without DAG files":   {files: "dags/sql/x.sql,dags/b.py", search: Search{Folder: "sql"}, root: "dags", paths: "b.py sql/x.sql"},
		"named":                           {files: "a/dags/x.py,b/dags/y.py", search: Search{Root: "b/dags"}, root: "b/dags", paths: "y.py"},
		"named loosely":                   {files: "a/dags/x.py,b/dags/y.py", search: Search{Root: "./b//dags/"}, root: "b/dags", paths: "y.py"},
		"named beside dags":               {files: "dags/x.py,b/y.py", search: Search{Root: "b"}, root: "b", paths: "y.py"},
		"named in the wrapper":            {files: "r/one/x.py,r/two/y.py", search: Search{Root: "two"}, root: "r/two", paths: "y.py"},
		"named a link":                    {files: "r/one/x.py,r/now -> one", search: Search{Root: "now"}, root: "r/one", paths: "x.py"},
		"named the whole":                 {files: "dags/x.py,b/y.py", search: Search{Root: "."}, paths: "b/y.py dags/x.py"},
		"ignored DAG files":               {files: "r/one/x.py,r/two/y.py,r/.slipwayignore=two/,r/Dockerfile", root: "r/one", paths: "x.py"},
	} {
		t.Run(name, func(t *testing.T) {
			var items []testEntry
			for _, file := range strings.Split(tt.files, ",") {
				if file, text, ok := strings.Cut(file, "="); ok {
					items = append(items, testEntry{name: file, body: text})
					continue
				}
				items = append(items, dagFiles(file)...)
			}
			for format, data := range map[string][]byte{"tar": tarOf(items...), "zip": zipOf(zipEntries(items...)...)} {
				sel, got, err := takenBy(t, data, DefaultLimits(), tt.search)
				if err != nil {
					t.Fatalf("%s: %v", format, err)
				}
				if tt.asks != "" {
					if names := choices(sel.Found); !sel.Found.Asks || names != tt.asks {
						t.Errorf("%s: root %q, asks %v, offers %s; want a question for %s", format, sel.Root, sel.Found.Asks, names, tt.asks)
					}
					continue
				}
				if sel.Root != tt.root || paths(sel) != tt.paths || sel.Found.Asks {
					t.Errorf("%s: %s below %q, asks %v; want %s below %q", format, paths(sel), sel.Root, sel.Found.Asks, tt.paths, tt.root)
				}
				if !strings.HasSuffix(sel.Root, "dags") && sel.Found.Why == "" {
					t.Errorf("%s: nothing says why %q was chosen", format, sel.Root)
				}
				for _, e := range sel.Entries {
					if _, ok := got[e.Name]; !ok && e.Link == "" {
						t.Errorf("%s: the content of %s was not read", format, e.Name)
					}
				}
			}
		})
	}
}

func choices(r slipway.Root) string {
	var names []string
	for _, c := range r.Others {
		names = append(names, c.Name())
	}
	return strings.Join(names, " ")
}

func TestFindRootRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		items  []testEntry
		search Search
		want   []string
	}{
		"link to nothing":  {append(dagFiles("src/a.py"), linkItem("dags", "gone")), Search{}, []string{`"dags"`, `"gone"`, "symlink"}},
		"link out":         {append(dagFiles("src/a.py"), linkItem("dags", "../src")), Search{}, []string{`"dags"`, "symlink"}},
		"absolute link":    {append(dagFiles("src/a.py"), linkItem("dags", "/src")), Search{}, []string{`"dags"`, "symlink"}},
		"link to a file":   {append(dagFiles("a.py"), linkItem("dags", "a.py")), Search{}, []string{`"dags"`, "symlink"}},
		"link in a circle": {append(dagFiles("a.py"), linkItem("dags", "x"), linkItem("x", "dags")), Search{}, []string{`"dags"`, "symlink"}},
		"no such folder":   {dagFiles("dags/a.py"), Search{Root: "other"}, []string{`"other"`, "dagsPath"}},
		"a file":           {dagFiles("dags/a.py", "x.py"), Search{Root: "x.py"}, []string{`"x.py"`, "folder"}},
		"two archives":     {[]testEntry{{name: "a.tar.gz", body: "x"}, {name: "b.tar", body: "x"}}, Search{}, []string{`"a.tar.gz"`, `"b.tar"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := takenBy(t, tarOf(tt.items...), DefaultLimits(), tt.search)
			wantRefusal(t, err, slipway.Invalid, tt.want...)
		})
	}
}

func TestInnerArchive(t *testing.T) {
	for name, tt := range map[string]struct {
		files  []testEntry
		search Search
		inner  string
	}{
		"alone":                  {files: []testEntry{{name: "dags.tar.gz", body: "x"}}, inner: "dags.tar.gz"},
		"tzst":                   {files: []testEntry{{name: "dags.tzst", body: "x"}}, inner: "dags.tzst"},
		"with notes":             {files: []testEntry{{name: "build/bundle.tgz", body: "x"}, {name: "sha256sum.txt", body: "x"}}, inner: "build/bundle.tgz"},
		"dags.zip":               {files: []testEntry{{name: "dags.zip", body: "x"}}, inner: "dags.zip"},
		"a packaged DAG":         {files: []testEntry{{name: "pack.zip", body: "x"}}},
		"beside DAG files":       {files: append(dagFiles("a.py"), testEntry{name: "data.tar.gz", body: "x"})},
		"in dags":                {files: []testEntry{{name: "dags/data.tar.gz", body: "x"}}},
		"the whole was named":    {files: []testEntry{{name: "dags.tar.gz", body: "x"}}, search: Search{Root: "."}},
		"a folder inside":        {files: []testEntry{{name: "dags.tar.gz", body: "x"}}, search: Search{Root: "x/dags"}, inner: "dags.tar.gz"},
		"added, one":             {files: []testEntry{{name: "dags.tar", body: "x"}}, search: Search{Add: true}, inner: "dags.tar"},
		"added with other files": {files: []testEntry{{name: "data.tar", body: "x"}, {name: "x.csv", body: "x"}}, search: Search{Add: true}},
		"a link":                 {files: []testEntry{{name: "x", body: "x"}, {name: "dags.tar", kind: tar.TypeSymlink, link: "x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			sel, _, err := takenBy(t, tarOf(tt.files...), DefaultLimits(), tt.search)
			if err != nil || sel.Inner != tt.inner {
				t.Errorf("inner archive %q, %v; want %q", sel.Inner, err, tt.inner)
			}
		})
	}
}

func TestRootsOfManyFoldersAreBounded(t *testing.T) {
	var names []string
	for i := range 3 * maxRoots {
		names = append(names, fmt.Sprintf("team_%d/dags/a.py", i))
	}
	sel, _, err := taken(t, tarOf(dagFiles(names...)...), DefaultLimits())
	if err != nil || !sel.Found.Asks || len(sel.Found.Others) != maxRoots {
		t.Errorf("%d folders offered, asks %v, %v", len(sel.Found.Others), sel.Found.Asks, err)
	}
}

// The folder that is taken is offered, and so are those with the most DAG files,
// whatever their names are and however many files lie before them.
func TestRootsOfferedHaveTheMostDAGs(t *testing.T) {
	var names []string
	for i := range 3 * maxRoots {
		names = append(names, fmt.Sprintf("team_%02d/dags/a.py", i))
	}
	for i := range 9 {
		names = append(names, fmt.Sprintf("zmain/dags/%d.py", i))
	}
	many := []string{"p/zoo/a.py", "p/sales/one.py"}
	for i := range 3 * maxRoots {
		many = append(many, fmt.Sprintf("p/finance/%02d.py", i))
	}
	for offered, names := range map[string][]string{"zmain/dags": names, "p/zoo": many} {
		sel, _, err := taken(t, tarOf(dagFiles(names...)...), DefaultLimits())
		if err != nil || !slices.ContainsFunc(sel.Found.Others, func(o slipway.RootChoice) bool { return o.Path == offered && o.DAGs > 0 }) {
			t.Errorf("%s is not among %v, %v", offered, sel.Found.Others, err)
		}
	}
}

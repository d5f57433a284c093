package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path that our own imports begin with.
const module = "slipway"

// top is the module's folder, seen from here.
const top = ".."

// rules is the folder of the nouns and rules.
const rules = "internal/slipway"

// may holds the arrows: what of ours the package in each folder may import. A
// package's tests may also import "store/storetest", and their own package.
// A new folder is added here on purpose; one that does not exist yet is no error.
var may = map[string][]string{
	"internal":                   {}, // the tests of the layout
	rules:                        {},
	"store":                      {rules, "internal/insights"},
	"internal/insights":          {rules},
	"store/storetest":            {rules, "store"},
	"internal/archive":           {rules, "internal/ignore"},
	"internal/dagfile":           {rules},
	"internal/ignore":            {},
	"internal/durable":           {},
	"internal/bundle":            {rules, "internal/archive", "internal/dagfile", "internal/durable"},
	"internal/bundle/buckettest": {}, // only for tests
	"internal/mount":             {rules, "internal/archive", "internal/durable", "internal/bundle"},
	"internal/image":             {rules},
	"internal/image/dockertest":  {}, // only for tests
	"internal/deploy":            {rules, "store", "internal/archive", "internal/dagfile", "internal/durable", "internal/bundle", "internal/image", "internal/datadir", "internal/diff", "internal/highlight", "internal/quota", "internal/secret"},
	"internal/deploy/deploytest": {rules, "store", "store/storetest", "internal/archive", "internal/bundle", "internal/image", "internal/deploy", "internal/agent"}, // only for tests
	"internal/diff":              {rules},
	"internal/highlight":         {rules},
	"internal/quota":             {rules},
	"internal/pydag":             {rules},
	"internal/secret":            {rules, "store", "internal/durable", "internal/datadir"},
	"internal/datadir":           {},
	"internal/inbound":           {rules},
	"internal/backup":            {rules, "store", "internal/durable", "internal/bundle", "internal/image", "internal/datadir"},
	"internal/auth":              {rules, "store"},
	"internal/agent":             {rules, "internal/durable", "internal/mount"},
	"internal/agent/docker":      {rules, "internal/agent"},
	"internal/agent/agenttest":   {rules, "internal/archive", "internal/bundle"}, // only for tests
	"views":                      {rules},
	"web":                        {rules, "store", "internal/insights", "internal/archive", "internal/image", "internal/deploy", "internal/auth", "internal/inbound", "views", "static", "docs", "web/api"},
	"web/api":                    {rules, "store", "internal/deploy", "internal/auth", "internal/inbound", "views"},
	"static":                     {},
	"docs":                       {},
	"cmd/slipway":                {rules, "store", "internal/archive", "internal/durable", "internal/bundle", "internal/image", "internal/deploy", "internal/backup", "internal/agent", "internal/agent/docker", "internal/auth", "internal/inbound", "web", "internal/datadir", "internal/secret"},
	"e2e":                        {"store/storetest"},
	"e2e/program":                {rules, "store", "store/storetest", "internal/durable", "internal/datadir"},
	"e2e/crash":                  {rules, "store", "internal/durable", "internal/bundle", "internal/image/dockertest", "internal/auth", "internal/datadir", "e2e/program"},
	"e2e/hostile":                {rules, "internal/datadir", "e2e/program"},
	"e2e/proxies":                {"store/storetest", "e2e/program"},
	"e2e/astro":                  {"internal/image/dockertest", "e2e/program"},
	"e2e/rollout":                {rules, "store", "internal/image/dockertest", "internal/datadir", "e2e/program"},
	"e2e/airflow":                {rules, "store", "store/storetest", "internal/image/dockertest"},

	// Programs that measure the portal from outside, and write what it stores to seed it.
	"scripts/bench":         {"internal/durable"},
	"scripts/bench-history": {rules, "store", "internal/archive", "internal/durable", "internal/bundle", "internal/mount", "internal/deploy"},
	"scripts/corpus":        {},

	// Fills a folder with the engine's own work, as cmd puts a portal together.
	"scripts/demo": {rules, "store", "internal/agent", "internal/archive", "internal/auth", "internal/bundle", "internal/datadir", "internal/deploy", "internal/image"},
}

// mayTest holds what tests may import beside: web's run agents, as cmd does.
var mayTest = map[string][]string{
	"internal/bundle":       {"internal/bundle/buckettest"},
	"internal/mount":        {"internal/bundle/buckettest"},
	"internal/deploy":       {"internal/insights", "internal/deploy/deploytest", "internal/bundle/buckettest", "internal/mount"},
	"internal/diff":         {"internal/deploy/deploytest"},                                                  // its tests compare what an engine stored
	"internal/backup":       {"internal/deploy", "internal/deploy/deploytest", "internal/bundle/buckettest"}, // its tests back up what an engine stored
	"web":                   {"internal/bundle", "internal/bundle/buckettest", "internal/agent"},
	"internal/image":        {"internal/image/dockertest"},
	"internal/agent":        {"internal/agent/agenttest"},
	"internal/agent/docker": {"internal/image/dockertest", "internal/agent/agenttest"},

	"cmd/slipway": {"internal/bundle/buckettest", "internal/image/dockertest", "e2e/program"},

	"web/api": {"internal/archive", "internal/bundle", "internal/image", "internal/image/dockertest", "internal/agent", "web"}, // its tests ask the whole portal
}

func TestImports(t *testing.T) {
	for _, file := range goFiles(t) {
		dir := path.Dir(file)
		allowed, known := may[dir]
		if !known {
			t.Errorf("%s: the folder is not in the table of what may import what", file)
			continue
		}
		for _, name := range ours(t, file) {
			if !slices.Contains(allowed, name) && !(isTest(file) && forTests(dir, name)) {
				t.Errorf("%s imports %s, want only %q", file, name, allowed)
			}
		}
	}
}

// An arrow that nothing follows any more would let the next mistake through.
func TestEveryArrowIsUsed(t *testing.T) {
	used := map[string][]string{}
	for _, file := range goFiles(t) {
		dir := path.Dir(file)
		used[dir] = append(used[dir], ours(t, file)...)
	}
	for dir, allowed := range may {
		for _, name := range allowed {
			if used[dir] != nil && !slices.Contains(used[dir], name) {
				t.Errorf("nothing in %s imports %s: take the arrow out of the table", dir, name)
			}
		}
	}
}

// The rules import the standard library only: no import with a dot in its first
// element.
func TestRulesImportTheStandardLibraryOnly(t *testing.T) {
	for _, file := range goFiles(t) {
		if path.Dir(file) != rules || isTest(file) {
			continue
		}
		for _, name := range imports(t, file) {
			if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s", file, name)
			}
		}
	}
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.go") }

// forTests reports whether tests in dir may import name though the package may not.
func forTests(dir, name string) bool {
	return name == "store/storetest" || name == dir || slices.Contains(mayTest[dir], name)
}

// goFiles returns the paths of all Go files of this module, with slashes.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != top && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".go"):
			files = append(files, filepath.ToSlash(strings.TrimPrefix(name, top+string(filepath.Separator))))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// ours returns the folders of our own packages that file imports.
func ours(t *testing.T, file string) []string {
	t.Helper()
	var folders []string
	for _, name := range imports(t, file) {
		if folder, ok := strings.CutPrefix(name, module+"/"); ok {
			folders = append(folders, folder)
		}
	}
	return folders
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	// Parsed here: asked for its answer, go list would come from go test's cache.
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, filepath.FromSlash(file)), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Limits of rooms: somebody new finds a thing by its file and its type.
const (
	maxFiles   = 30 // in a package, without tests and generated files
	maxMethods = 60 // on a type
	maxAway    = 15 // percent of all methods outside the file of their type
)

// Packages and types that the limits leave out: web and views have a file for
// each page, and all queries are methods of one transaction.
var (
	manyFiles   = map[string]bool{"web": true, "views": true}
	manyMethods = map[string]bool{"store.Tx": true, "web.Server": true}
)

// room is a package as the limits see it.
type room struct {
	files   int
	home    map[string]string   // file by type
	methods map[string][]string // files by receiver, one for each method
}

// rooms reads all packages below root, without tests and generated files.
func rooms(t *testing.T, root string) map[string]*room {
	t.Helper()
	all := map[string]*room{}
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			if name := e.Name(); name == "testdata" || name == "scripts" || name == "e2e" || name != ".." && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil || ast.IsGenerated(file) {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		r := all[dir]
		if r == nil {
			r = &room{home: map[string]string{}, methods: map[string][]string{}}
			all[dir] = r
		}
		r.add(filepath.Base(path), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (r *room) add(name string, file *ast.File) {
	r.files++
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if s, ok := s.(*ast.TypeSpec); ok {
					r.home[s.Name.Name] = name
				}
			}
		case *ast.FuncDecl:
			if d.Recv != nil {
				to := receiver(d.Recv.List[0].Type)
				r.methods[to] = append(r.methods[to], name)
			}
		}
	}
}

// receiver returns the name of a method's type.
func receiver(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

func TestRoomsStaySmall(t *testing.T) {
	total, away := 0, 0
	all := rooms(t, "..")
	if len(all) < 20 {
		t.Fatalf("%d packages were read: this test looks in the wrong place", len(all))
	}
	for dir, r := range all {
		if r.files > maxFiles && !manyFiles[dir] {
			t.Errorf("%s has %d files, want at most %d: make a package of those around one noun, or put small ones together", dir, r.files, maxFiles)
		}
		for name, files := range r.methods {
			if manyMethods[dir+"."+name] {
				continue
			}
			if len(files) > maxMethods {
				t.Errorf("%s.%s has %d methods, want at most %d: divide the type by its jobs", dir, name, len(files), maxMethods)
			}
			for _, f := range files {
				total++
				if f != r.home[name] {
					away++
				}
			}
		}
	}
	if away*100 > total*maxAway {
		t.Errorf("%d of %d methods stand outside the file of their type, want at most %d %%", away, total, maxAway)
	}
}

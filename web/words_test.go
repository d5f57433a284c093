package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Words of pages stand in views: here no string has four words or more, but for
// log lines, errors for operators, and the answers to programs in these files.
var answersToPrograms = []string{
	"agents.go", "agents_log.go", // the protocol of agents
	"registry.go", "registry_principal.go", // clients of the registry
	"metrics.go", // help texts for Prometheus
	"uploads.go", // headers of tus
}

// notWords are strings with spaces that nobody reads.
var notWords = []string{
	contentPolicy, "form-action 'self' http://localhost:12345", "sandbox; default-src 'none'",
	`<hx-partial hx-target="#%s" hx-swap="outerMorph">%s</hx-partial>`,
}

func TestWordsOfPagesStandInViews(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(answersToPrograms, name) {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, lit := range wordsIn(f) {
			t.Errorf("%s: move the words to views: %s", fset.Position(lit.Pos()), lit.Value)
		}
	}
}

// wordsIn returns the strings of f with four words or more, outside log calls
// and wrapped errors.
func wordsIn(f *ast.File) (all []*ast.BasicLit) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			return !forOperators(n)
		case *ast.BasicLit:
			text, err := strconv.Unquote(n.Value)
			if n.Kind == token.STRING && err == nil && len(strings.Fields(text)) >= 4 && !slices.Contains(notWords, text) {
				all = append(all, n)
			}
		}
		return true
	})
	return all
}

// forOperators reports whether a call logs or wraps an error.
func forOperators(call *ast.CallExpr) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch x := sel.X.(type) {
	case *ast.Ident:
		return x.Name == "fmt" && sel.Sel.Name == "Errorf"
	case *ast.SelectorExpr:
		return x.Sel.Name == "log"
	}
	return false
}

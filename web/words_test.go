package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
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

// oldPhrases were not clear to people who had never seen Slipway.
var oldPhrases = []string{
	"Its default of 300 s", "stands in the deploy history", "how this mends it", "Whatever its name is", "Is next.", "Leave it as it is",
	"Keep what is there", "Replace it by a file", "As it was then", "Take back", "taken back", "called back", "Call back", "moves nothing", "One Airflow.",
	"A few words are good", "is at hand", "would free", "Yes, there is no DAG file", "Every request but those", "for its turn\"", ">Keep</a>", "Keep them o",
}

// TestOldPhrasesAreGone looks for them in pages, refusals, answers and documents.
func TestOldPhrasesAreGone(t *testing.T) {
	for _, pattern := range []string{
		"../views/*.templ", "../views/*.go", "*.go", "api/*.go", "api/openapi.yaml", "../internal/*/*.go", "../store/*.go", "../docs/*.md", "../README.md", "../static/*.js",
	} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, phrase := range oldPhrases {
				if strings.Contains(string(text), phrase) {
					t.Errorf("%s has %q", name, phrase)
				}
			}
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

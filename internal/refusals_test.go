package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// nextSteps begin the sentence of a refusal that says how to go on.
var nextSteps = strings.Fields(`Add Ask Change Choose Compress Copy Delete Enable Join Leave Make Name Open Pack Put Remove Rename Save Shorten Type
	Upload Use`)

// holdsStep is the format of refusals with a next step in the last argument.
const holdsStep = "The entry %s is %s."

// sentenceEnd is where one sentence of a refusal ends and the next begins.
var sentenceEnd = regexp.MustCompile(`[.:] `)

// TestRefusalsSayHowToGoOn reads the refusals of archives, and of what people type about
// themselves and their Workspaces: each says what is wrong, and names a step that
// the reader can take.
func TestRefusalsSayHowToGoOn(t *testing.T) {
	files, err := filepath.Glob("archive/*.go")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "slipway/member.go")
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, text := range refusals(t, name) {
			found++
			if text != holdsStep && !saysStep(sentenceEnd.Split(text, -1)) {
				t.Errorf("%s: %q does not say how to go on", name, text)
			}
		}
	}
	if found < 60 {
		t.Errorf("%d refusals in %d files, want at least 60", found, len(files))
	}
}

// saysStep reports whether one of the parts of a refusal begins with a next step.
func saysStep(parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool {
		first, _, _ := strings.Cut(part, " ")
		return slices.Contains(nextSteps, first)
	})
}

// refusals are the texts of the calls of Errorf in a file.
func refusals(t *testing.T, name string) (texts []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 2 {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.Ident:
			ok = f.Name == "Errorf"
		case *ast.SelectorExpr:
			from, isName := f.X.(*ast.Ident)
			ok = f.Sel.Name == "Errorf" && isName && from.Name == "slipway"
		}
		if !ok {
			return true
		}
		text, isText := call.Args[1].(*ast.BasicLit)
		if !isText {
			t.Errorf("%s: a refusal without a text of its own", name)
			return true
		}
		said, err := strconv.Unquote(text.Value)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, said)
		return true
	})
	return texts
}

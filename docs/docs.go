// Package docs renders the documentation for the pages of the portal.
package docs

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

//go:embed *.md decisions/*.md
var files embed.FS

// Page is a rendered document.
type Page struct {
	Name     string // path in this folder: "operations.md"
	Title    string
	Headings []Heading // of the second level
	HTML     string
}

// Heading is a heading with its anchor.
type Heading struct{ ID, Text string }

// order is the order of the documents in a menu: what users need first. Others
// follow by name.
var order = []string{
	"airflow.md", "agents.md", "image-deploys.md", "rollout.md", "astro-cli.md", "api.md", "insights.md", "operations.md", "proxies.md", "crashes.md", "benchmarks.md", "architecture.md",
}

// All returns every document, rendered once.
var All = sync.OnceValues(func() (all []Page, err error) {
	err = fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		source, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		p, err := render(name, source)
		all = append(all, p)
		return err
	})
	slices.SortFunc(all, func(a, b Page) int {
		if by := place(a.Name) - place(b.Name); by != 0 {
			return by
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, err
})

// place is the place of a document in order.
func place(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// render returns the document name with the source given.
func render(name string, source []byte) (Page, error) {
	md := goldmark.New(
		goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), extension.Linkify, extension.Strikethrough),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
	)
	root := md.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(anchors{}))))
	p := Page{Name: name, Title: name}
	for _, link := range p.read(root, source) {
		unlink(link)
	}
	var out bytes.Buffer
	if err := md.Renderer().Render(&out, source, root); err != nil {
		return p, fmt.Errorf("render %s: %w", name, err)
	}
	p.HTML = wide.Replace(out.String())
	return p, nil
}

// wide lets tables and code scroll for themselves. The renderer escapes every
// such sign of the text.
var wide = strings.NewReplacer(
	"<table>", `<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>`, "</table>", "</table></div>",
	"<pre>", `<pre class="code plain" tabindex="0">`,
)

// read takes the title and the headings from a document, and returns the links
// that lead out of this folder.
func (p *Page) read(root ast.Node, source []byte) (out []*ast.Link) {
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // no step fails
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			words := plain(n, source)
			if n.Level == 1 {
				p.Title = words
			}
			if id, ok := n.AttributeString("id"); ok && n.Level == 2 {
				p.Headings = append(p.Headings, Heading{string(id.([]byte)), words})
			}
		case *ast.Link:
			if to := string(n.Destination); !strings.Contains(to, "://") && !strings.HasPrefix(to, "#") && !exists(p.Name, to) {
				out = append(out, n)
			}
		}
		return ast.WalkContinue, nil
	})
	return out
}

// exists reports whether a link from a document leads to another one. Links to
// the folder of decisions lead to the first.
func exists(from, to string) bool {
	to, _, _ = strings.Cut(to, "#")
	_, err := files.ReadFile(path.Join(path.Dir(from), to))
	return err == nil
}

// plain returns the text below n.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // no step fails
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// unlink puts the words of a link in place of the link.
func unlink(l *ast.Link) {
	parent := l.Parent()
	for c := l.FirstChild(); c != nil; c = l.FirstChild() {
		parent.InsertBefore(parent, l, c)
	}
	parent.RemoveChild(parent, l)
}

// anchors makes the anchors of a document's headings as GitHub does.
type anchors map[string]bool

// Generate returns the anchor of a heading.
func (a anchors) Generate(value []byte, _ ast.NodeKind) []byte {
	id := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(string(value)))
	for n, first := 1, id; a[id]; n++ {
		id = first + "-" + strconv.Itoa(n)
	}
	a[id] = true
	return []byte(id)
}

// Put marks an anchor as taken.
func (a anchors) Put(value []byte) { a[string(value)] = true }

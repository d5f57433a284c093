package highlight

import (
	"embed"
	"path"
	"strings"
	"sync"

	"github.com/alecthomas/chroma/v2"
)

// The languages of DAG folders alone: all that chroma knows would add 4 MB to the
// program, and 300 files to read at each start.
//
//go:embed lexers/*.xml
var files embed.FS

// languages names the language of files by extension, or by the whole name in lower
// case.
var languages = map[string]string{
	".py": "Python", ".pyi": "Python",
	".sql": "SQL", ".ddl": "SQL", ".dml": "SQL", ".hql": "SQL",
	".yaml": "YAML", ".yml": "YAML", ".json": "JSON", ".ipynb": "JSON", ".avsc": "JSON",
	".toml": "TOML", ".lock": "TOML", ".ini": "INI", ".cfg": "INI", ".conf": "INI", ".properties": "INI", ".env": "INI",
	".sh": "Bash", ".bash": "Bash", ".md": markdown, ".markdown": markdown,
	".xml": "XML", ".html": "XML", ".htm": "XML", ".svg": "XML", ".xsd": "XML",
	".jinja": "Django/Jinja", ".jinja2": "Django/Jinja", ".j2": "Django/Jinja",
	"dockerfile": "Docker", ".dockerfile": "Docker", "containerfile": "Docker",
}

const markdown = "Markdown"

// lexers are read at the first need.
var lexers = sync.OnceValue(func() *chroma.LexerRegistry {
	all := chroma.NewLexerRegistry()
	entries, err := files.ReadDir("lexers")
	if err != nil {
		panic(err) // the files are part of the program
	}
	for _, e := range entries {
		all.Register(chroma.MustNewXMLLexer(files, "lexers/"+e.Name()))
	}
	all.Register(chroma.MustNewLexer(&chroma.Config{Name: markdown}, markdownRules))
	return all
})

// lexerOf returns the lexer for the file at a path, nil for an unknown language.
func lexerOf(name string) chroma.Lexer {
	base := strings.ToLower(path.Base(name))
	language := languages[base]
	if language == "" {
		language = languages[path.Ext(base)]
	}
	if language == "" {
		return nil
	}
	return lexers().Get(language)
}

// markdownRules are headings, code, quotes, lists and links: chroma has Markdown as a
// program, not as a file.
func markdownRules() chroma.Rules {
	return chroma.Rules{"root": {
		{Pattern: "^```[^\\n]*\\n(?:(?!```)[^\\n]*\\n)*```", Type: chroma.LiteralString},
		{Pattern: `^#{1,6} [^\n]*`, Type: chroma.Keyword},
		{Pattern: `^ *>[^\n]*`, Type: chroma.Comment},
		{Pattern: `^ *(?:[-*+]|\d+\.)(?= )`, Type: chroma.Keyword},
		{Pattern: "`[^`\\n]+`", Type: chroma.LiteralString},
		{Pattern: `\]\([^)\n]*\)`, Type: chroma.NameAttribute},
		{Pattern: "[^`\\]\\n]+|[`\\]]", Type: chroma.Text},
		{Pattern: `\n`, Type: chroma.Text},
	}}
}

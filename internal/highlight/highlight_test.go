package highlight

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/slipway"
)

// inked writes the inks of a text: "k:def f:load …".
func inked(path, text string) string {
	var all []string
	lines := strings.Split(text, "\n")
	for i, inks := range NewReader().Lines(context.Background(), path, lines) {
		for _, k := range inks {
			all = append(all, fmt.Sprintf("%c:%s", k.Class, lines[i][k.From:k.To]))
		}
	}
	return strings.Join(all, " ")
}

func TestLines(t *testing.T) {
	for name, tt := range map[string]struct{ path, text, want string }{
		"python":          {"dags/a.py", "@dag(retries=3)\ndef load(x):\n    return x or 'é' # why", "f:@dag n:3 k:def f:load k:return k:or s:'é' c:# why"},
		"calls":           {"a.py", "merge = Operator(a.b(1))", "f:Operator f:b n:1"},
		"text over lines": {"a.py", "x = \"\"\"one\n\n  two\"\"\"", "s:\"\"\"one s:  two\"\"\""},
		"sql":             {"a.sql", "SELECT 1 -- one", "k:SELECT n:1 c:-- one"},
		"yaml":            {"a.yml", "retries: 3 # few", "f:retries n:3 c:# few"},
		"json":            {"a.json", `{"a": [1, true]}`, `f:"a" n:1 k:true`},
		"toml":            {"pyproject.toml", "a = 1", "n:1"},
		"ini":             {"airflow.cfg", "[core]\na = b", "k:[core] f:a s:b"},
		"bash":            {"run.sh", "if true; then echo 'a'; fi", "k:if k:then f:echo s:'a' k:fi"},
		"docker":          {"sub/Dockerfile", "FROM a\nRUN echo 1", "k:FROM s:a k:RUN f:echo n:1"},
		"xml":             {"a.xml", "<a b=\"c\">d</a>", "f:<a f:b= s:\"c\" f:> f:</a>"},
		"jinja":           {"a.sql.j2", "{{ ds }} {# no #}", "f:{{ f:}} c:{# no #}"},
		"markdown":        {"README.md", "# Title\ntext `code`\n```\n# x\n```", "k:# Title s:`code` s:``` s:# x s:```"},
		"carriage return": {"a.py", "x = 1\r\ny = 2", "n:1 n:2"},
		"broken":          {"a.py", "def (((\"\n\x01 ' x\nreturn 1", ""},
		"unknown":         {"a.csv", "1,2", ""},
		"empty":           {"a.py", "", ""},
		"long line":       {"a.py", "x = 1\n#" + strings.Repeat("x", maxLine), ""},
		"large":           {"a.py", strings.Repeat("x = 1\n", maxBytes/6+1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := inked(tt.path, tt.text)
			if name != "broken" && got != tt.want {
				t.Errorf("inks %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A side of a difference is read once, and a line has the inks of its own content.
func TestDiff(t *testing.T) {
	d := slipway.FileDiff{Path: "a.py", Hunks: []slipway.Hunk{
		{Lines: []slipway.DiffLine{{Op: '-', Old: 2, Text: "two = '''"}, {Op: '+', New: 2, Text: "two = 2"}}},
		{Lines: []slipway.DiffLine{{Op: ' ', Old: 4, New: 3, Text: "a = 1"}, {Op: '-', Old: 5, Text: "b"}}},
	}}
	NewReader().Diff(t.Context(), &d, []byte("'''\ntwo = '''\n\n\nb"), []byte("\r\ntwo = 2\r\na = 1\r\n"))
	ink := func(from, to int, class byte) []slipway.Ink {
		return []slipway.Ink{{Span: slipway.Span{From: from, To: to}, Class: class}}
	}
	want := [][]slipway.Ink{ink(0, 9, 's'), ink(6, 7, 'n'), ink(4, 5, 'n'), nil}
	var got [][]slipway.Ink
	for _, h := range d.Hunks {
		for _, l := range h.Lines {
			got = append(got, l.Inks)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inks (-want +got):\n%s", diff)
	}
}

// A text that costs too much is plain, and a reader does not wait.
func TestTime(t *testing.T) {
	text := strings.Repeat("x = f(1) + [a for a in b if a or 'c']  # d\n", 10_000)
	start := time.Now()
	if inks := read(lexerOf("a.py"), text, strings.Split(text, "\n"), start); inks != nil {
		t.Error("a text is read although the time was over")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}

// A text that was read is kept, and the texts that were read last push others out.
func TestKept(t *testing.T) {
	r := NewReader()
	first := r.Lines(t.Context(), "a.py", []string{"x = 1"})
	if again := r.Lines(t.Context(), "b.py", []string{"x = 1"}); &again[0] != &first[0] {
		t.Error("the same text is read again")
	}
	for n := range keptTexts {
		r.Lines(t.Context(), "a.py", []string{fmt.Sprintf("y = %d", n)})
	}
	if _, ok := r.kept.find(keyOf("Python", "x = 1")); ok || len(r.kept.list) != keptTexts {
		t.Errorf("%d texts are kept, the first among them: %v", len(r.kept.list), ok)
	}
}

// Languages are a small part of the program: all of chroma's are 2.5 MB.
func TestLexersAreSmall(t *testing.T) {
	entries, err := os.ReadDir("lexers")
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 100_000 || len(entries) < 10 {
		t.Errorf("%d files are %d bytes, want at most 100,000", len(entries), total)
	}
}

// Every language of the list has a lexer.
func TestLanguages(t *testing.T) {
	for name, language := range languages {
		if l := lexers().Get(language); l == nil || l.Config().Name != language {
			t.Errorf("%s: no lexer is named %s", name, language)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a.py", "def f():\n  '")
	f.Add("a.md", "```\n")
	f.Fuzz(func(t *testing.T, path, text string) {
		lines := strings.Split(text, "\n")
		for i, inks := range NewReader().Lines(context.Background(), path, lines) {
			at := 0
			for _, k := range inks {
				if k.From < at || k.To <= k.From || k.To > len(lines[i]) {
					t.Fatalf("line %q has inks %v", lines[i], inks)
				}
				at = k.To
			}
		}
	})
}

func BenchmarkLines(b *testing.B) {
	lines := strings.Split(strings.Repeat("x = f(1) + [a for a in b if a or 'c']  # d\n", 1000), "\n")
	for b.Loop() {
		NewReader().Lines(b.Context(), "a.py", lines)
	}
}

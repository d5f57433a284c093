package pydag

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// hostile are files made to crash, stall or fill a reader.
func hostile() map[string][]byte {
	times := strings.Repeat
	var chain, defs strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&chain, "a%d = a%d + a%d\n", i+1, i, i)
		fmt.Fprintf(&defs, "def f%d(): f%d(); f%d()\n", i+1, i, i)
	}
	files := map[string]string{
		"brackets":              times("[", 1_000_000),
		"199 brackets":          times("[", 199) + times("]", 199),
		"calls":                 times("f(", 300_000),
		"braces":                times("{", 500_000),
		"minus":                 times("-", 1_000_000) + "1",
		"not":                   times("not ", 250_000) + "1",
		"lambda":                times("lambda:", 140_000) + "1",
		"if else":               times("1 if 1 else ", 80_000) + "1",
		"power":                 times("2**", 300_000) + "1",
		"sum":                   times("1+", 500_000) + "1",
		"attributes":            "a" + times(".a", 500_000),
		"subscripts":            "a" + times("[0]", 300_000),
		"compare":               times("a<", 500_000) + "a",
		"await":                 times("await ", 170_000) + "a",
		"f-strings":             times("f\"{", 300_000),
		"f-strings, two quotes": times("f'{f\"{", 150_000),
		"f-string formats":      "f\"" + times("{a:", 300_000),
		"indentation":           indented(1_000),
		"elif":                  "if a: pass\n" + times("elif a: pass\n", 70_000),
		"with":                  "with " + times("a as b, ", 100_000) + "c: pass",
		"newlines":              times("\n", 1_000_000),
		"continued lines":       times("\\\n", 500_000),
		"semicolons":            times("a;", 500_000),
		"list":                  "x = [" + times("1,", 500_000) + "]",
		"long string":           "x = '" + times("a", 1_000_000) + "'",
		"long name":             times("a", 1_000_000),
		"long comment":          "#" + times("a", 1_000_000),
		"long number":           times("9", 1_000_000),
		"decorators":            times("@a\n", 300_000) + "def f(): pass",
		"triple quotes":         times(`"""`, 333_333),
		"import":                "import " + times("a.", 400_000) + "a",
		"match":                 "match a:\n case " + times("[", 199) + times("]", 199) + ": pass",
		"patterns":              "match a:\n case " + times("a|", 400_000) + "a: pass",
		"doubled text":          "a0 = 'x' * 1 + 'xx'\na0 = 'xx'\n" + chain.String(),
		"doubled list":          "a0 = [1, 2]\n" + chain.String(),
		"list in itself":        "a = []\na.append(a)\na += a\nfrom airflow import DAG\nDAG('a', schedule=a, tags=a)\n",
		"functions":             "def f0(): pass\n" + defs.String() + "f20000()\n",
		"recursion":             "def f(a): f(a); f(a); f(a)\nf(1)\n",
		"endless loop":          "while True: pass\n",
		"loops":                 times("for i in range(500): ", 1) + "\n  for j in range(500):\n    for k in range(500): DAG(f'{i}_{j}_{k}')\n",
		"zip":                   "a = range(500)\n" + times("zip("+times("a,", 100)+")\n", 1_000),
		"nul":                   "a\x00b",
		"surrogates":            "x = '\\ud800'\nfrom airflow import DAG\nDAG('\\ud800')\n",
		"empty":                 "",
		"only a mark":           "\xef\xbb\xbf",
	}
	all := map[string][]byte{"random": []byte(times("\xff\xfe\x00\x80(", 100_000))}
	for name, text := range files {
		all[name] = []byte(text)
	}
	return all
}

func indented(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "if a:\n")
	}
	b.WriteString(strings.Repeat(" ", depth) + "pass\n")
	return b.String()
}

// Each ends in a result or in a sentence, and the reader goes on.
func TestHostileFiles(t *testing.T) {
	r := opened(t, 2)
	for name, b := range hostile() {
		t.Run(name, func(t *testing.T) {
			f, err := r.Read(context.Background(), "h.py", b, minor)
			if kind, text := slipway.Explain(err); err != nil && kind != slipway.Invalid && kind != slipway.TooLarge {
				t.Errorf("Read: %v (%s), want a result or a refusal", err, text)
			}
			for _, e := range f.Errors {
				if e.Line < 1 || e.Column < 1 || e.Text == "" || len([]rune(e.Excerpt)) > excerptMax {
					t.Errorf("the error %+v has no place, no text or a long excerpt", e)
				}
			}
			if f := read(t, r, "import os\n"); len(f.Imports) != 1 {
				t.Errorf("the next file has the imports %v, want one", f.Imports)
			}
			if testing.Verbose() {
				t.Logf("%d bytes: %d errors, %d DAGs, %d notes, %v", len(b), len(f.Errors), len(f.DAGs), len(f.Notes), err)
			}
		})
	}
	for _, box := range r.idle {
		if box.memory() > keepMax {
			t.Errorf("a sandbox of %d bytes is kept, want at most %d", box.memory(), keepMax)
		}
	}
}

func FuzzRead(f *testing.F) {
	for name, b := range hostile() {
		if len(b) < 1_000 {
			f.Add(b)
		} else if cut := b[:200]; name != "" {
			f.Add(bytes.Clone(cut))
		}
	}
	f.Add([]byte("from airflow.sdk import dag, task\n@dag(schedule='@daily')\ndef a():\n  @task\n  def b(): ...\n  b.override(task_id='c').partial(x=1).expand(y=[1])\na()\n"))
	f.Add([]byte("# coding: latin-1\nfor i, x in enumerate([*'ab', f\"{1:>{2}}\"]):\n with DAG('%s' % i) as d, TaskGroup(group_id='g'): AOperator.partial(task_id='a').expand()\n"))
	r := opened(f, 1)
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := r.Read(context.Background(), "a.py", b, minor)
		if kind, _ := slipway.Explain(err); err != nil && kind != slipway.Invalid && kind != slipway.TooLarge {
			t.Fatalf("Read: %v, want a result or a refusal", err)
		}
		for _, e := range file.Errors {
			if e.Line < 1 || e.Column < 1 || e.Text == "" {
				t.Errorf("the error %+v has no place or no text", e)
			}
		}
		for _, d := range file.DAGs {
			if d.Line < 1 {
				t.Errorf("the DAG %+v has no place", d)
			}
		}
	})
}

package pydag

import (
	"context"
	"strings"
	"testing"
)

func TestSyntaxErrors(t *testing.T) {
	r := opened(t, 1)
	for name, tt := range map[string]struct {
		text         string
		python       int
		line, column int // of the first error; 0 for none
		words        string
	}{
		"valid":                 {text: "x = f\"{a['b']}\"\n"},
		"nested quotes":         {text: "x = f\"{a[\"[\"]:>{w}}\"\n"},
		"nested quotes in 3.11": {text: "x = f\"{a[\"b\"]}\"\n", python: 11, line: 1, column: 10, words: "3.11"},
		"never closed":          {text: "x = (1,\ny = 2\n", line: 1, column: 5, words: "'(' was never closed"},
		"mismatch":              {text: "x = (1]\n", line: 1, column: 7, words: "does not match"},
		"unmatched":             {text: "x = 1)\n", line: 1, column: 6, words: "unmatched ')'"},
		"comma":                 {text: "x = [é, b c]\n", line: 1, column: 9, words: "forgot a comma"},
		"string":                {text: "é = 'a\n", line: 1, column: 5, words: "unterminated string literal"},
		"carriage returns":      {text: "a = 1\rb = )\r", line: 2, column: 5, words: "unmatched"},
		"201 brackets":          {text: strings.Repeat("(", 201), line: 1, column: 201, words: "too many nested"},
		"except in 3.14":        {text: "try: pass\nexcept A, B: pass\n", python: 14},
		"except in 3.13":        {text: "try: pass\nexcept A, B: pass\n", line: 2, column: 8, words: "parenthes"},
		"return outside":        {text: "x = 1\nreturn x\n", line: 2, column: 1, words: "return"},
		"keyword twice":         {text: "f(a=1, a=2)\n", line: 1, column: 8, words: "a"},
		"parameter twice":       {text: "def f(a, a): pass\n", line: 1, column: 10, words: "a"},
		"break outside":         {text: "for a in b: pass\nelse: break\n", line: 2, column: 7, words: "break"},
		"break in a loop":       {text: "while a:\n  if b: break\n"},
		"yield in a method":     {text: "class A:\n  def f(self):\n    yield 1\n"},
		"await at the top":      {text: "await f()\n", line: 1, column: 1, words: "await"},
		"async comprehension":   {text: "async def f():\n  return [await x async for x in y]\n"},
		"global after use":      {text: "def f():\n  print(x)\n  global x\n", line: 2, column: 9, words: "global"},
		"late future":           {text: "import os\nfrom __future__ import annotations\n", line: 2, column: 1, words: "__future__"},
		"mark":                  {text: "\xef\xbb\xbfx = 1\n"},
		"mark and cookie":       {text: "\xef\xbb\xbf# coding: utf-8\n"},
		"mark and other cookie": {text: "\xef\xbb\xbf# coding: utf8\n", line: 1, column: 1, words: "utf8 with BOM"},
		"latin-1":               {text: "#!/usr/bin/python\n# -*- coding: latin-1 -*-\nx = '\xe9' +\n", line: 3, column: 10, words: ""},
		"not UTF-8":             {text: "x = 1\ny = '\xe9'\n", line: 2, column: 6, words: "utf-8"},
		"NUL":                   {text: "x = 1\n\x00", line: 2, column: 1, words: "null bytes"},
		"unknown encoding":      {text: "# coding: nonsense\n", line: 1, column: 1, words: "unknown encoding: nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.python == 0 {
				tt.python = minor
			}
			f, err := r.Read(context.Background(), "a.py", []byte(tt.text), tt.python)
			if err != nil {
				t.Fatal(err)
			}
			var got SyntaxError
			if len(f.Errors) > 0 {
				got = f.Errors[0]
			}
			if got.Line != tt.line || got.Column != tt.column || !strings.Contains(got.Text, tt.words) {
				t.Errorf("error %+v, want line %d, column %d and %q", got, tt.line, tt.column, tt.words)
			}
		})
	}
}

package views

import (
	"strings"
	"testing"

	"slipway/internal/slipway"
)

func TestFileName(t *testing.T) {
	for name, want := range map[string]string{
		"a/b <c>.py":   "a/b &lt;c&gt;.py",
		"a\u200b\tb\n": `a<span class="unseen" title="U+200B">ZWSP</span><span class="unseen" title="U+0009">TAB</span>b<span class="unseen" title="U+000A">LF</span>`,
		"\u202e\xe9":   "<span class=\"unseen\" title=\"U+202E\">RLO</span>\ufffd",
	} {
		var b strings.Builder
		if err := fileName(name).Render(t.Context(), &b); err != nil || b.String() != want {
			t.Errorf("%q: %s, %v, want %s", name, b.String(), err, want)
		}
	}
}

func TestMarkedText(t *testing.T) {
	for name, tt := range map[string]struct {
		line slipway.DiffLine
		want string
	}{
		"plain":    {slipway.DiffLine{Text: "a\tb <c> ü 😀"}, "a\tb &lt;c&gt; ü 😀"},
		"override": {slipway.DiffLine{Text: "a\u202eb"}, `a<span class="unseen" title="U+202E">RLO</span>b`},
		"marked": {
			slipway.DiffLine{Text: "a\u200bb<", Marks: []slipway.Span{{From: 1, To: 4}}},
			`a<mark><span class="unseen" title="U+200B">ZWSP</span></mark>b&lt;`,
		},
		"inked": {
			slipway.DiffLine{Text: "x = '1' + y", Marks: []slipway.Span{{From: 2, To: 6}}, Inks: []slipway.Ink{{Span: slipway.Span{From: 4, To: 7}, Class: 's'}, {Span: slipway.Span{From: 10, To: 11}, Class: 'n'}}},
			`x <mark>= </mark><span class="hl-s"><mark>&#39;1</mark>&#39;</span> + <span class="hl-n">y</span>`,
		},
		"carriage return": {slipway.DiffLine{Text: "a\r"}, `a<span class="unseen" title="U+000D">CR</span>`},
		"escape":          {slipway.DiffLine{Text: "\x1b[2K"}, `<span class="unseen" title="U+001B">U+001B</span>[2K`},
		"a tag":           {slipway.DiffLine{Text: "\U000E0041"}, `<span class="unseen" title="U+E0041">U+E0041</span>`},
		"a filler":        {slipway.DiffLine{Text: "x\u3164"}, `x<span class="unseen" title="U+3164">U+3164</span>`},
		"no UTF-8":        {slipway.DiffLine{Text: "\u202e\xe9"}, "<span class=\"unseen\" title=\"U+202E\">RLO</span>\ufffd"},
	} {
		var b strings.Builder
		if err := markedText(tt.line).Render(t.Context(), &b); err != nil || b.String() != tt.want {
			t.Errorf("%s: %s, %v, want %s", name, b.String(), err, tt.want)
		}
	}
}

package diff

import (
	"strings"
	"testing"

	"slipway/internal/slipway"
)

// marked is a line with brackets around what is marked.
func marked(l slipway.DiffLine) string {
	text, at := "", 0
	for _, m := range l.Marks {
		text += l.Text[at:m.From] + "[" + l.Text[m.From:m.To] + "]"
		at = m.To
	}
	return text + l.Text[at:]
}

func TestWordsAreMarked(t *testing.T) {
	for name, tt := range map[string]struct{ old, new, wantOld, wantNew string }{
		"a number":            {"retries = 1", "retries = 4", "retries = [1]", "retries = [4]"},
		"a word in a name":    {"load_orders(x)", "load_sales(x)", "load_orders(x)", "load_sales(x)"}, // too little is left
		"added in the middle": {"f(a, c)", "f(a, b, c)", "f(a, c)", "f(a, [b, ]c)"},
		"two neighbours":      {"default retries are one two", "default retries are three four", "default retries are [one two]", "default retries are [three four]"},
		"no ASCII":            {"größe = 'ä' # maß", "größe = 'ö' # maß", "größe = '[ä]' # maß", "größe = '[ö]' # maß"},
		"not UTF-8":           {"size = \xff + 100", "size = \xfe + 100", "size = [\xff] + 100", "size = [\xfe] + 100"},
		"nothing common":      {"import os", "x = 1", "import os", "x = 1"},
		"spaces":              {"    pass", "\tpass", "[    ]pass", "[\t]pass"},
		"empty":               {"", "x", "", "x"},
		"long":                {"x = " + strings.Repeat("a ", 400), "x = " + strings.Repeat("b ", 400), "x = " + strings.Repeat("a ", 400), "x = " + strings.Repeat("b ", 400)},
	} {
		t.Run(name, func(t *testing.T) {
			lines := []slipway.DiffLine{{Op: ' ', Text: "same"}, {Op: '-', Text: tt.old}, {Op: '-', Text: "gone"}, {Op: '+', Text: tt.new}, {Op: ' ', Text: "same"}}
			markWords([]slipway.Hunk{{Lines: lines}})
			if got := marked(lines[1]); got != tt.wantOld {
				t.Errorf("before: %q, want %q", got, tt.wantOld)
			}
			if got := marked(lines[3]); got != tt.wantNew {
				t.Errorf("after: %q, want %q", got, tt.wantNew)
			}
			if marked(lines[0])+marked(lines[2])+marked(lines[4]) != "samegonesame" {
				t.Errorf("a line without a counterpart is marked: %+v", lines)
			}
		})
	}
}

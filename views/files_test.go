package views

import (
	"fmt"
	"strings"
	"testing"
)

// A folder is a heading above two or more files; a lone file has its folder beside it.
func TestArrange(t *testing.T) {
	for name, tt := range map[string]struct{ paths, want string }{
		"the picture":     {"finance/close.py sales/orders.py sales/sql/orders.sql shop/orders.py", "[finance/]close.py | sales/: orders.py [sql/]orders.sql | [shop/]orders.py"},
		"at the root":     {"a.py b.py", "a.py | b.py"},
		"one deep folder": {"team/sales/a.py team/sales/b.py", "team/sales/: a.py b.py"},
		"two deep ones":   {"team/sales/a.py team/stock/b.py", "team/: [sales/]a.py [stock/]b.py"},
		"alike names":     {"sales-x/a.py sales/a.py sales/b.py", "[sales-x/]a.py | sales/: a.py b.py"},
		"nothing":         {"", ""},
	} {
		var rows []FileChange
		for path := range strings.FieldsSeq(tt.paths) {
			rows = append(rows, FileChange{Path: path})
		}
		Arrange(rows, func(folder string) string { return folder })
		var got []string
		for _, f := range rows {
			text := f.Name
			if f.Folder != "" {
				text = "[" + f.Folder + "]" + f.Name
			}
			if f.Heading != nil && f.Heading.Name != "" {
				text = f.Heading.Name + ": " + text
			}
			if f.In && f.Heading == nil {
				got[len(got)-1] += " " + text
				continue
			}
			got = append(got, text)
		}
		if text := strings.Join(got, " | "); text != tt.want {
			t.Errorf("%s: %s, want %s", name, text, tt.want)
		}
	}
}

func TestToOpen(t *testing.T) {
	row := func(lines int, tones ...string) FileChange {
		f := FileChange{Counted: lines >= 0, Added: max(lines, 0)}
		for _, tone := range tones {
			f.Signs = append(f.Signs, FileSign{Tone: tone, Text: "x"})
		}
		return f
	}
	for want, rows := range map[string][]FileChange{
		"1: the largest up to 40":   {row(3), row(40), row(41)},
		"2: the one with a problem": {row(3), row(40, "warn"), row(99, "bad")},
		"0: alone":                  {row(900)},
		"-1: none is small":         {row(41), row(90)},
		"-1: unknown":               {row(-1), row(-1, "bad")},
		"-1: no line":               {row(0)},
		"-1: nothing":               nil,
	} {
		if got := ToOpen(rows); !strings.HasPrefix(want, fmt.Sprint(got)+":") {
			t.Errorf("row %d, want %s", got, want)
		}
	}
}

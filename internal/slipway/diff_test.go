package slipway

import (
	"slices"
	"strings"
	"testing"
)

func TestFormWords(t *testing.T) {
	for name, tt := range map[string]struct {
		old, next string
		want      string // words of the change
		alone     string // words of the new content
	}{
		"nothing":             {},
		"Unix":                {old: "a\n", next: "b\n"},
		"Windows stays":       {old: "a\r\n", next: "b\r\n", alone: "Line endings: CRLF"},
		"to Windows":          {old: "a\n", next: "a\r\n", want: "Line endings: CRLF, before LF", alone: "Line endings: CRLF"},
		"to Unix":             {old: "a\r\n", next: "a\n", want: "Line endings: LF, before CRLF"},
		"to a mixture":        {old: "a\n", next: "a\r\nb\n", want: "Line endings: mixed, before LF", alone: "Line endings: mixed"},
		"a mixture stays":     {old: "a\r\nb\n", next: "a\r\nc\n", want: "Line endings: mixed", alone: "Line endings: mixed"},
		"old Mac":             {old: "a\n", next: "a\rb\r", want: "Line endings: CR, before LF", alone: "Line endings: CR"},
		"BOM":                 {old: "a\n", next: "\ufeffa\n", want: "Encoding: UTF-8 with BOM, before UTF-8", alone: "Encoding: UTF-8 with BOM"},
		"BOM gone":            {old: "\ufeffa\n", next: "a\n", want: "Encoding: UTF-8, before UTF-8 with BOM"},
		"Latin-1 to UTF-8":    {old: "caf\xe9\n", next: "café\n", want: "Encoding: UTF-8, before not UTF-8 (shown as Latin-1)"},
		"Latin-1 stays":       {old: "caf\xe9\n", next: "caf\xe8\n", want: "Encoding: not UTF-8 (shown as Latin-1)", alone: "Encoding: not UTF-8 (shown as Latin-1)"},
		"UTF-16":              {old: "a\n", next: "\xff\xfea\x00\n\x00", want: "Encoding: UTF-16, before UTF-8", alone: "Encoding: UTF-16"},
		"data":                {old: "a\n", next: "\x00\x01"},
		"data without a zero": {old: "a\n", next: "\x01\xff"},
		"both": {
			old: "a\n", next: "\ufeffa\r\n", want: "Line endings: CRLF, before LF; Encoding: UTF-8 with BOM, before UTF-8",
			alone: "Line endings: CRLF; Encoding: UTF-8 with BOM",
		},
	} {
		next := FormOf([]byte(tt.next))
		if got := strings.Join(next.Since(FormOf([]byte(tt.old)), true), "; "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if got := strings.Join(next.Words(), "; "); got != tt.alone {
			t.Errorf("%s alone: %q, want %q", name, got, tt.alone)
		}
	}
	if got := []string{Readable("café"), Readable("caf\xe9")}; !slices.Equal(got, []string{"café", "café"}) {
		t.Errorf("readable: %q", got)
	}
}

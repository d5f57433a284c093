package slipway

import (
	"strings"
	"testing"
)

func TestRetyped(t *testing.T) {
	for name, tt := range map[string]struct {
		old, typed, want, refusal string
	}{
		"LF stays":             {old: "a\nb\n", typed: "a\r\nc\r\n", want: "a\nc\n"},
		"CRLF stays":           {old: "a\r\nb\r\n", typed: "a\r\nc\r\n", want: "a\r\nc\r\n"},
		"typed by a script":    {old: "a\r\nb\r\n", typed: "a\nc\n", want: "a\r\nc\r\n"},
		"newline at the end":   {old: "a\n", typed: "b", want: "b\n"},
		"CRLF at the end":      {old: "a\r\n", typed: "b", want: "b\r\n"},
		"no newline at end":    {old: "a\nb", typed: "a\r\nc", want: "a\nc"},
		"one is added":         {old: "a", typed: "a\r\n", want: "a\n"},
		"a single line":        {old: "a", typed: "b\r\nc", want: "b\nc"},
		"lines before the end": {old: "a\n", typed: "a\r\n\r\n", want: "a\n\n"},
		"CR stays":             {old: "a\rb\r", typed: "a\r\nc", want: "a\rc\r"},
		"BOM stays":            {old: "\ufeffa\r\n", typed: "b\r\n", want: "\ufeffb\r\n"},
		"BOM is sent back":     {old: "\ufeffa\n", typed: "\ufeffb\r\n", want: "\ufeffb\n"},
		"BOM is none of ours":  {old: "a\n", typed: "\ufeffb\r\n", want: "b\n"},
		"only a BOM":           {old: "\ufeffa\n", typed: "\ufeff", refusal: "The text is empty."},
		"hidden stays":         {old: "a\u200b\n", typed: "a\u200b\u202e\r\n", want: "a\u200b\u202e\n"},
		"of nothing":           {old: "", typed: "x\r\n", want: "x\n"},
		"empty":                {old: "a\n", typed: "", refusal: "The text is empty."},
		"too long":             {old: "a\n", typed: strings.Repeat("x", FixMax), refusal: "more than 1 MiB"},
		"too long as CRLF":     {old: "a\r\n", typed: strings.Repeat("\n", FixMax/2+1), refusal: "more than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Retyped(tt.old, tt.typed)
			if tt.refusal != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refusal) {
					t.Fatalf("Retyped: %v, want %q", err, tt.refusal)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("Retyped: %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestEditable(t *testing.T) {
	for name, tt := range map[string]struct {
		text, refusal string
	}{
		"LF":            {text: "a\nb\n"},
		"CRLF":          {text: "a\r\nb"},
		"empty":         {},
		"UTF-8":         {text: "\ufeffé\f\n"},
		"both":          {text: "a\r\nb\n", refusal: "end in different ways"},
		"old Mac":       {text: "a\rb\r"},
		"old Mac too":   {text: "a\rb\n", refusal: "end in different ways"},
		"NUL":           {text: strings.Repeat("a", 9000) + "\x00", refusal: "not text"},
		"Latin-1":       {text: "\xe9", refusal: "another encoding than UTF-8"},
		"UTF-16":        {text: "\xff\xfea\x00", refusal: "another encoding than UTF-8"},
		"data":          {text: "\x01\xff", refusal: "not text"},
		"just small":    {text: strings.Repeat("a", FixMax)},
		"just too long": {text: strings.Repeat("a", FixMax+1), refusal: "more than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Editable([]byte(tt.text))
			if tt.refusal == "" && err != nil || tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal)) {
				t.Errorf("Editable: %v, want %q", err, tt.refusal)
			}
		})
	}
}

package slipway

import (
	"slices"
	"strings"
	"testing"
	"unicode"
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
		"to Windows":          {old: "a\n", next: "a\r\n", want: "Line endings: changed from LF to CRLF", alone: "Line endings: CRLF"},
		"to Unix":             {old: "a\r\n", next: "a\n", want: "Line endings: changed from CRLF to LF"},
		"to a mixture":        {old: "a\n", next: "a\r\nb\n", want: "Line endings: changed from LF to mixed", alone: "Line endings: mixed"},
		"a mixture stays":     {old: "a\r\nb\n", next: "a\r\nc\n", want: "Line endings: mixed", alone: "Line endings: mixed"},
		"old Mac":             {old: "a\n", next: "a\rb\r", want: "Line endings: changed from LF to CR", alone: "Line endings: CR"},
		"BOM":                 {old: "a\n", next: "\ufeffa\n", want: "Encoding: changed from UTF-8 to UTF-8 with BOM", alone: "Encoding: UTF-8 with BOM"},
		"BOM gone":            {old: "\ufeffa\n", next: "a\n", want: "Encoding: changed from UTF-8 with BOM to UTF-8"},
		"Latin-1 to UTF-8":    {old: "caf\xe9\n", next: "café\n", want: "Encoding: changed from unknown (shown as Latin-1) to UTF-8"},
		"Latin-1 stays":       {old: "caf\xe9\n", next: "caf\xe8\n", want: "Encoding: unknown (shown as Latin-1)", alone: "Encoding: unknown (shown as Latin-1)"},
		"UTF-16":              {old: "a\n", next: "\xff\xfea\x00\n\x00", want: "Encoding: changed from UTF-8 to UTF-16", alone: "Encoding: UTF-16"},
		"data":                {old: "a\n", next: "\x00\x01"},
		"data without a zero": {old: "a\n", next: "\x01\xff"},
		"both": {
			old: "a\n", next: "\ufeffa\r\n", want: "Line endings: changed from LF to CRLF; Encoding: changed from UTF-8 to UTF-8 with BOM",
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

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"sales/load_orders.py": "sales/load_orders.py", "größe ü 漢字.py": "größe ü 漢字.py", "a\u200bb.py": "a⟨ZWSP⟩b.py", "a\u202egad.py": "a⟨RLO⟩gad.py", "Icon\r": "Icon⟨CR⟩",
		"\U00016fe4\U0001d159": "⟨U+16FE4⟩⟨U+1D159⟩", "\u2065": "⟨U+2065⟩", "\u2800\ufe0f": "⟨U+2800⟩⟨VS16⟩", "\U000e0fff": "⟨U+E0FFF⟩",
		"a\u00a0b": "a⟨NBSP⟩b", "a\u2003b": "a⟨U+2003⟩b", "a\u3000b": "a⟨U+3000⟩b", "a\u3164": "a⟨U+3164⟩", "\U000E0041": "⟨U+E0041⟩", "a\ufe0f": "a⟨VS16⟩", "x\U000E0100": "x⟨VS17⟩",
		"⚠\ufe0f 1\ufe0f\u20e3": "⚠\ufe0f 1\ufe0f\u20e3", "⚠\ufe0f\ufe0f": "⚠\ufe0f⟨VS16⟩", "\xff\u200b": "\xff⟨ZWSP⟩", "a b\tc\n": "a b\tc\n", "\ufeffa": "⟨BOM⟩a", "a\u2800": "a⟨U+2800⟩",
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	// Whatever Unicode does not draw is named.
	for r := rune(0x21); r < unicode.MaxRune; r++ {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z, unicode.Bidi_Control, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) && Visible(string(r)) == string(r) {
			t.Errorf("U+%04X is not named", r)
		}
	}
}

func TestHiddenWords(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":  {"a\r\nb\tc\r\n", ""},
		"one":      {"a\nb\u202e\n", "RLO (U+202E) in line 2"},
		"two":      {"\u200b\n\u200b\u200b\n", "ZWSP (U+200B) in the lines 1 and 2"},
		"several":  {"\u2066\r\u200b\r\u2066", "LRI (U+2066) in the lines 1 and 3; ZWSP (U+200B) in line 2"},
		"no name":  {"\x1b", "U+001B in line 1"},
		"ten":      {strings.Repeat("\u200b\n", 10), "ZWSP (U+200B) in the lines 1, 2, 3, 4, 5, 6, 7, 8, 9 and 10"},
		"a dozen":  {strings.Repeat("\u200b\n", 12), "ZWSP (U+200B) in the lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more"},
		"no UTF-8": {"\xe9\u200b", "ZWSP (U+200B) in line 1"},
	} {
		if got := strings.Join(HiddenWords(tt.text), "; "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestGaps(t *testing.T) {
	for name, tt := range map[string]struct {
		d    FileDiff
		want []Gap
	}{
		"no hunk":         {FileDiff{Lines: 9}, nil},
		"around one":      {FileDiff{Lines: 20, Hunks: []Hunk{{OldStart: 5, OldLines: 3, NewStart: 5, NewLines: 4}}}, []Gap{{0, LineRange{1, 4}}, {1, LineRange{9, 20}}}},
		"between two":     {FileDiff{Lines: 12, Hunks: []Hunk{{OldStart: 1, OldLines: 1, NewStart: 1, NewLines: 2}, {OldStart: 5, OldLines: 7, NewStart: 6, NewLines: 7}}}, []Gap{{1, LineRange{3, 5}}}},
		"removed lines":   {FileDiff{Lines: 6, Hunks: []Hunk{{OldStart: 3, OldLines: 2, NewStart: 2}}}, []Gap{{0, LineRange{1, 2}}, {1, LineRange{3, 6}}}},
		"an added file":   {FileDiff{Lines: 3, Hunks: []Hunk{{NewStart: 1, NewLines: 3}}}, nil},
		"a removed file":  {FileDiff{Hunks: []Hunk{{OldStart: 1, OldLines: 3}}}, nil},
		"all is the hunk": {FileDiff{Lines: 2, Hunks: []Hunk{{OldStart: 1, OldLines: 2, NewStart: 1, NewLines: 2}}}, nil},
	} {
		if got := tt.d.Gaps(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestLineRanges(t *testing.T) {
	for text, want := range map[string][]LineRange{
		"2-21,40-40": {{2, 21}, {40, 40}}, "": nil, "x,3-2,0-4,-1-3,5-6": {{5, 6}}, "99999999999999999999-3": nil,
	} {
		if got := LineRanges(text); !slices.Equal(got, want) {
			t.Errorf("LineRanges(%q) = %v, want %v", text, got, want)
		}
	}
	if got := LineRanges(strings.Repeat("1-2,", 200)); len(got) != maxRanges || RangesText(got[:2]) != "1-2,1-2" {
		t.Errorf("%d ranges are read", len(got))
	}
}

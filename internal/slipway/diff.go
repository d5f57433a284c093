package slipway

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// FileDiff is the difference between two contents of a file.
type FileDiff struct {
	Path      string
	Binary    bool // at least one of the contents is no text
	TooLarge  bool // to be compared line by line
	OldSize   int64
	NewSize   int64
	OldSHA256 string // "" for an added file
	NewSHA256 string // "" for a removed file
	Added     int    // lines
	Removed   int
	Words     []string // changes of line endings and encoding, and what is unusual in them
	Hunks     []Hunk
	Lines     int // of the new content; 0 for a removed file
}

// Look is what a reader wants to see of a difference.
type Look struct {
	Lines []LineRange // unchanged lines besides those around each change, by the numbers of the new content
	Inked bool        // source text in its classes
}

// LineRange is a run of lines, the first and the last included.
type LineRange struct{ From, To int }

// AllLines are the lines of any file.
var AllLines = LineRange{1, math.MaxInt32}

// maxRanges is the most runs of lines in an address.
const maxRanges = 100

// LineRanges reads runs of lines from an address, "2-21,40-59"; what is no run is
// left out.
func LineRanges(text string) (all []LineRange) {
	for part := range strings.SplitSeq(text, ",") {
		var r LineRange
		if n, err := fmt.Sscanf(part, "%d-%d", &r.From, &r.To); err == nil && n == 2 && r.From > 0 && r.From <= r.To && len(all) < maxRanges {
			all = append(all, r)
		}
	}
	return all
}

// RangesText writes runs of lines for an address.
func RangesText(all []LineRange) string {
	var parts []string
	for _, r := range all {
		parts = append(parts, fmt.Sprintf("%d-%d", r.From, r.To))
	}
	return strings.Join(parts, ",")
}

// Gap is a run of unchanged lines that a difference does not show, by the numbers of
// the new content.
type Gap struct {
	Before int // index of the hunk behind the gap; the number of hunks for the end of the file
	LineRange
}

// Len returns the number of lines in the gap.
func (g Gap) Len() int { return g.To - g.From + 1 }

// Gaps returns the runs of lines before, between and behind the hunks of d.
func (d FileDiff) Gaps() (all []Gap) {
	next := 1
	add := func(before, to int) {
		if next <= to {
			all = append(all, Gap{before, LineRange{next, to}})
		}
	}
	for i, h := range d.Hunks {
		start := h.FirstNew()
		add(i, start-1)
		next = start + h.NewLines
	}
	if len(d.Hunks) > 0 {
		add(len(d.Hunks), d.Lines)
	}
	return all
}

// Hunk is a run of lines with differences.
type Hunk struct {
	OldStart, OldLines int
	NewStart, NewLines int
	Lines              []DiffLine
}

// FirstNew returns the number of the first new line of h, or of the next one where h
// has none.
func (h Hunk) FirstNew() int {
	if h.NewLines == 0 {
		return h.NewStart + 1
	}
	return h.NewStart
}

// FirstOld is FirstNew for old lines.
func (h Hunk) FirstOld() int {
	if h.OldLines == 0 {
		return h.OldStart + 1
	}
	return h.OldStart
}

// DiffLine is a line of a Hunk.
type DiffLine struct {
	Op        byte // ' ', '+' or '-'
	Old, New  int  // line numbers, 0 for none
	Text      string
	NoNewline bool   // the file ends here, without a newline
	Marks     []Span // parts of Text that differ from the replaced or replacing line
	Inks      []Ink  // of source text, in order and without overlap; none for plain text
}

// Span is a part of a text, in bytes.
type Span struct{ From, To int }

// Ink is a part of source text with a class.
type Ink struct {
	Span
	Class byte
}

// The classes of source text.
const (
	InkKeyword = 'k'
	InkString  = 's'
	InkNumber  = 'n'
	InkName    = 'f' // of a function, a class, a tag or a key
	InkComment = 'c'
)

// TextForm is the form of a text beside its characters.
type TextForm struct {
	Encoding string // "UTF-8"; "" for no text
	Ends     string // of lines: "LF", "CRLF", "CR" or "mixed"; "" for one line without an end
}

// The encodings, by the words of pages.
const (
	utf8Plain  = "UTF-8"
	utf8BOM    = "UTF-8 with BOM"
	utf16      = "UTF-16"
	eightBit   = "unknown (shown as Latin-1)"
	linesMixed = "mixed"
)

// FormOf returns the form of a content.
func FormOf(b []byte) TextForm {
	f := TextForm{Encoding: encodingOf(b)}
	dos := bytes.Count(b, []byte("\r\n"))
	unix, mac := bytes.Count(b, []byte("\n"))-dos, bytes.Count(b, []byte("\r"))-dos
	for _, ends := range []struct {
		name string
		n    int
	}{{"LF", unix}, {"CRLF", dos}, {"CR", mac}} {
		switch {
		case ends.n > 0 && f.Ends == "":
			f.Ends = ends.name
		case ends.n > 0:
			f.Ends = linesMixed
		}
	}
	return f
}

func encodingOf(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return utf16
	case bytes.IndexByte(b, 0) >= 0:
		return ""
	case bytes.HasPrefix(b, []byte("\ufeff")) && utf8.Valid(b):
		return utf8BOM
	case utf8.Valid(b):
		return utf8Plain
	case bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r\f", r) }):
		return "" // data: texts have no control characters
	}
	return eightBit
}

// Shown reports whether a content of form f can be shown as lines.
func (f TextForm) Shown() bool { return f.Encoding != "" && f.Encoding != utf16 }

// OneEnd reports whether all lines of f end alike.
func (f TextForm) OneEnd() bool { return f.Ends != linesMixed }

// Words names what is unusual in f, each as a part of a sentence.
func (f TextForm) Words() []string {
	return f.Since(TextForm{Encoding: utf8Plain, Ends: "LF"}, false)
}

// Since names what is other in f than in old, and what is unusual in both: told is
// true to say what was before.
func (f TextForm) Since(old TextForm, told bool) (all []string) {
	for _, part := range []struct{ name, was, is, usual string }{
		{"Line endings", old.Ends, f.Ends, "LF"}, {"Encoding", old.Encoding, f.Encoding, utf8Plain},
	} {
		switch {
		case part.is == "" || part.is == part.was && (part.is == part.usual || part.is == "CRLF" || part.is == utf8BOM):
		case told && part.was != "" && part.was != part.is:
			all = append(all, part.name+": changed from "+part.was+" to "+part.is)
		case part.is != part.usual:
			all = append(all, part.name+": "+part.is)
		}
	}
	return all
}

// Readable returns b as a string of characters: bytes that are not UTF-8 are read as
// Latin-1.
func Readable(b string) string {
	if utf8.ValidString(b) {
		return b
	}
	var text strings.Builder
	for i := range len(b) {
		text.WriteRune(rune(b[i]))
	}
	return text.String()
}

// HiddenRune is a character of a text that is not seen, or that looks like a space.
type HiddenRune struct {
	At   int // bytes before the character
	Rune rune
	Name string // in Unicode, short: "ZWSP", or "U+E0041"
}

// HiddenRunes returns the hidden characters of a text, in their order. A variation
// selector that belongs to a symbol, as in the emoji ⚠️, is not hidden.
func HiddenRunes(text string) (all []HiddenRune) {
	before := ' '
	for at, r := range text {
		chosen := (r == 0xfe0e || r == 0xfe0f) && (unicode.In(before, unicode.S, unicode.Nd) || before == '#' || before == '*')
		before = r
		if name := hiddenName(r); name != "" && !chosen {
			all = append(all, HiddenRune{At: at, Rune: r, Name: name})
			before = ' '
		}
	}
	return all
}

// Visible returns a name for sentences and titles: hidden characters are replaced by
// their names, "a⟨ZWSP⟩b.py".
func Visible(name string) string {
	var b strings.Builder
	at := 0
	for _, h := range HiddenRunes(name) {
		b.WriteString(name[at:h.At] + "⟨" + h.Name + "⟩")
		at = h.At + utf8.RuneLen(h.Rune)
	}
	b.WriteString(name[at:])
	return b.String()
}

// Invisible reports whether a name has characters that nobody sees: hidden ones other
// than spaces.
func Invisible(name string) bool {
	return slices.ContainsFunc(HiddenRunes(name), func(h HiddenRune) bool { return !unicode.Is(unicode.Zs, h.Rune) })
}

// maxHiddenLines is the most lines named for one hidden character.
const maxHiddenLines = 10

// HiddenWords names the hidden characters of a text with their lines, each as a
// sentence without its end: "ZWSP (U+200B) in the lines 3 and 7". Lines may end in any
// way.
func HiddenWords(text string) (all []string) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	lines, names, order := map[rune][]int{}, map[rune]string{}, []rune(nil)
	line, at := 1, 0
	for _, h := range HiddenRunes(text) {
		line += strings.Count(text[at:h.At], "\n")
		at = h.At
		if names[h.Rune] == "" {
			names[h.Rune] = h.Name
			order = append(order, h.Rune)
		}
		if in := lines[h.Rune]; len(in) == 0 || in[len(in)-1] != line {
			lines[h.Rune] = append(in, line)
		}
	}
	for _, r := range order {
		name := names[r]
		if code := fmt.Sprintf("U+%04X", r); code != name {
			name += " (" + code + ")"
		}
		all = append(all, name+" in "+lineWords(lines[r]))
	}
	return all
}

// lineWords names lines: "line 3", "the lines 3 and 7", or with many "the lines 1, 2
// and 30 more".
func lineWords(lines []int) string {
	n := len(lines)
	if n == 1 {
		return fmt.Sprintf("line %d", lines[0])
	}
	var named []string
	for _, l := range lines[:min(n, maxHiddenLines)] {
		named = append(named, strconv.Itoa(l))
	}
	last := fmt.Sprintf("%d more", n-len(named))
	if n <= maxHiddenLines {
		last, named = named[n-1], named[:n-1]
	}
	return "the lines " + strings.Join(named, ", ") + " and " + last
}

// hiddenNames are characters that are not seen, or look like a space, by their
// short names in Unicode.
var hiddenNames = map[rune]string{
	'\r': "CR", 0x7f: "DEL", 0xa0: "NBSP", 0xad: "SHY", 0x34f: "CGJ", 0x61c: "ALM", 0x180e: "MVS", 0x200b: "ZWSP", 0x200c: "ZWNJ", 0x200d: "ZWJ", 0x200e: "LRM", 0x200f: "RLM",
	0x2028: "LSEP", 0x2029: "PSEP", 0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO", 0x202f: "NNBSP", 0x2060: "WJ", 0x2066: "LRI",
	0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI", 0xfeff: "BOM",
}

// hiddenName returns the name of a hidden character, "" for others.
func hiddenName(r rune) string {
	if r > ' ' && r < 0x7f || r == ' ' || r == '\t' || r == '\n' || r == utf8.RuneError {
		return ""
	}
	if name := hiddenNames[r]; name != "" {
		return name
	}
	switch {
	case r >= 0xfe00 && r <= 0xfe0f:
		return fmt.Sprintf("VS%d", r-0xfe00+1)
	case r >= 0xe0100 && r <= 0xe01ef:
		return fmt.Sprintf("VS%d", r-0xe0100+17)
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zs, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, blanks):
		return fmt.Sprintf("U+%04X", r)
	}
	return ""
}

// blanks are characters of other properties that are drawn as nothing: the empty Braille
// pattern, the filler of Khitan, the null notehead of music.
var blanks = &unicode.RangeTable{
	R16: []unicode.Range16{{0x2800, 0x2800, 1}},
	R32: []unicode.Range32{{0x16fe4, 0x16fe4, 1}, {0x1d159, 0x1d159, 1}},
}

// IsBidi reports whether r is one of the nine controls of Unicode that reorder
// the text around: embeddings, overrides, isolates and their ends.
func IsBidi(r rune) bool { return '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' }

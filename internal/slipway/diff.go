package slipway

import (
	"bytes"
	"strings"
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
}

// Hunk is a run of lines with differences.
type Hunk struct {
	OldStart, OldLines int
	NewStart, NewLines int
	Lines              []DiffLine
}

// DiffLine is a line of a Hunk.
type DiffLine struct {
	Op        byte // ' ', '+' or '-'
	Old, New  int  // line numbers, 0 for none
	Text      string
	NoNewline bool   // the file ends here, without a newline
	Marks     []Span // parts of Text that differ from the replaced or replacing line
}

// Span is a part of a text, in bytes.
type Span struct{ From, To int }

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
	eightBit   = "not UTF-8 (shown as Latin-1)"
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
			all = append(all, part.name+": "+part.is+", before "+part.was)
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

// IsBidi reports whether r is one of the nine controls of Unicode that reorder
// the text around: embeddings, overrides, isolates and their ends.
func IsBidi(r rune) bool { return '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' }

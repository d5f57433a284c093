package pydag

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// source is a file's text in UTF-8, with the places of its lines.
type source struct {
	text  string
	lines []int // byte offset of each line
}

func newSource(text string) source {
	s := source{text: text, lines: []int{0}}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' || text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n') {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// line returns the number of the line at a byte offset, from 1.
func (s source) line(offset int) int {
	return sort.SearchInts(s.lines, offset+1)
}

// column returns the column at a byte offset, in characters from 1.
func (s source) column(offset int) int {
	return utf8.RuneCountInString(s.text[s.lines[s.line(offset)-1]:offset]) + 1
}

// lineText returns line number n without its end.
func (s source) lineText(n int) string {
	end := len(s.text)
	if n < len(s.lines) {
		end = s.lines[n]
	}
	return strings.TrimRight(s.text[s.lines[n-1]:end], "\r\n")
}

func (s source) of(n *node) string { return s.text[n.start:n.end] }

// brief returns the source of n on one line, at most 120 characters.
func (s source) brief(n *node) string {
	text := s.of(n)
	if len(text) > 1000 {
		text = text[:1000]
	}
	return shorten(strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " "), 120)
}

func shorten(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// excerptMax is the length of an excerpt, in characters.
const excerptMax = 200

// errorAt returns the syntax error at a byte offset.
func (s source) errorAt(offset int, text string) SyntaxError {
	offset = max(0, min(offset, len(s.text)))
	for offset > 0 && offset < len(s.text) && !utf8.RuneStart(s.text[offset]) {
		offset--
	}
	e := SyntaxError{Line: s.line(offset), Column: s.column(offset), Text: text}
	e.Excerpt = around(s.lineText(e.Line), e.Column)
	return e
}

// around returns at most excerptMax characters of text, with the column among them.
func around(text string, column int) string {
	r := []rune(text)
	if len(r) <= excerptMax {
		return text
	}
	from := max(0, min(column-1-excerptMax/2, len(r)-excerptMax))
	return string(r[from : from+excerptMax])
}

// Package highlight finds keywords, strings, numbers, names and comments in lines of
// source text, for the colours of pages.
package highlight

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/chroma/v2"

	"slipway/internal/slipway"
)

// Limits of a text with colours. Beyond a limit, the text is plain.
const (
	maxBytes = 512 << 10
	maxLine  = 10_000 // bytes
	maxTime  = time.Second
)

// Reader reads source text: one text at a time, as reading costs a processor about a
// second for 5,000 lines.
type Reader struct {
	reading chan struct{} // holds one for the text under way
	kept    kept
}

// NewReader returns a Reader that has read nothing.
func NewReader() *Reader { return &Reader{reading: make(chan struct{}, 1)} }

// Diff sets the inks of the lines of d, a difference between two contents. A content
// is read once, whatever the number of hunks, and only if a line of d is from it.
func (r *Reader) Diff(ctx context.Context, d *slipway.FileDiff, before, after []byte) {
	old, next := []*slipway.DiffLine{}, []*slipway.DiffLine{}
	for _, h := range d.Hunks {
		for i := range h.Lines {
			if l := &h.Lines[i]; l.New > 0 {
				next = append(next, l)
			} else {
				old = append(old, l)
			}
		}
	}
	r.side(ctx, d.Path, before, old, func(l *slipway.DiffLine) int { return l.Old })
	r.side(ctx, d.Path, after, next, func(l *slipway.DiffLine) int { return l.New })
}

// side sets the inks of lines that are from one content. number is the number of a
// line in the content, from 1.
func (r *Reader) side(ctx context.Context, path string, content []byte, lines []*slipway.DiffLine, number func(*slipway.DiffLine) int) {
	if len(lines) == 0 || len(content) > maxBytes {
		return
	}
	texts := strings.Split(string(content), "\n")
	for i, text := range texts {
		texts[i] = slipway.Readable(text)
	}
	inks := r.Lines(ctx, path, texts)
	for _, l := range lines {
		if n := number(l); n <= len(inks) {
			l.Inks = clipped(inks[n-1], len(l.Text))
		}
	}
}

// clipped returns the parts of inks in the first n bytes: a shown line may lack the
// carriage return at the end.
func clipped(inks []slipway.Ink, n int) []slipway.Ink {
	for len(inks) > 0 && inks[len(inks)-1].To > n {
		last := len(inks) - 1
		if inks[last].From >= n {
			inks = inks[:last]
			continue
		}
		inks = slices.Clone(inks)
		inks[last].To = n
	}
	return inks
}

// Lines returns the inks of each line of the file at path; nil for a text without
// colours: of an unknown language, too large, or too slow to read. Callers must not
// change the slices.
func (r *Reader) Lines(ctx context.Context, path string, lines []string) [][]slipway.Ink {
	size := 0
	for _, line := range lines {
		size += len(line) + 1
		if len(line) > maxLine || size > maxBytes {
			return nil
		}
	}
	lexer := lexerOf(path)
	if lexer == nil {
		return nil
	}
	text := strings.Join(lines, "\n")
	key := keyOf(lexer.Config().Name, text)
	if all, ok := r.kept.find(key); ok {
		return all
	}
	until := time.Now().Add(maxTime)
	ctx, done := context.WithDeadline(ctx, until)
	defer done()
	select {
	case r.reading <- struct{}{}:
		defer func() { <-r.reading }()
	case <-ctx.Done():
		return nil
	}
	all := read(lexer, text, lines, until)
	r.kept.put(key, all)
	return all
}

// read returns the inks of lines; nil if lexer fails or is not done at the time until.
func read(lexer chroma.Lexer, text string, lines []string, until time.Time) (all [][]slipway.Ink) {
	defer func() {
		if recover() != nil { // a lexer panics where a state or an inner language is missing
			all = nil
		}
	}()
	next, err := lexer.Tokenise(&chroma.TokeniseOptions{State: "root"}, text)
	if err != nil {
		return nil
	}
	p := painter{lines: lines, all: make([][]slipway.Ink, len(lines))}
	for n := 0; ; n++ {
		t := next()
		if t == chroma.EOF {
			return p.all
		}
		if n%64 == 0 && time.Now().After(until) || !p.paint(t) {
			return nil
		}
	}
}

// painter turns tokens of a text into inks of lines.
type painter struct {
	lines []string
	all   [][]slipway.Ink
	line  int // index of the present line
	at    int // bytes before the present token
	name  *slipway.Ink
}

// paint adds a token, and reports whether the text has the token at this place.
func (p *painter) paint(t chroma.Token) bool {
	if p.name != nil && strings.HasPrefix(t.Value, "(") {
		p.all[p.line] = append(p.all[p.line], *p.name)
	}
	p.name = nil
	for i, part := range strings.Split(t.Value, "\n") {
		if i > 0 {
			if p.at != len(p.lines[p.line]) || p.line+1 == len(p.lines) {
				return i == len(t.Value) && p.line+1 == len(p.lines) // the newline that lexers add
			}
			p.line, p.at = p.line+1, 0
		}
		if !strings.HasPrefix(p.lines[p.line][p.at:], part) {
			return false
		}
		from := p.at
		p.at += len(part)
		ink := slipway.Ink{Span: slipway.Span{From: from, To: p.at}, Class: classOf(t.Type)}
		switch {
		case strings.TrimSpace(part) == "":
		case ink.Class != 0:
			p.add(ink)
		case t.Type == chroma.Name: // a call, if a bracket follows
			ink.Class = slipway.InkName
			p.name = &ink
		}
	}
	return true
}

// add appends an ink, joined with the ink before of the same class.
func (p *painter) add(ink slipway.Ink) {
	inks := p.all[p.line]
	if last := len(inks) - 1; last >= 0 && inks[last].Class == ink.Class && inks[last].To == ink.From {
		inks[last].To = ink.To
		return
	}
	p.all[p.line] = append(inks, ink)
}

// classOf returns the class of a type of tokens, 0 for plain text.
func classOf(t chroma.TokenType) byte {
	switch t {
	case chroma.NameFunction, chroma.NameFunctionMagic, chroma.NameDecorator, chroma.NameClass, chroma.NameTag, chroma.NameAttribute, chroma.NameBuiltin, chroma.NameException, chroma.CommentPreproc:
		return slipway.InkName
	case chroma.OperatorWord:
		return slipway.InkKeyword
	case chroma.LiteralDate:
		return slipway.InkNumber
	}
	switch {
	case t.InCategory(chroma.Keyword):
		return slipway.InkKeyword
	case t.InSubCategory(chroma.LiteralString):
		return slipway.InkString
	case t.InSubCategory(chroma.LiteralNumber):
		return slipway.InkNumber
	case t.InCategory(chroma.Comment):
		return slipway.InkComment
	}
	return 0
}

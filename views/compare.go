package views

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"slipway/internal/slipway"

	"github.com/a-h/templ"
)

// ComparePage shows the difference between two versions.
type ComparePage struct {
	Frame    DeploymentFrame
	Action   string
	From, To ComparePick
	Problem  string // why the versions cannot be compared
	Alike    string // why no difference is shown

	SwapURL string
	Files   FileList
}

// ComparePick is one side of a comparison, with the versions on offer.
type ComparePick struct {
	Name, Label string // of the field
	Options     []Option
	Title       string // "#12", or another name of the version
	Version     slipway.Version
	URL         string // of the version's files; "" for none
}

// Option is a choice of a select.
type Option struct {
	Value, Text string
	Chosen      bool
}

// pair is a line of a difference side by side; nil where a side has none.
type pair struct{ Old, New *slipway.DiffLine }

// pairs puts each removed line beside the added line in the same place.
func pairs(h slipway.Hunk) (all []pair) {
	var removed, added []*slipway.DiffLine
	flush := func() {
		for i := range max(len(removed), len(added)) {
			var p pair
			if i < len(removed) {
				p.Old = removed[i]
			}
			if i < len(added) {
				p.New = added[i]
			}
			all = append(all, p)
		}
		removed, added = nil, nil
	}
	for i := range h.Lines {
		switch l := &h.Lines[i]; l.Op {
		case '-':
			removed = append(removed, l)
		case '+':
			added = append(added, l)
		default:
			flush()
			all = append(all, pair{l, l})
		}
	}
	flush()
	return all
}

// markedText is a line with the classes of source text and the changed words marked,
// hidden characters shown, and no space added.
func markedText(l slipway.DiffLine) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, inked(l.Text, l.Inks, l.Marks))
		return err
	})
}

// inkedText is a line of source text in its classes, with hidden characters shown.
func inkedText(text string, inks []slipway.Ink) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, inked(text, inks, nil))
		return err
	})
}

// inked is the markup of a text. Marks stand within inks: a mark that goes beyond an
// ink is cut in two.
func inked(text string, inks []slipway.Ink, marks []slipway.Span) string {
	var b strings.Builder
	at := 0
	for _, ink := range inks {
		marked(&b, text, at, ink.From, marks)
		b.WriteString(`<span class="hl-` + string(rune(ink.Class)) + `">`)
		marked(&b, text, ink.From, ink.To, marks)
		b.WriteString("</span>")
		at = ink.To
	}
	marked(&b, text, at, len(text), marks)
	return b.String()
}

// marked writes the markup of a part of a text with its marks.
func marked(b *strings.Builder, text string, from, to int, marks []slipway.Span) {
	for _, m := range marks {
		start, end := max(m.From, from), min(m.To, to)
		if start >= end {
			continue
		}
		b.WriteString(visible(text[from:start]) + "<mark>" + visible(text[start:end]) + "</mark>")
		from = end
	}
	b.WriteString(visible(text[from:to]))
}

// blanks names tabs and newlines in names of files.
var blanks = strings.NewReplacer("\t", unseen('\t', "TAB"), "\n", unseen('\n', "LF"))

// fileName is the name or path of a file with hidden characters shown, tabs and
// newlines as well.
func fileName(name string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := blanks.WriteString(w, visible(name))
		return err
	})
}

// visible returns the markup of a text, where hidden characters are replaced by
// their names.
func visible(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	at := 0
	var b strings.Builder
	for _, h := range slipway.HiddenRunes(text) {
		b.WriteString(templ.EscapeString(text[at:h.At]) + unseen(h.Rune, h.Name))
		at = h.At + utf8.RuneLen(h.Rune)
	}
	b.WriteString(templ.EscapeString(text[at:]))
	return b.String()
}

// unseen is the markup of a hidden character.
func unseen(r rune, name string) string {
	return fmt.Sprintf(`<span class="unseen" title="U+%04X">%s</span>`, r, name)
}

// Texts of a comparison.
const (
	VersionsAlike = "The two versions are the same"
	NoVersionText = "Nothing (before the first deploy)"
)

// FileRange names the shown files, counted from 1.
func FileRange(from, to, of int) string {
	if of == 0 {
		return "No content differs"
	}
	return "Files " + Number(from) + " to " + Number(to) + " of " + Number(of)
}

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

	SwapURL, UnifiedURL, SplitURL string
	Split                         bool
	Sum                           slipway.ChangeSum
	Under                         []Link // the folders above the shown one; empty at the root
	Folder                        string // name of the shown folder; "dags/" at the root
	Tree                          []TreeNode
	TreeMore                      int // files missing from the tree
	Files                         []ComparedFile
	Modes                         *ModeFold // files that differ by their mode alone; nil where Files have them
	Range                         string    // "Files 1 to 20 of 300"
	Newer, Older                  string
	AllURL                        string // of all files, where one alone is shown
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

// TreeNode is a changed file, or a folder with changed files.
type TreeNode struct {
	Name  string
	URL   string
	Op    slipway.Op // of a file
	Was   string     // the path before a rename
	Mode  string     // the change of the mode, in words; "" for none
	Sum   slipway.ChangeSum
	Nodes []TreeNode // of a folder
	More  int        // files of a folder left out of the list; all are at URL
}

// ComparedFile is a file in a comparison.
type ComparedFile struct {
	FileChange
	Was        string // the path before a rename
	AloneURL   string // of the file alone, with as many lines as can be shown
	ContextURL string // of the file alone with unchanged lines; "" where the page shows them
	Split      bool
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

// markedText is a line with the changed words marked, hidden characters shown, and
// no space added.
func markedText(l slipway.DiffLine) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		at, text := 0, ""
		for _, m := range l.Marks {
			text += visible(l.Text[at:m.From]) + "<mark>" + visible(l.Text[m.From:m.To]) + "</mark>"
			at = m.To
		}
		_, err := io.WriteString(w, text+visible(l.Text[at:]))
		return err
	})
}

// plainText is a text with hidden characters shown.
func plainText(text string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, visible(text))
		return err
	})
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

package views

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"
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

// visible returns the markup of a text, where hidden characters are replaced by
// their names.
func visible(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if !strings.ContainsFunc(text, func(r rune) bool { return hiddenName(r) != "" }) {
		return templ.EscapeString(text)
	}
	var b strings.Builder
	for at, r := range text {
		name := hiddenName(r)
		if name == "" {
			b.WriteString(templ.EscapeString(text[at : at+utf8.RuneLen(r)]))
			continue
		}
		fmt.Fprintf(&b, `<span class="unseen" title="U+%04X">%s</span>`, r, name)
	}
	return b.String()
}

// hiddenNames are characters that are not seen, or look like a space, by their
// short names in Unicode.
var hiddenNames = map[rune]string{
	'\r': "CR", 0x7f: "DEL", 0xa0: "NBSP", 0xad: "SHY", 0x61c: "ALM", 0x180e: "MVS", 0x200b: "ZWSP", 0x200c: "ZWNJ", 0x200d: "ZWJ", 0x200e: "LRM", 0x200f: "RLM",
	0x2028: "LSEP", 0x2029: "PSEP", 0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO", 0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI",
	0x2068: "FSI", 0x2069: "PDI", 0xfeff: "BOM",
}

// hiddenName returns the name of a hidden character, "" for others.
func hiddenName(r rune) string {
	if name := hiddenNames[r]; name != "" {
		return name
	}
	switch {
	case r == '\t' || r == '\n' || r == utf8.RuneError:
		return ""
	case unicode.In(r, unicode.Cc, unicode.Cf), r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0: // the last four are the fillers of Hangul
		return fmt.Sprintf("U+%04X", r)
	}
	return ""
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

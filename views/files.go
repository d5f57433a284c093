package views

import (
	"strconv"
	"strings"

	"slipway/internal/slipway"
)

// FileList is a list of changed files, each with its difference: open, or closed until
// somebody opens it.
type FileList struct {
	Title         string
	Sum           slipway.ChangeSum
	Rows          []FileChange
	Modes         *ModeFold // files that differ by their mode alone; nil where Rows have them
	Missing       string    // why no differences are shown
	Range         string    // "Files 201 to 400 of 20,000"; "" where all are listed
	Before, After string    // addresses of other parts of the list
	Key           string    // of the viewed marks in the browser: the same for the same deploy

	Split, Wrapped, AllOpen                bool
	UnifiedURL, SplitURL, WrapURL, OpenURL string // OpenURL opens all, or closes all where AllOpen

	Under  []Link // the folders above the one shown folder
	Folder string // the one shown folder; "" for all
}

// FileChange is the change of one file.
type FileChange struct {
	Op       slipway.Op
	Path     string
	Was      string       // the path before a rename
	Heading  *FileHeading // above this file; nil for none
	In       bool         // below a heading
	Folder   string       // of the shown path, with a slash; "" for none
	Name     string       // last part of the shown path
	Mode     string       // the change of the mode, in words; "" for none
	ModeOnly bool         // nothing else is changed
	Link     string       // the change of a symlink, in words
	Signs    []FileSign
	Anchor   string
	Content  string // key of the two contents, for viewed marks
	URL      string // of the page with the difference
	WholeURL string // of the file in the version; "" for a version not retained or not stored yet
	PastURL  string // of the file's history; "" without a history
	SameAs   string // "#119 (Grace H., 18 Nov 2026)"; "" without an older equal version
	SameURL  string

	Counted        bool // Added and Removed are known
	Added, Removed int
	Size           int64 // of the new content, or of a removed one

	Open  bool
	Diff  *slipway.FileDiff // nil for a closed file, and where nothing can be compared
	Split bool
	Gaps  []GapLinks
	Cut   int // lines left out
}

// FileHeading is a folder above two or more files.
type FileHeading struct {
	Name  string // with a slash
	URL   string // of the list for this folder alone; "" for none
	Files int
}

// FileSign is a remark on a file in the list.
type FileSign struct{ Tone, Text string }

// GapLinks open the lines between two hunks.
type GapLinks struct {
	Before            int // index of the hunk behind
	Lines             int // in the gap
	Above, Below, All string
}

// loaded reports whether the body of f is on the page.
func (f FileChange) loaded() bool { return f.Diff != nil || f.Link != "" || f.ModeOnly }

// gap returns the links above hunk i; nil for no gap.
func (f FileChange) gap(i int) *GapLinks {
	for n := range f.Gaps {
		if f.Gaps[n].Before == i {
			return &f.Gaps[n]
		}
	}
	return nil
}

// Arrange sets the headings and the shown paths of rows, which are sorted by path: a
// folder with one file stands in the line of the file. address returns the address of
// the list for one folder, "" for none.
func Arrange(rows []FileChange, address func(folder string) string) {
	for len(rows) > 0 {
		top, _, deep := strings.Cut(rows[0].Path, "/")
		n := 1
		for deep && n < len(rows) && strings.HasPrefix(rows[n].Path, top+"/") {
			n++
		}
		arrange(rows[:n], address)
		rows = rows[n:]
	}
}

// arrange is Arrange for the files of one folder.
func arrange(rows []FileChange, address func(folder string) string) {
	folder := ""
	if len(rows) > 1 {
		folder = commonFolder(rows)
		rows[0].Heading = &FileHeading{Name: folder, URL: address(strings.TrimSuffix(folder, "/")), Files: len(rows)}
	}
	for i := range rows {
		rest := rows[i].Path[len(folder):]
		name := strings.LastIndex(rest, "/") + 1
		rows[i].In, rows[i].Folder, rows[i].Name = folder != "", rest[:name], rest[name:]
	}
}

// commonFolder returns the folder that holds all rows, with a slash.
func commonFolder(rows []FileChange) string {
	first, last := rows[0].Path, rows[len(rows)-1].Path // sorted: what these have in common, all have
	n := 0
	for n < min(len(first), len(last)) && first[n] == last[n] {
		n++
	}
	return first[:strings.LastIndex(first[:n], "/")+1]
}

// ToOpen returns the index of the one row that is open at first: the first one with a
// problem, otherwise the one with the most changed lines up to a limit; -1 for none.
func ToOpen(rows []FileChange) int {
	best := -1
	for i, f := range rows {
		for _, s := range f.Signs {
			if s.Tone == "bad" && f.Counted {
				return i
			}
		}
		switch {
		case !f.Counted || f.Added+f.Removed == 0:
		case len(rows) > 1 && f.Added+f.Removed > openLines:
		case best < 0 || f.Added+f.Removed > rows[best].Added+rows[best].Removed:
			best = i
		}
	}
	return best
}

// openLines is the most changed lines of the file that is open at first.
const openLines = 40

// text counts the files below the heading.
func (h FileHeading) text() string { return Count(h.Files, "file") }

// Signs of files in a list.
const (
	SignBidi      = "▲ bidirectional controls"
	SignPointer   = "▲ Git LFS pointer"
	SignInvisible = "▲ unseen characters in the name"
	SignDAG       = "DAG file"
	SignStops     = "▲ Airflow stops loading it"
)

// SignBack says that a file gets the content again that a deploy gave it.
func SignBack(number int) string { return "▲ back to #" + strconv.Itoa(number) }

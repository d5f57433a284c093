package views

import (
	"fmt"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// VersionsPage lists the retained DAG bundle versions.
type VersionsPage struct {
	Frame        DeploymentFrame
	Rows         []VersionRow
	Newer, Older string
	Keeps        string // the retention in words
	DeployURL    string
}

// VersionRow is a version in the list.
type VersionRow struct {
	Version      slipway.Version
	URL          string
	ArchiveURL   string
	CompareURL   string // with the version before; "" for the first
	At           Moment
	Mounted      bool
	Files        int
	Size, Stored int64
	Frees        int64        // bytes freed on expiry
	Hold         slipway.Hold // why the version does not expire; "" for one that will
	Expires      Moment
	Uses         []Link // deploys of the version
}

// FolderPage is a folder of a version.
type FolderPage struct {
	Frame      DeploymentFrame
	Version    slipway.Version
	Mounted    bool
	VersionURL string
	ArchiveURL string
	Path       []Link // the folders above, from the root
	Folder     string // "" for the root
	Entries    []FolderEntry
	Sum        string
}

// FolderEntry is a file or folder in a folder.
type FolderEntry struct {
	Name, URL string
	Folder    bool
	Files     int // in a folder
	Size      int64
	Link      string // a symlink's target
	DAG, Exec bool
}

// FoundPage lists the files of a version with a text in their path.
type FoundPage struct {
	Frame      DeploymentFrame
	Version    slipway.Version
	VersionURL string
	Text       string // as asked for
	Found      []FoundFile
	Count      int // of all found files
	Files      int // of the version
}

// FoundFile is a file in a FoundPage.
type FoundFile struct {
	Path, URL string
	Size      int64
	EditURL   string // "" without the permission, and for versions before
}

// sum says how many files were found.
func (p FoundPage) sum() string {
	all := Count(p.Files, "file")
	switch {
	case strings.TrimSpace(p.Text) == "":
		return "Type a part of a name: " + all + " are in this version."
	case p.Count == 0:
		return "None of " + all + " in this version has it in its path. Try a shorter part, or the name without the folder."
	case p.Count > len(p.Found):
		return Count(p.Count, "file") + " of " + Number(p.Files) + ", the first " + Number(len(p.Found)) + " of them below. Type more to find fewer."
	}
	return Count(p.Count, "file") + " of " + Number(p.Files) + "."
}

// FilePage shows one file of a version.
type FilePage struct {
	Frame      DeploymentFrame
	Version    slipway.Version
	VersionURL string
	Path       []Link
	Name       string
	File       slipway.File
	IsDAG      bool     // Airflow would load the file
	Words      []string // what is unusual in line endings and encoding
	RawURL     string
	FixURL     string // to edit or replace the file; "" without the permission, or for a removed file
	HistoryURL string
	Lines      []string
	Inks       [][]slipway.Ink // of each line; none for a text without colours
	Refusal    string          // why the text is not shown
}

// facts are the size of the file and what is special about it, in a line.
func (p FilePage) facts() string {
	facts := []string{Bytes(p.File.Size)}
	if p.IsDAG {
		facts = append(facts, "DAG file")
	}
	if p.File.Exec {
		facts = append(facts, "executable")
	}
	return strings.Join(append(facts, p.Words...), " · ")
}

// holdWords says why a version does not expire.
var holdWords = map[slipway.Hold]string{
	slipway.HoldCurrent: "current",
	slipway.HoldMounted: "still mounted somewhere",
	slipway.HoldNeeded:  "a deploy needs it",
	slipway.HoldLast:    "one of the last",
}

// RetentionText describes the retention of versions.
func RetentionText(days, versions int) string {
	return fmt.Sprintf("Kept for %d days after they were replaced, and at least the last %d.", days, versions)
}

// VersionSum gives the size and the origin of a version.
func VersionSum(files int, size int64, deploy int, at time.Time) string {
	return fmt.Sprintf("%s files, %s. From deploy #%d, %s.", Number(files), Bytes(size), deploy, at.UTC().Format("2 Jan 2006 15:04 UTC"))
}

// Reasons for not showing the text of a file.
const (
	FileLink  = "A link has no content of its own."
	FileEmpty = "The file is empty."
	FileData  = "The file is not text. Download it to look inside."
	FileLines = "The file has too many lines to show here. Download it."
)

// FileTooLarge is the refusal to show a file of a size.
func FileTooLarge(size int64) string {
	return "The file has " + Bytes(size) + ", too much to show here. Download it."
}

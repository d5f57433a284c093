package views

import (
	"slipway/internal/slipway"
)

// FixPage is the form that mends one file.
type FixPage struct {
	Frame       DeploymentFrame
	Path        string // below dags
	Name        string
	Action      string
	BackURL     string // of the file as it is now
	HistoryURL  string
	Refusal     string // of the rule, in its words: why there is no form
	Error       string // why what was sent was not taken
	OtherThen   string // where the file was opened: an old version in which it was different
	Gone        bool   // the file is not there any more
	Base        string
	Text        string
	NoText      string // why its text cannot be edited
	Exec        bool
	Description string
	Meanwhile   *FileChange // what happened to the file since it was opened
}

// FileHistoryPage is the history of one file.
type FileHistoryPage struct {
	Frame        DeploymentFrame
	Path, Name   string
	Action       string
	FixURL       string // "" for those who may not, or where it is gone
	Rows         []FileStepRow
	Newer, Older string
	From, To     []Option // steps to compare; fewer than two: nothing to compare
	Title        string   // of the comparison
	Diff         *FileChange
	Problem      string // why they cannot be compared
}

// FileStepRow is what a deploy did to the file.
type FileStepRow struct {
	Op          slipway.Op
	Number      int
	DeployURL   string
	At          Moment
	By          string
	Description string
	Current     bool
	Fix         bool   // made in the portal
	SHA256      string // of the content afterwards; "" for none
	Link        bool   // the file was a link then
	ThenURL     string // of the file as the deploy left it, or before it was removed; "" when that is not kept
	DiffURL     string // of what the deploy changed in it; "" when that is not kept
}

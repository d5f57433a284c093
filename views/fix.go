package views

import (
	"slipway/internal/slipway"
)

// FixPage is the form that edits or replaces one file.
type FixPage struct {
	Frame       DeploymentFrame
	Path        string // below dags
	Name        string
	Action      string
	BackURL     string // of the current file
	HistoryURL  string
	Refusal     string // the rule's reason for showing no form
	Error       string // why the sent fix was refused
	OtherThen   string // a note that the file differs from the older version opened by the reader
	Gone        bool   // the file no longer exists
	Base        string
	Text        string
	NoText      string // why the text cannot be edited
	Exec        bool
	Description string
	Meanwhile   *FileChange // the change of the file since the form was opened
}

// FileHistoryPage is the history of one file.
type FileHistoryPage struct {
	Frame        DeploymentFrame
	Path, Name   string
	Action       string
	FixURL       string // "" without the permission, or for a removed file
	Rows         []FileStepRow
	Newer, Older string
	From, To     []Option // steps to compare; fewer than two: nothing to compare
	Title        string   // of the comparison
	Diff         *FileChange
	Problem      string // why the steps cannot be compared
}

// FileStepRow is one deploy's change of the file.
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
	ThenURL     string // of the file after the deploy, or before a removal; "" for a version not retained
	DiffURL     string // of the deploy's change of the file; "" for versions not retained
}

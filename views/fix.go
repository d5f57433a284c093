package views

import (
	"fmt"
	"time"

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
	Deleted     bool   // the file no longer exists
	Base        string
	Text        string
	Form        string   // encoding and line ends; "" for no text
	Hidden      []string // hidden characters in Text, with their lines
	NoText      string   // why the text cannot be edited
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
	Look         FileList // the switches of the difference: side by side, wrapped
	Problem      string   // why the steps cannot be compared
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
	Mode        string // the change of the mode, in words; "" for none
	Link        bool   // the file was a link then
	ThenURL     string // of the file after the deploy, or before a removal; "" for a version not retained
	DiffURL     string // of the deploy's change of the file; "" for versions not retained
}

// FixMeanwhile tells the sender of a fix about a change of the file by w.
func FixMeanwhile(w slipway.Deploy) string {
	return fmt.Sprintf("Deploy #%d by %s changed this file while you were at it. What you typed is still here: look at the change, then send yours again.", w.Number, w.By.Title())
}

// FixOlder says that the reader comes from a version with other contents.
func FixOlder(v slipway.Version) string {
	return "The file was different in version " + v.Short() + ", where you come from. This is the current file."
}

// FixForm tells the encoding and the line ends of a text in the editor: kept for an
// editable text.
func FixForm(f slipway.TextForm, editable bool) string {
	if f.Encoding == "" {
		return ""
	}
	text := "Encoding: " + f.Encoding + "."
	if f.Ends != "" {
		text += " Line endings: " + f.Ends + "."
	}
	if editable {
		text += " They stay as they are."
	}
	return text
}

// StepLink is the reason why a link cannot be compared.
const StepLink = "The file was a link then, which has no text to compare."

// StepTitle is the title of a comparison of a file after two deploys.
func StepTitle(from, to int) string { return fmt.Sprintf("From #%d to #%d", from, to) }

// StepAlike is the text for equal contents after two deploys.
func StepAlike(from, to int) string {
	return fmt.Sprintf("The file held the same after #%d and after #%d.", from, to)
}

// StepModes is the text for equal contents with another mode after two deploys.
func StepModes(from, to int, was, is string) string {
	return fmt.Sprintf("The file held the same after #%d and after #%d, with another mode: %s → %s.", from, to, was, is)
}

// StepOption names a step in the choice of a comparison.
func StepOption(number int, at time.Time) string {
	return fmt.Sprintf("#%d, %s", number, at.UTC().Format("2 Jan 2006 15:04"))
}

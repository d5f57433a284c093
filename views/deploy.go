package views

import (
	"slipway/internal/slipway"
)

// HistoryRow is a deploy in the history, or a switch of DAG-only deploys
// between two of them.
type HistoryRow struct {
	Switch string // what a switch did; "" for a deploy

	Number      int
	URL         string
	At          Moment
	Current     bool
	Kind        slipway.DeployKind
	Status      slipway.Status
	Description string
	Fix         bool   // made in the portal
	Commit      string // short
	CommitURL   string // "" when the sender named none that can be linked
	Branch      string
	Reason      string
	Version     slipway.Version // "" when the deploy brings none
	VersionURL  string          // "" when it is not kept
	Image       string          // "" when it stays as it was
	Digest      string          // of the image, short
	Runtime     string
	By          string
	ReturnURL   string // "" where the rule does not allow it
	Compares    int    // 1 where its version can be compared, 2 and 3 where it is chosen as the older or newer one
}

// DeployPage is the page of one deploy.
type DeployPage struct {
	Frame    DeploymentFrame
	LiveURL  string
	Header   DeployHeader
	Timeline Timeline
	Review   *Review      // while it waits to be confirmed
	Image    *ImageReview // once that is over
	Changes  *Changes
	Log      LogCardProps
	LeftOut  []Omission
	Outside  []string
}

// DeployHeader is what stands above a deploy's page.
type DeployHeader struct {
	Number      int
	Kind        slipway.DeployKind
	Status      slipway.Status
	Current     bool
	Description string
	Commit      string
	CommitURL   string
	Branch      string
	By, From    string
	At          Moment
	Reason      string // why it failed or was cancelled
	Harmless    bool   // it ended before anything changed
	Note        string
	Links       []Link // what it returned to, was undone by
	Fix         string // the file that was mended in the portal; "" for others
	MadeHere    bool   // it went live, and the repository does not know of it
	DownloadURL string
	PatchURL    string // "" when there is none
	CompareURL  string // of its version with the one before
	ReturnURL   string
	CancelURL   string // a POST
	CancelText  string
	AgainURL    string // to try again what was refused
	AgainText   string
	Source      string // reference that the image was asked for by
	Version     slipway.Version
	VersionURL  string
	Waits       string // its place in the queue
	GoesBack    bool   // it failed in the middle, and what was before comes back
}

// Link is words that lead somewhere.
type Link struct{ Text, URL string }

// Timeline is a deploy's life in steps.
type Timeline struct {
	Total string
	Steps []Step
}

// Step is one of them.
type Step struct {
	Class  string // done, busy, failed or waiting
	Title  string
	Detail string
	Took   string
}

// Review is what a deploy will do, with the form that confirms it.
type Review struct {
	Action      string
	Button      string
	Base        slipway.Version
	Against     string // "#127, which is live"
	Notice      string // what is new since the page was last shown
	Refusal     string // why it cannot be confirmed
	DiscardURL  string // a POST; "" for a return
	BackURL     string // of a return
	Describes   bool   // whether the description can be edited
	Description string
	AsksReason  bool
	Reason      string
	Counts      slipway.Counts
	NewBytes    int64
	Lines       []ChangeLine
	MoreLines   int
	RemovedDAGs []string
	NoDAGs      bool
	Ticks       slipway.Ticks // as they were given
	LeftOut     []Omission
	Outside     []string
	Effects     []string     // what it does beside files
	Image       *ImageReview // that it rolls out; nil for none
	Reminders   []string     // about the image that runs, or will
	NotAirflow  string       // the image that nothing says is one of Airflow; "" for none
	ByHand      bool         // nothing here can run the image that carries the DAGs
	NoFiles     bool         // files are not what it is about
}

// ChangeLine is a changed file in a list.
type ChangeLine struct {
	Op          slipway.Op
	Path        string
	URL         string // of its difference; "" when it is not on the page
	DAG         bool
	Counted     bool // Added and Removed are known
	Added       int
	Removed     int
	GoesBack    string // "#119 (Grace H., 18 Nov 2026)"; "" if it does not
	GoesBackURL string
}

// Omission is something that was left out, and why.
type Omission struct{ Name, Why string }

// Changes are the differences that a deploy makes, file by file.
type Changes struct {
	Title   string
	Counts  slipway.Counts
	Files   []FileChange
	More    string // what is not listed
	Missing string // why there are none to show
}

// FileChange is what happens to one file.
type FileChange struct {
	Op       slipway.Op
	Path     string
	Anchor   string
	WholeURL string // of the file in the version; "" when it is not kept or not stored yet
	PastURL  string // of the file's history; "" where it has none
	ShowURL  string // of the page with its difference; "" when it stands below
	Diff     *slipway.FileDiff
	Folded   bool
	Cut      int    // lines that are not shown
	Link     string // what a symlink does, in words
}

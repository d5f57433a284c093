package views

import "slipway/internal/slipway"

// NewDeploy is the form that begins a deploy of one kind.
type NewDeploy struct {
	Action, TusURL string
	Deployment     slipway.DeploymentID
	Kind           slipway.DeployKind
	Kinds          []KindTab
	Text           string        // what a deploy of the kind does
	Refusal        string        // why there is no form
	SettingsURL    string        // where the refusal can be seen to; "" if nowhere
	First          bool          // nothing was deployed so far
	Image          *ImageChoice  // nil for a kind without one
	DAGs           bool          // the form takes DAGs
	Merge          slipway.Merge // as it was chosen; "" before that
	Folder         string        // as it was typed or linked
	Description    string
	Error          string
}

// KindTab leads to the form of a kind of deploy.
type KindTab struct {
	Title, URL string
	Open       bool
	Refusal    string // why it cannot be chosen; "" if it can
}

// ImageChoice asks which image is deployed.
type ImageChoice struct {
	Source string // as it was chosen: one of the sources
	Ref    string // as it was typed, or asked for before
	Pushed Pushed

	RegistriesURL string // where the credentials for other registries are
}

// The sources of an image, as the form names them.
const (
	FromPush    = "pushed"
	FromRef     = "reference"
	FromArchive = "archive"
)

// Pushed are the tags that were pushed for a Deployment.
type Pushed struct {
	Rows      []PushedTag
	More      int    // that are not listed
	Chosen    string // Ref of the one that is ticked; "" for none
	Lines     string // that push an image
	TokensURL string // where the password comes from
}

// PushedTag is one of them.
type PushedTag struct {
	ID, Ref, Name, Digest string
	At                    Moment
}

package views

import "slipway/internal/slipway"

// NewDeploy is the form to begin a deploy of one kind.
type NewDeploy struct {
	Action, TusURL string
	Deployment     slipway.DeploymentID
	Kind           slipway.DeployKind
	Kinds          []KindTab
	Text           string        // the effect of a deploy of this kind
	Refusal        string        // why no form is shown
	SettingsURL    string        // where the refusal can be seen to; "" if nowhere
	NoDeploys      bool          // the Deployment has no deploy yet, not even a failed one
	Image          *ImageChoice  // nil for a kind without one
	DAGs           bool          // the form takes DAGs
	Merge          slipway.Merge // as chosen; "" before the first choice
	Folder         string        // as typed or linked
	Description    string
	Error          string
}

// KindTab leads to the form of a kind of deploy.
type KindTab struct {
	Title, URL string
	Open       bool
	Refusal    string // why the kind cannot be chosen; "" for an allowed kind
}

// ImageChoice asks for the image to deploy.
type ImageChoice struct {
	Source string // as chosen: one of the sources
	Ref    string // as typed, or from the deploy to try again
	Pushed Pushed

	RegistriesURL string // where the credentials for other registries are
}

// The sources of an image, as named in the form.
const (
	FromPush    = "pushed"
	FromRef     = "reference"
	FromArchive = "archive"
)

// Pushed are the tags pushed for a Deployment.
type Pushed struct {
	Rows      []PushedTag
	More      int    // tags left out of the list
	Chosen    string // Ref of the ticked tag; "" for none
	Lines     string // the commands to push an image
	TokensURL string // where the password comes from
}

// PushedTag is one pushed tag.
type PushedTag struct {
	ID, Ref, Name, Digest string
	At                    Moment
}

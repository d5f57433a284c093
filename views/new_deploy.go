package views

import "slipway/internal/slipway"

// NewDeploy is the form to begin a deploy of one kind.
type NewDeploy struct {
	Action, TusURL string
	Deployment     slipway.DeploymentID
	Name           string // of the Deployment
	Kind           slipway.DeployKind
	Kinds          []KindTab
	Text           string        // the effect of a deploy of this kind
	Refusal        string        // why no form is shown
	SettingsURL    string        // where the refusal can be seen to; "" if nowhere
	TokenURL       string        // the form for a token that deploys here
	NoDeploys      bool          // no deploy has gone live yet
	Image          *ImageChoice  // nil for a kind without one
	DAGs           bool          // the form takes DAGs
	Merge          slipway.Merge // as chosen; "" before the first choice
	Folder         string        // as typed or linked
	Description    string
	Error          string
}

// opened reports whether the fields show before anything was chosen.
func (n NewDeploy) opened() bool {
	return n.Image != nil || n.Error != "" || n.Folder != "" || n.Description != "" || n.Merge != ""
}

// dropText is shown while files are dragged over the page.
func dropText(n NewDeploy) string {
	if !n.DAGs {
		return "Drop the archive of an image to deploy to " + n.Name
	}
	return "Drop to deploy to " + n.Name
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

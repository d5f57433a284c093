package views

import (
	"slipway/internal/slipway"
)

// SettingsPage is a Deployment's settings.
type SettingsPage struct {
	Frame        DeploymentFrame
	Switch       SwitchCard
	Action       string
	Settings     slipway.Settings
	KeepDays     string // as typed
	KeepVersions string
	Refusal      string // why the settings cannot be edited; "" with the permission
	Error        string
	Connect      Connect
	Agents       AgentsCardProps
	Register     *RegisterCardProps // nil without the permission, or with a known image
	Apply        *ApplyCardProps    // nil for an Airflow elsewhere
	Delete       *DeleteCard        // nil without the permission
}

// SwitchCard shows the switch and the reason for a refusal.
type SwitchCard struct {
	On      bool
	Text    string
	URL     string // of the confirmation; "" without the permission
	Refusal string
	Waiting *WaitingRow
}

// DeleteCard is the form to delete a Deployment.
type DeleteCard struct {
	Action, Name, Typed string
	Lost                []string
	Error               string
}

// SwitchPage asks before DAG-only deploys are turned on or off.
type SwitchPage struct {
	Frame      DeploymentFrame
	Action     string
	On         bool // the wanted position
	Restores   bool // the switch only undoes the last one
	Refusal    string
	Error      string
	Changes    []string
	Refused    []Deployer // people and tokens with recent DAG deploys
	Mounted    slipway.Version
	Waits      string // a note on the place in the queue
	SupportURL string
	CancelURL  string
	AtHand     bool
	Self       bool               // the person chose to make the follow-up deploy by hand
	DoesIt     string             // how Slipway does the follow-up
	NoImage    string             // why Slipway cannot make the follow-up
	DeployURL  string             // the form for the follow-up deploy
	Register   *RegisterCardProps // nil where an image is known
}

// Deployer made DAG deploys lately.
type Deployer struct {
	Name  string
	Token bool
	At    Moment
}

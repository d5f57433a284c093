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
	KeepDays     string // as it was typed
	KeepVersions string
	Refusal      string // why they cannot be edited; "" if they can
	Error        string
	Connect      Connect
	Agents       AgentsCardProps
	Register     *RegisterCardProps // nil for those who may not, or where an image is known
	Apply        *ApplyCardProps    // nil for an Airflow elsewhere
	Delete       *DeleteCard        // nil for those who may not
}

// SwitchCard shows the switch and who may turn it.
type SwitchCard struct {
	On      bool
	Text    string
	URL     string // of the confirmation; "" for those who may not
	Refusal string
	Waiting *WaitingRow
}

// DeleteCard is the form that deletes a Deployment.
type DeleteCard struct {
	Action, Name, Typed string
	Lost                []string
	Error               string
}

// SwitchPage asks before DAG-only deploys are turned on or off.
type SwitchPage struct {
	Frame      DeploymentFrame
	Action     string
	On         bool // where it is turned to
	Restores   bool // it only takes the last switch back
	Refusal    string
	Error      string
	Changes    []string
	Refused    []Deployer // who deployed DAGs lately
	Mounted    slipway.Version
	Waits      string // that it takes its turn
	SupportURL string
	CancelURL  string
	AtHand     bool
	Self       bool               // whoever switches chose to do the follow-up
	DoesIt     string             // how Slipway does the follow-up
	NoImage    string             // why it cannot
	DeployURL  string             // where it can be done here
	Register   *RegisterCardProps // nil where an image is known
}

// Deployer made DAG deploys lately.
type Deployer struct {
	Name  string
	Token bool
	At    Moment
}

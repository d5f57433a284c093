package views

import (
	"slipway/internal/slipway"
)

// DeploymentFrame is what every page of a Deployment has above its content:
// breadcrumb, name, banner and tabs.
type DeploymentFrame struct {
	Page       Frame
	Name       string
	Links      DeploymentLinks
	Tab        string // URL of the tab that is open; "" for a page below one of them
	AirflowURL string
	Banner     Banner
}

// DeploymentLinks are the addresses of a Deployment's pages.
type DeploymentLinks struct {
	Workspace, Overview, Deploys, Versions, Settings string
}

// Banner says that a Deployment needs an image deploy. Without Text there is
// none.
type Banner struct {
	Text      string
	At        Moment // of the switch; zero when it is not known
	SwitchURL string // to switch back; "" for those who may not
	DeployURL string // to deploy image and DAGs; "" for those who may not
	SafeURL   string // a POST that has Slipway do it; "" where it cannot, or for those who may not
	On        bool   // where the switch is
}

// DeploymentsPage is the list of a Workspace's Deployments.
type DeploymentsPage struct {
	Page    Frame
	NewURL  string // "" for those who may not add one
	LiveURL string
	Rows    []DeploymentRow
}

// DeploymentRow is a Deployment in the list.
type DeploymentRow struct {
	Name, URL, Namespace string
	Here                 bool
	Health               slipway.Health
	Reason               string
	NeedsImage           bool
	Version              slipway.Version
	VersionURL           string
	ImageTag, Runtime    string
	Last                 *DeployLine // nil before the first
	DeployURL            string      // to make the first deploy; "" for those who may not
}

// DeployLine names a deploy in a few words.
type DeployLine struct {
	Number          int
	URL             string
	At              Moment
	By, Description string
	Status          slipway.Status
}

// NewDeploymentPage is the form for another Deployment.
type NewDeploymentPage struct {
	Page              Frame
	Action, CancelURL string
	Name, Description string // as they were typed
	Elsewhere         bool
	Error             string
}

// Facts are the strip of what a Deployment runs.
type Facts struct {
	Health            slipway.Health
	Reason            string
	Version           slipway.Version
	VersionURL        string
	ImageTag, Runtime string
	ImageRef          string // that pulls the image and nothing else
	DAGsFrom          string
	DAGsNote          string
}

// Overview is a Deployment's first page.
type Overview struct {
	Frame   DeploymentFrame
	LiveURL string
	Facts   Facts
	Waiting []WaitingRow
	Form    NewDeploy
	Running Running
	Newest  []HistoryRow
	AllURL  string   // of the deploy history
	Connect *Connect // how Airflow reads the DAGs; nil once there was a deploy
}

// WaitingRow is a deploy, or a switch, that waits for a person or for its turn.
type WaitingRow struct {
	Title, URL string
	Status     slipway.Status
	Text       string
	CancelURL  string // a POST; "" for those who may not
	CancelText string
}

// Running is what each component runs now.
type Running struct {
	Summary string
	Empty   string // what is so when no component is connected
	Rows    []ComponentRow

	ConnectURL string // where agents are connected; "" for those who may not, and where none is needed
}

// ComponentRow is a component as it last reported.
type ComponentRow struct {
	Name   string
	Tone   string // ok, busy, warn or bad
	Sign   string // ✓ ↻ ▲ ✕
	Text   string
	Title  string // the full name of the version
	Since  Moment
	Detail string
	Seen   Moment // when it reported last
	Error  string

	ForgetURL string // "" for those who may not, and for what reports
	Component string // its name in the form that forgets it
}

// Connect says where DAGs are mounted and how Airflow is told.
type Connect struct {
	Here      bool
	MountDir  string // on this machine
	DAGsDir   string // current/dags below it
	Airflow2  string // lines of airflow.cfg
	Airflow3  string
	AgentsURL string // the part of Settings about agents; "" for those who may not manage them
}

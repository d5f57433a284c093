package views

import (
	"slipway/internal/slipway"
)

// DeploymentFrame is the head of every page of a Deployment: breadcrumb, name,
// banner and tabs.
type DeploymentFrame struct {
	Page       Frame
	Name       string
	Links      DeploymentLinks
	Tab        string // URL of the open tab; "" for a page below a tab
	AirflowURL string
	Banner     Banner
}

// DeploymentLinks are the addresses of a Deployment's pages.
type DeploymentLinks struct {
	Workspace, Overview, Deploys, Versions, Settings string
}

// Banner says that a Deployment needs an image deploy. Without Text no banner
// is shown.
type Banner struct {
	Text      string
	At        Moment // of the switch; zero when unknown
	SwitchURL string // to switch back; "" without the permission
	DeployURL string // to deploy image and DAGs; "" without the permission
	SafeURL   string // a POST to have Slipway follow the switch; "" when impossible or not allowed
	On        bool   // where the switch is
}

// DeploymentsPage is the list of a Workspace's Deployments.
type DeploymentsPage struct {
	Page    Frame
	NewURL  string // "" without the permission to add a Deployment
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
	DeployURL            string      // to make the first deploy; "" without the permission
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
	Name, Description string // as typed
	Elsewhere         bool
	Error             string
}

// Facts are the strip with the present state of a Deployment.
type Facts struct {
	Health            slipway.Health
	Reason            string
	Version           slipway.Version
	VersionURL        string
	ImageTag, Runtime string
	ImageRef          string // by digest
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
	Connect *Connect // how Airflow reads the DAGs; nil after the first deploy went live
}

// WaitingRow is a deploy or a switch in wait for a person or for a turn.
type WaitingRow struct {
	Title, URL string
	Status     slipway.Status
	Text       string
	CancelURL  string // a POST; "" without the permission
	CancelText string
}

// Running lists the components with their versions.
type Running struct {
	Summary string
	Empty   string // the text shown without components
	Rows    []ComponentRow

	ConnectURL string // where to connect agents; "" without the permission or the need
}

// ComponentRow is the last report of a component.
type ComponentRow struct {
	Name   string
	Tone   string // ok, busy, warn or bad
	Sign   string // ✓ ↻ ▲ ✕
	Text   string
	Title  string // the full name of the version
	Since  Moment
	Detail string
	Seen   Moment // time of the last report
	Error  string

	ForgetURL string // "" without the permission, and for a component with a recent report
	Component string // the name in the form that forgets the component
}

// Connect says where DAGs are mounted and how Airflow is told.
type Connect struct {
	Here      bool
	MountDir  string // on the host of the portal
	DAGsDir   string // current/dags in MountDir
	Airflow2  string // lines of airflow.cfg
	Airflow3  string
	AgentsURL string // the part of Settings about agents; "" without the permission to manage agents
}

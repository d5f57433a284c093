package views

import (
	"fmt"

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
	Local                bool
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

// DeployText describes a deploy of a kind to d, a Deployment after its queue.
// replaced is the deploy of d's version, nil if unknown.
func DeployText(d slipway.Deployment, kind slipway.DeployKind, replaced *slipway.Deploy) string {
	switch {
	case kind == slipway.DAGOnly:
		return "For changes in the dags folder alone. Seconds, no restart. Image and packages stay."
	case kind == slipway.ImageOnly:
		return "For everything but DAGs: packages, plugins, Runtime. Components restart. DAGs stay exactly as they are."
	case !d.DAGDeploys:
		return "DAG-only deploys are off: the image carries the DAGs. Components restart."
	case d.Mounted && replaced != nil:
		return "A whole project. Components restart, and it replaces the DAGs of " + DeployBy(*replaced) + "."
	}
	return "A whole project. Components restart, and all DAGs deployed before are replaced."
}

// DAGsNote completes the fact where d's DAGs come from.
func DAGsNote(d slipway.Deployment) string {
	switch {
	case d.NeedsImage:
		return "until the image deploy"
	case !d.Mounted && d.DAGDeploys:
		return "until the first DAGs are deployed"
	}
	return "DAG-only deploys " + slipway.OnOff(d.DAGDeploys)
}

// BannerText says why d needs an image deploy. turned is the switch, nil if
// unknown.
func BannerText(d slipway.Deployment, turned *slipway.SwitchOrder) string {
	text := "DAG-only deploys were turned " + slipway.OnOff(d.DAGDeploys) + "."
	if turned != nil {
		text = turned.By.Title() + " turned DAG-only deploys " + slipway.OnOff(turned.On) + "."
	}
	if d.Mounted {
		text += " Version " + d.Version.Short() + " stays in use until Image and DAGs are deployed."
	}
	return text
}

// NoComponents is the text for a Deployment without components.
func NoComponents(local bool) string {
	if local {
		return "The mount on this machine has not reported yet."
	}
	return "No component is connected. What you deploy is checked, published and kept."
}

// RunsText says what a component runs.
func RunsText(c slipway.Component) string {
	switch {
	case c.DAGs == slipway.FromBundle:
		return c.Version.Short()
	case c.DAGs == slipway.FromImage:
		return "DAGs of the image"
	case c.Kind == slipway.Rollout && c.Image != "":
		return "image " + ShortDigest(c.Image)
	}
	return "nothing mounted yet"
}

// Notes on a component.
const (
	ComponentSilent = "silent: see whether its agent still runs"
	ComponentReady  = "ready, nothing deployed yet"
	ComponentBehind = "not what is wanted"
)

// TurnText gives the place in the queue after a number of others.
func TurnText(before int) string {
	switch before {
	case 0:
		return "Is next."
	case 1:
		return "Waits for the one before it."
	}
	return fmt.Sprintf("Waits for %d before it.", before)
}

// StagedText describes a staged deploy in a line.
func StagedText(w slipway.Deploy) string {
	change := fmt.Sprintf("+%d ~%d −%d", w.Counts.Added, w.Counts.Changed, w.Counts.Removed)
	if w.Image != nil {
		change = w.Kind.Title() + ", " + ImageTag(w.Image.Brought())
	}
	return change + " · " + w.By.Title() + " · waits to be confirmed."
}

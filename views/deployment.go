package views

import (
	"slipway/internal/slipway"
)

// DeploymentFrame is the head of every page of a Deployment: breadcrumb, name,
// banner and tabs.
type DeploymentFrame struct {
	Page       Frame
	ID         slipway.DeploymentID
	Name       string
	Links      DeploymentLinks
	Tab        string // URL of the open tab; "" for a page below a tab
	AirflowURL string
	Banner     Banner
}

// DeploymentLinks are the addresses of a Deployment's pages.
type DeploymentLinks struct {
	Workspace, Overview, Deploys, Versions, Insights, Settings string
}

// Banner says that a Deployment needs an image deploy, or that its image is not
// known to run. Without Text and Run no banner is shown.
type Banner struct {
	Run       *ImageToRun
	Text      string
	At        Moment // of the switch; zero when unknown
	SwitchURL string // to switch back; "" without the permission
	DeployURL string // to deploy image and DAGs; "" without the permission
	SafeURL   string // a POST to have Slipway follow the switch; "" when impossible or not allowed
	On        bool   // where the switch is
}

// ImageToRun is an image that Airflow is not known to run.
type ImageToRun struct {
	Ref    string // to pull
	Digest string
	Action string // a POST to say that Airflow runs it; "" without the permission
}

// DeploymentsPage is the list of a Workspace's Deployments.
type DeploymentsPage struct {
	Page     Frame
	NewURL   string // "" without the permission to add a Deployment
	URL      string // without filters
	LiveURL  string
	Text     string // of the search
	Showing  string // value of the chosen one of Shown
	Shown    []ShownDeployments
	Orders   []Option
	Filtered bool
	None     bool // the Workspace has no Deployment
	Part     ListPart
	Rows     []DeploymentRow
}

// ShownDeployments is a part of the list, with the number of Deployments.
type ShownDeployments struct {
	Text, URL string
	Count     int
	Chosen    bool
}

// DeploymentRow is a Deployment in the list.
type DeploymentRow struct {
	Name, URL, Namespace string
	Local                bool
	Health               slipway.Health
	Reason               string
	NeedsImage           bool
	ToConfirm            int
	ConfirmURL           string // of the only staged deploy, or of all of them
	Version              slipway.Version
	VersionAt            Moment
	VersionURL           string
	ImageTag, Runtime    string
	Switched             bool        // DAG-only deploys are off
	Live                 *DeployLine // nil before the first
	Failed               *DeployLine // the newest deploy, if it failed after the live one
	Spark                Spark       // of the last days
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

// ShownTitle names the parts of a list of Deployments, by their values.
var ShownTitle = map[string]string{"": "All", "attention": "Need attention", "confirm": "To confirm"}

// DeploymentOrders returns the orders of a list of Deployments.
func DeploymentOrders(chosen string) []Option {
	all := []Option{
		{Value: string(slipway.UrgentFirst), Text: "Attention first"}, {Value: string(slipway.ByName), Text: "By name"}, {Value: string(slipway.NewestFirst), Text: "Newest deploy first"},
	}
	for i := range all {
		all[i].Chosen = all[i].Value == chosen
	}
	return all
}

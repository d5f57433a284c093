package views

import (
	"fmt"

	"slipway/internal/slipway"
)

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
	Refused string // a sentence about components whose reports are refused; "" for none

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

	Warning   string
	ForgetURL string // "" without the permission, and for a component with a recent report
	Component string // the name in the form that forgets the component
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
	change := fmt.Sprintf("+%d ~%d −%d", w.Counts.Added, w.Counts.Changed, w.Counts.Removed) + modesAlone(w.Counts.Modes)
	if w.Image != nil {
		change = w.Kind.Title() + ", " + ImageTag(w.Image.Brought())
	}
	return change + " · " + w.By.Title() + " · waits to be confirmed."
}

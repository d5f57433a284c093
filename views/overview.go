package views

import (
	"fmt"
	"strconv"

	"slipway/internal/slipway"
)

// Facts are the strip with the present state of a Deployment.
type Facts struct {
	Health      slipway.Health
	Reason      string
	Version     slipway.Version
	VersionURL  string
	VersionNote string // the size of the version, or where the DAGs come from
	ImageTag    string
	ImageNote   string // the Runtime, "Not known" without one
	ImageRef    string // by digest
	On          bool   // DAG-only deploys
	SwitchNote  string // why the switch does not say where the DAGs come from; "" if it does
	SwitchURL   string // of the page that asks before the switch; "" without the permission
}

// Overview is a Deployment's first page.
type Overview struct {
	Frame   DeploymentFrame
	LiveURL string
	Facts   Facts
	Waiting []WaitingRow
	Live    *LiveDeploy // nil before the first deploy went live
	Form    NewDeploy
	Running Running
	Newest  []HistoryRow
	AllURL  string   // of the deploy history
	Connect *Connect // how Airflow reads the DAGs; nil once an Airflow has answered
}

// LiveDeploy is the deploy whose state is wanted now, with the ways on.
type LiveDeploy struct {
	Number     int
	URL        string
	Title      string
	By         string
	Since      Moment
	Commit     string // short
	CommitURL  string // "" without an address that is safe to link
	Branch     string
	Counts     *slipway.Counts // of files; nil for a deploy without DAGs
	ChangesURL string
	Image      string // tag of the image that the deploy brought; "" for none
	ReturnedTo Link   // zero but for a return
	Took       string
	Failed     string // why the deploy failed after it went live; "" for most
	Undo       Undo
	CompareURL string // with the deploy before; "" where nothing can be compared
	FilesURL   string // of the mounted version; "" while DAGs come from the image
}

// Undo is the way back from the live deploy.
type Undo struct {
	To       int    // number of the deploy before; 0 for none
	URL      string // of the return; "" where the rule refuses
	UndoneBy int    // number of the live return that took To back; 0 for none
}

// LiveTitle names a deploy: by the description, else by what was deployed.
func LiveTitle(w slipway.Deploy) string {
	switch {
	case w.Description != "":
		return firstLine(w.Description)
	case w.ReturnTo > 0:
		return "Return to #" + strconv.Itoa(w.ReturnTo)
	case w.Fix != "":
		return "Fix of dags/" + slipway.Visible(w.Fix)
	case w.Upload != "":
		return w.Kind.Title() + " from " + slipway.Visible(w.Upload)
	}
	return w.Kind.Title()
}

// countsText names the files that a deploy added, changed and removed.
func countsText(c slipway.Counts) string {
	return Number(c.Added) + " added, " + Number(c.Changed) + " changed, " + Number(c.Removed) + " removed"
}

// toned is the class of a number of files: muted for none.
func toned(n int, tone string) string {
	if n == 0 {
		return "nil"
	}
	return tone
}

// TookText says how long w took to its end; "" before the end.
func TookText(w slipway.Deploy) string {
	if w.QueuedAt.IsZero() || w.EndedAt.IsZero() {
		return ""
	}
	return Duration(w.EndedAt.Sub(w.QueuedAt)) + " from confirmed to live on every component"
}

// WaitingRow is a deploy or a switch in wait for a person or for a turn.
type WaitingRow struct {
	Title, URL string
	Status     slipway.Status
	Text       string
	CancelURL  string // a POST; "" without the permission
	CancelText string
}

// Running lists the components with their versions and images.
type Running struct {
	Summary string
	Empty   string // the text shown without components
	Rows    []ComponentRow
	Images  bool   // some agent applies images
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
	Image  bool   // Text is about the image, else about DAGs
	Done   int64  // of Total, bytes of the present step
	Total  int64  // 0 for unknown
	Since  Moment
	Detail string
	Seen   Moment // time of the last report
	Error  string

	Warning   string
	ForgetURL string // "" without the permission, and for a component with a recent report
	Component string // the name in the form that forgets the component
}

// VersionNote completes the fact of d's DAG bundle version: the size, or the
// place where Airflow reads DAGs otherwise.
func VersionNote(d slipway.Deployment, files int, size int64) string {
	switch {
	case d.Mounted && files > 0:
		return Count(files, "file") + ", " + Bytes(size)
	case d.Mounted, d.Image == "" && d.DAGDeploys:
		return ""
	case d.NeedsImage:
		return "DAGs come from the image until Image and DAGs are deployed"
	}
	return "DAGs come from the image"
}

// RuntimeNote completes the fact of the image.
func RuntimeNote(runtime string) string {
	if runtime == "" {
		return "Runtime not known"
	}
	return "Runtime " + runtime
}

// SwitchNote says why the DAGs do not come from where the switch of d says; ""
// where they do.
func SwitchNote(d slipway.Deployment) string {
	if d.NeedsImage {
		return "once Image and DAGs are deployed"
	}
	return ""
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
	ComponentSilent   = "silent: see whether its agent still runs"
	ComponentStarting = "has just started"
	ComponentReady    = "ready, nothing deployed yet"
	ComponentBehind   = "not what is wanted"
)

// TurnText gives the place in the queue after a number of others.
func TurnText(before int) string {
	switch before {
	case 0:
		return "Next in the queue."
	case 1:
		return "Second in the queue."
	}
	return fmt.Sprintf("Waits for %d others in the queue.", before)
}

// StagedText describes a staged deploy in a line.
func StagedText(w slipway.Deploy) string {
	change := fmt.Sprintf("+%d ~%d −%d", w.Counts.Added, w.Counts.Changed, w.Counts.Removed) + modesAlone(w.Counts.Modes)
	if w.Image != nil {
		change = w.Kind.Title() + ", " + ImageTag(w.Image.Brought())
	}
	switch {
	case w.Rooted() != nil:
		return w.By.Title() + " · waits for a choice: which folder of the archive is the dags folder."
	case w.Settled() != nil:
		return change + " · " + w.By.Title() + " · waits for a choice: where files go."
	}
	return change + " · " + w.By.Title() + " · waits to be confirmed."
}

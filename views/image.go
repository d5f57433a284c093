package views

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"slipway/internal/slipway"
)

// ImageReview is the effect of a deploy on the image.
type ImageReview struct {
	Title    string // "quay.io/team/airflow:1.2"
	Ref      string // by digest
	Short    string // of the digest
	Platform string
	Size     string
	Built    string // a day; "" for an unknown one
	Runtime  Shift
	Airflow  Shift
	Layers   string // "3 shared, 2 new: 41.2 MB to pull"
	Folder   string // the dags folder of the image
	Files    []ImageFile
	Count    int
	Bytes    int64
	Unread   string // why the folder could not be read
	Carries  bool   // Airflow reads the DAGs in the folder
	Open     bool   // the list of files begins unfolded
}

// Shift is the change of a value; Old and New may be "".
type Shift struct{ Old, New string }

// ImageFile is a file in the dags folder of an image.
type ImageFile struct{ Path, Detail string }

// LogCardProps is the log of a deploy's rollout.
type LogCardProps struct {
	Lines   []string
	Earlier int // lines left out at the start
	AllURL  string
}

// RegisterCardProps is the form to register today's image.
type RegisterCardProps struct {
	Action, Ref, Error string
	To                 string // where the switch is turned to afterwards; "" for nowhere
}

// ApplyCardProps is the form to choose the portal's command for applying an
// image.
type ApplyCardProps struct {
	Action  string
	Refusal string // why no command can be chosen
	Names   []string
	Chosen  string
}

// ImageTag is the short name of a state's image: the tag, else the digest.
func ImageTag(s slipway.State) string { return cmp.Or(s.ImageTag, ShortDigest(s.Image)) }

// WrittenReference is a reference as written by the sender, without the digest
// found behind a tag.
func WrittenReference(source string) string {
	name, digest, found := strings.Cut(source, "@")
	if found && !strings.Contains(path.Base(name), ":") {
		return name + "@" + digest
	}
	return name
}

// PushLines are the commands to push an image to a repository of the host.
func PushLines(host, repository string) string {
	return fmt.Sprintf("docker login %s --username cli\ndocker tag YOUR-IMAGE %s:1.0\ndocker push %s:1.0\n", host, repository, repository)
}

// LayersText counts the layers to pull.
func LayersText(c slipway.ImageChange) string {
	switch {
	case c.Old.Digest == c.New.Digest:
		return "The image that runs already"
	case len(c.Fresh) == 0:
		return Count(c.Shared, "layer") + ", all of them shared: nothing to pull"
	case c.Shared > 0:
		return fmt.Sprintf("%d shared, %d new: %s to pull", c.Shared, len(c.Fresh), Bytes(c.Bytes))
	}
	return fmt.Sprintf("%s new, %s to pull", Count(len(c.Fresh), "layer"), Bytes(c.Bytes))
}

// ConfirmButton is the label of the button that confirms w on d.
func ConfirmButton(w slipway.Deploy, d slipway.Deployment) string {
	switch {
	case w.Switch != nil && w.Switch.On != d.DAGDeploys && w.Switch.On:
		return "Turn on and deploy"
	case w.Switch != nil && w.Switch.On != d.DAGDeploys:
		return "Turn off and deploy image"
	case w.Kind == slipway.ImageOnly:
		return "Deploy image"
	case w.Kind == slipway.ImageAndDAG:
		return "Deploy image and DAGs"
	}
	return "Deploy DAGs"
}

// graceText describes the end of running tasks.
const graceText = "How long running tasks may take to finish is set where they run: 10 minutes with an agent, unless its --grace says more."

// dagsStay is the effect of a deploy on untouched DAGs.
const dagsStay = "DAG files and bundle version stay exactly as they are."

// ImageEffects lists the effects of a staged image deploy w on d besides file
// changes. base is the deploy of the DAGs before, nil for none; byHand is Plan.ByHand.
func ImageEffects(w slipway.Deploy, d slipway.Deployment, base *slipway.Deploy, byHand bool) (all []string) {
	if !w.Kind.HasImage() {
		return nil
	}
	if w.Switch != nil && w.Switch.On != d.DAGDeploys {
		all = append(all, "Turns "+slipway.OnOff(w.Switch.On)+" DAG-only deploys in the same step. If anything fails, they stay "+slipway.OnOff(d.DAGDeploys)+" and the image stays as it is.")
	}
	if byHand {
		return append(all, "The image carries the DAGs, and nothing here rolls it out: version "+d.Version.Short()+" goes at once, and Airflow reads the dags folder of whatever image it runs.",
			"Restart Airflow with this image yourself. The Deployment is UNHEALTHY until it is known to run.")
	}
	all = append(all, dagEffect(w, d, base), "Components restart with this image. "+graceText)
	if d.Local && d.ApplyCommand == "" {
		all = append(all, "No apply command is set for this Deployment: restart Airflow yourself once the deploy is done.")
	}
	return all
}

// dagEffect describes the effect of w on the DAGs.
func dagEffect(w slipway.Deploy, d slipway.Deployment, base *slipway.Deploy) string {
	switch next := d.State.With(w); {
	case w.Kind == slipway.ImageOnly && d.Mounted:
		return dagsStay
	case w.Kind == slipway.ImageOnly:
		return "No DAG bundle is mounted, and none comes with it."
	case d.Brings(w) && w.Purpose() == slipway.ForSwitch:
		return "The present DAGs of Airflow become a DAG bundle version. They stay visible all the time."
	case d.Brings(w) && base != nil && w.Merge == slipway.ReplaceAll:
		return "Replaces the DAGs of " + DeployBy(*base) + "."
	case d.Brings(w):
		return "Brings the DAGs below with it; both go live, or neither."
	case !next.Mounted && d.Mounted:
		return "The image carries the DAGs: version " + d.Version.Short() + " stays mounted until it runs, and then Airflow reads the image's dags folder."
	case !next.Mounted:
		return "The image carries the DAGs: Airflow reads its dags folder, and nothing is mounted."
	}
	return "It brings no DAGs: the mounted DAGs stay."
}

package views

import (
	"time"

	"slipway/internal/slipway"
)

// Sections of Settings, by the end of their addresses.
const (
	SettingsGeneral = ""
	SettingsDeploys = "/deploys"
	SettingsAirflow = "/airflow"
	SettingsAgents  = "/agents"
	SettingsImages  = "/images"
	SettingsDanger  = "/danger"
)

// settingsSections are the sections in the order of the menu. anchors are the
// fragments of addresses from before there were sections.
var settingsSections = []struct{ path, name, anchors string }{
	{SettingsGeneral, "General", ""},
	{SettingsDeploys, "Deploys", "switch-title"},
	{SettingsAirflow, "Airflow", "connect"},
	{SettingsAgents, "Agents", "agents"},
	{SettingsImages, "Images", "register apply"},
	{SettingsDanger, "Danger zone", "delete"},
}

// SettingsTitle is the title of a section's page; "" for no section.
func SettingsTitle(section string) string {
	for _, s := range settingsSections {
		if s.path == section {
			return "Settings: " + s.name
		}
	}
	return ""
}

// Cards of Settings with a form, by the end of the address that takes the form.
const (
	CardGeneral  = "general"
	CardVersions = "versions"
	CardRules    = "rules"
	CardImages   = "images"
)

// SettingsPage is a section of a Deployment's settings. Cards of the other
// sections are zero.
type SettingsPage struct {
	Frame        DeploymentFrame
	Section      string
	Path         string // of the first section, and the start of the other addresses
	Settings     slipway.Settings
	KeepDays     string // as typed
	KeepVersions string
	Refusal      string // why the settings cannot be edited; "" with the permission
	Failed       string // the card with the refused input; "" for none
	Error        string // why the input was refused
	Namespace    string
	Created      string // when, and by whom
	Kept         string // how many versions there are, and their size
	ImageName    string // the repository of the image of today; "" while unknown
	TokenURL     string // the form for a token that deploys here
	Switch       SwitchCard
	Connect      Connect
	Agents       AgentsCardProps
	Register     *RegisterCardProps // nil without the permission, or with a known image
	Apply        *ApplyCardProps    // nil for an Airflow elsewhere
	Delete       DeleteCard
}

// CreatedText says when a Deployment was made, and by whom.
func CreatedText(at time.Time, by string) string {
	text := at.UTC().Format("2 January 2006")
	if by != "" {
		text += " by " + by
	}
	return text
}

// KeptText says how much the versions of a Deployment take.
func KeptText(versions int, stored int64) string {
	if versions == 0 {
		return ""
	}
	return "Now " + Count(versions, "version") + " use " + Bytes(stored) + "."
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
	Refusal             string // why the visitor may not; "" with the permission
}

// SwitchPage asks before DAG-only deploys are turned on or off.
type SwitchPage struct {
	Frame       DeploymentFrame
	Action      string
	On          bool // the wanted position
	Restores    bool // the switch only undoes the last one
	Refusal     string
	Error       string
	Changes     []string
	Refused     []Deployer // people and tokens with recent DAG deploys
	Mounted     slipway.Version
	Waits       string // a note on the place in the queue
	SupportURL  string
	CancelURL   string
	AtHand      bool
	FollowUp    string             // how Slipway does the follow-up
	Promise     []string           // what happens to DAGs if Slipway does it
	SelfPromise []string           // and if people do
	NoImage     string             // why Slipway cannot make the follow-up
	DeployURL   string             // the form for the follow-up deploy
	Register    *RegisterCardProps // nil where an image is known
}

// Deployer made DAG deploys lately.
type Deployer struct {
	Name  string
	Token bool
	At    Moment
}

// SwitchText describes the present position of the switch.
func SwitchText(on bool) string {
	if on {
		return "Deploy DAGs on their own, without building an image and without a restart."
	}
	return "Off: the project image carries the DAGs, and every change of a DAG needs a deploy of Image and DAGs."
}

// SwitchQueued gives the place of a switch behind a number of deploys.
func SwitchQueued(deploys int) string {
	return "The switch waits its turn behind " + Count(deploys, "deploy") + " in the queue; until then you can cancel it."
}

// SwitchRestores lists the effects of undoing a switch before the image deploy.
func SwitchRestores(on bool) []string {
	restores := "No deploy of Image and DAGs has followed yet: this restores everything as it was before the switch."
	if on {
		return []string{restores, "DAGs can be deployed on their own again. Nothing restarts."}
	}
	return []string{restores, "Deploys of DAGs alone are refused again. Nothing restarts."}
}

// SwitchChanges lists the effects of a switch with an image deploy to follow.
func SwitchChanges(on bool) []string {
	if on {
		return []string{
			"DAGs are deployed on their own from now on: in seconds, without a restart.",
			"A deploy of the image alone no longer changes DAGs.",
			"Airflow reads the DAGs of the image until Image and DAGs have been deployed, then those of the DAG bundle.",
			"All components restart with that deploy. " + graceText,
		}
	}
	return []string{
		"DAGs travel inside the project image from now on; every change of a DAG needs a deploy of Image and DAGs.",
		"Deploys of DAGs alone and of the image alone are refused.",
		"The DAG bundle version no longer changes; Airflow reads the DAGs from the image once it runs.",
		"All components restart with that image. " + graceText,
	}
}

// SwitchKnow lists what does not change with the switch to on, and what it needs.
func SwitchKnow(on bool) []string {
	if on {
		return []string{
			"Deploys of DAGs never upgrade the Runtime: Runtime, packages and plugins change with an image alone.",
			"The DAG bundle version is updated by deploys of DAGs, by deploys of image and DAGs, and by returns. A deploy of the image alone keeps it.",
			"Whoever deploys with the astro CLI needs it on their machine, connected to this portal: then astro deploy --dags deploys DAGs alone. In the browser nothing is needed.",
		}
	}
	return []string{
		"The Runtime is upgraded by image deploys, as before.",
		"No deploy updates the DAG bundle version any more: the version of the DAGs is the image.",
		"Whoever deploys with the astro CLI needs it on their machine, connected to this portal, and Docker to build the image: astro deploy --dags is refused from then on.",
	}
}

// SwitchFollowUp describes Slipway's own image deploy after the switch of d.
// files is the number of d's DAG files, 0 if unknown.
func SwitchFollowUp(d slipway.Deployment, on bool, files int) string {
	switch tag := ImageTag(d.State); {
	case tag == "":
		return "Slipway makes the deploy that has to follow."
	case on && d.Mounted:
		return "Deploy " + tag + " again, with the DAGs that are mounted."
	case on:
		return "Read the DAGs out of " + tag + ", publish them as a DAG bundle, and deploy the image again with it."
	case !d.Mounted:
		return "Deploy " + tag + " again: it carries the DAGs already."
	case files == 0:
		return "Put the files of version " + d.Version.Short() + " into " + tag + " and deploy the result."
	default:
		return "Put the " + Count(files, "file") + " of version " + d.Version.Short() + " into " + tag + " and deploy the result."
	}
}

// SwitchPromise says what becomes of the DAGs after the switch of d to on: with
// Slipway's own deploy, and with one of people. applies reports whether anything here
// rolls images out.
func SwitchPromise(d slipway.Deployment, on, applies bool) (auto, self []string) {
	switch {
	case on:
		return []string{"Airflow keeps all of its DAGs."}, nil
	case !d.Mounted:
		return []string{"Airflow has the DAGs of this image today, and keeps them."}, []string{"Then Airflow has the DAGs in that image, and no others."}
	}
	auto = []string{"No DAG is lost: Airflow reads the same files from the image."}
	self = []string{"Then Airflow has the DAGs in that image, and no others. Before you confirm the deploy, you see which DAG files are not in it."}
	if applies {
		return append(auto, "Slipway rolls the image out, and what is mounted stays until the image runs."), self
	}
	const byHand = "Nothing here rolls images out: somebody has to restart Airflow with it. Until Airflow is known to run it, DAGs may be missing, and the Deployment is UNHEALTHY."
	return append(auto, byHand), append(self, byHand)
}

// Losses lists the losses of a deletion. mount is the folder mounted on the
// host of the portal, "" for none.
func Losses(versions, deploys int, mount string) []string {
	all := []string{
		Count(versions, "DAG bundle version") + " with all files",
		"the deploy history: " + Count(deploys, "deploy"),
	}
	if mount != "" {
		all = append(all, "the mounted folder "+mount+": Airflow loses its DAGs at once")
	}
	return all
}

// keptHelp says which versions are kept, with how many there are, "" for none.
func keptHelp(kept string) string {
	if kept != "" {
		kept += " "
	}
	return "A DAG bundle version that a newer one replaced can be returned to for so many days; the last ones stay longer. " + kept +
		"What Airflow reads now is always kept, and what waits to be confirmed."
}

package slipway

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// DeploymentID names a Deployment.
type DeploymentID string

// Deployment is one Airflow: switch for DAG-only deploys, image, DAG bundle,
// components.
type Deployment struct {
	ID        DeploymentID
	Workspace WorkspaceID
	Namespace string // "barren-ionization-0185": names the folders, never changes
	Local     bool   // on this machine: mounted by the embedded agent
	State            // wanted now
	Before    *State // state that switching back restores; nil unless NeedsImage
	ToRun     string // digest of the image with Airflow's DAGs while nothing is known to run it; "" otherwise
	Settings
	ApplyCommand string // name of the command that applies images on this machine; "" for none

	CreatedAt time.Time
	Creator   string
	UpdatedAt time.Time // of the last change of settings or state
	Updater   string    // who made the last change

	SeenAt time.Time // last report of any component, gone ones too; zero for never. Not stored with d: for Health
}

// State is the running or desired state of a Deployment. Every deploy's row
// records the state after the deploy.
type State struct {
	Image      string  // digest, "sha256:…"; "" while none is known
	ImageName  string  // the repository, as Image.Name
	ImageTag   string  // the tag, for people
	Runtime    string  // Astro Runtime version of the image, "3.1-4"
	Version    Version // DAG bundle version; "" before the first
	Mounted    bool    // current points to Version; else to the image's dags folder
	DAGDeploys bool    // the switch
	NeedsImage bool    // since the switch, until an "Image and DAGs" deploy has gone live
}

// DefaultPlatform is the required platform of images, unless the Deployment
// sets another.
const DefaultPlatform = "linux/amd64"

// Retention of DAG bundle versions in a new Deployment. DefaultKeepVersions is also
// the smallest setting.
const (
	DefaultKeepDays     = 90
	DefaultKeepVersions = 10
)

// NewDeployment returns a new Deployment: DAG-only deploys enabled, DAGs from
// the image until the first bundle version is complete.
func NewDeployment(w WorkspaceID, name string, local bool) (Deployment, error) {
	name, err := CheckName("A Deployment", name)
	if err != nil {
		return Deployment{}, err
	}
	return Deployment{
		Workspace: w, Local: local, State: State{DAGDeploys: true},
		Settings: Settings{
			Name: name, ImageRole: Author, Platform: DefaultPlatform,
			KeepDays: DefaultKeepDays, KeepVersions: DefaultKeepVersions,
		},
	}, nil
}

// Settings are the editable fields of a Deployment.
type Settings struct {
	Name         string
	Description  string
	AirflowURL   string
	DagsPath     string // dags folder of the image, if set by hand
	Platform     string // required of images; for Edit, "" is no change
	ImageRole    Role   // smallest role for image deploys: Author or Operator
	CICDEnforced bool   // only API tokens deploy
	GuardAPI     bool   // deploys of the API wait for a person where a page would ask for a tick
	KeepDays     int    // days that versions stay after replacement
	KeepVersions int    // newest versions that stay in any case
}

// Edit returns d with the settings s, or an error about one setting.
func (d Deployment) Edit(role Role, s Settings) (_ Deployment, err error) {
	if err := role.May(ManageDeployments); err != nil {
		return d, err
	}
	if s.Name, err = CheckName("A Deployment", s.Name); err != nil {
		return d, err
	}
	if s.Description, err = CheckDescription(s.Description); err != nil {
		return d, err
	}
	if s.AirflowURL, err = CheckURL(s.AirflowURL); err != nil {
		return d, err
	}
	if s.Platform == "" {
		s.Platform = d.Platform
	}
	if err := s.check(); err != nil {
		return d, err
	}
	if s.DagsPath != "" {
		s.DagsPath = path.Clean(s.DagsPath) // a symlink points here
	}
	d.Settings = s
	return d, nil
}

var platformForm = regexp.MustCompile(`^linux/[a-z0-9]+(/[a-z0-9.]+)?$`)

func (s Settings) check() error {
	switch {
	case s.DagsPath != "" && (!strings.HasPrefix(s.DagsPath, "/") || len(s.DagsPath) > 4096 || strings.ContainsFunc(s.DagsPath, unprintable)):
		return Errorf(Invalid, "The dags folder of the image must be absolute, like /usr/local/airflow/dags.")
	case s.Platform != "" && (!platformForm.MatchString(s.Platform) || len(s.Platform) > 64):
		return Errorf(Invalid, "%q is no platform. One looks like linux/amd64 or linux/arm64.", s.Platform)
	case s.ImageRole != Author && s.ImageRole != Operator:
		return Errorf(Invalid, "Images can be deployed by Authors or by Operators.")
	case s.KeepDays < 1 || s.KeepDays > 3650:
		return Errorf(Invalid, "Versions can be kept for 1 to 3650 days.")
	case s.KeepVersions < DefaultKeepVersions || s.KeepVersions > 10_000:
		return Errorf(Invalid, "At least the last %d and at most 10,000 versions can be kept in any case.", DefaultKeepVersions)
	}
	return nil
}

// Delete checks whether someone with role may delete d after typing typed as
// the name.
func (d Deployment) Delete(role Role, typed string) error {
	if err := role.May(ManageDeployments); err != nil {
		return err
	}
	if strings.TrimSpace(typed) != d.Name {
		return Errorf(Invalid, "Type the name %q to delete the Deployment.", d.Name)
	}
	return nil
}

// Namespace returns the n-th combination of an adjective, a noun and a number,
// like "barren-ionization-0185". n is random; the store keeps namespaces unique.
func Namespace(n uint64) string {
	a := namespaceAdjectives[n%uint64(len(namespaceAdjectives))]
	n /= uint64(len(namespaceAdjectives))
	b := namespaceNouns[n%uint64(len(namespaceNouns))]
	n /= uint64(len(namespaceNouns))
	return fmt.Sprintf("%s-%s-%04d", a, b, n%10_000)
}

var namespaceAdjectives = strings.Fields(`amber ancient arctic barren blazing bright calm celestial cosmic crimson
	crystal curious dark distant dusty eager electric elliptic false fast frozen galactic gentle glowing golden
	gravitational hidden icy infrared interstellar ionized lucid luminous lunar magnetic meteoric molten nebulous
	optical orbital parallel planetary polar primal quiet radiant remote rocky saturnine silent solar spectral
	spherical stellar tidal ultraviolet umbral vast violet visible young`)

var namespaceNouns = strings.Fields(`aberration accretion albedo antenna aperture apogee asteroid atmosphere aurora
	axis azimuth binary blueshift comet constellation corona cosmology crater declination eclipse ecliptic equinox
	filament flare galaxy gegenschein gravity halo horizon inclination ionization isotope kiloparsec latitude
	lens magnitude meridian meteor molecule nebula node nova nucleus nutation orbit parallax parsec perigee
	photon planet plasma prominence quasar radiation reflector refraction rotation satellite sidereal solstice
	spectrum star sunspot telescope transit twilight umbra vacuum velocity zenith zodiac`)

// AppliesImages reports whether images of d can be applied: by the apply
// command of this machine or by a connected agent.
func (d Deployment) AppliesImages(all []Component, now time.Time) bool {
	return d.Local && d.ApplyCommand != "" || len(Connected(OfKind(all, Rollout), now)) > 0
}

// Wanted returns the desired state of components while running goes live: first
// the image, then the DAGs. Without a running deploy, and once running is live
// or undone, the desired state is d's own.
func (d Deployment) Wanted(running *Deploy) State {
	if running == nil || running.WentLive() || running.RollingAt.IsZero() || running.Reason != "" || running.Status.Ended() {
		return d.State
	}
	next := d.State.With(*running)
	if running.MountingAt.IsZero() {
		return d.State.withImage(next)
	}
	return next
}

// Holds returns the retained versions of d. last are the last KeepLast
// versions, by upload and by use; needed are the versions of unfinished
// deploys; all are the reported components.
func (d Deployment) Holds(last, needed []Version, all []Component) Holds {
	h := Holds{}
	for _, v := range last {
		h[v] = HoldLast
	}
	for _, v := range needed {
		h[v] = HoldNeeded
	}
	for _, c := range all {
		h[c.Version] = HoldMounted
	}
	if d.Before != nil {
		h[d.Before.Version] = HoldCurrent
	}
	h[d.Version] = HoldCurrent
	delete(h, "")
	return h
}

// KeepLast is how many of d's last versions stay in any case.
func (d Deployment) KeepLast() int { return max(d.KeepVersions, DefaultKeepVersions) }

// KeepFor is the retention time of a version of d after replacement.
func (d Deployment) KeepFor() time.Duration {
	days := d.KeepDays
	if days <= 0 {
		days = DefaultKeepDays
	}
	return time.Duration(days) * 24 * time.Hour
}

// Retention returns the retention of a version of d, replaced at replacedAt.
// For the desired version the time does not matter.
func (d Deployment) Retention(v Version, replacedAt time.Time, h Holds) Retention {
	r := Retention{Hold: h[v]}
	if r.Hold != HoldCurrent {
		r.Until = replacedAt.Add(d.KeepFor())
	}
	return r
}

// Desired returns the desired state for agents of d, under the name revision.
func (d Deployment) Desired(revision string) Desired {
	w := Desired{Revision: revision, DAGs: FromImage, Image: d.ImageRef(), DagsPath: d.DagsPath, Runtime: d.Runtime, Deployment: d.ID}
	if d.Mounted {
		w.DAGs, w.Version = FromBundle, d.Version
	}
	if w.DagsPath == "" {
		w.DagsPath = DefaultDagsPath
	}
	return w
}

// Health returns d's status and a reason in words. running is the deploy going
// live: RunningDeploy for pages, FirstDeploy for the API; nil for none.
func (d Deployment) Health(all []Component, refused Refused, running *Deploy, now time.Time) (Health, string) {
	p := NewProgress(d.Wanted(running), all, now)
	switch {
	case running != nil && p.Of == 0:
		return Going, fmt.Sprintf("#%d is going live.", running.Number)
	case running != nil:
		return Going, fmt.Sprintf("#%d is on %d of %d.", running.Number, p.Running, p.Of)
	case len(all) == 0:
		return d.healthOfNone(now)
	}
	wrong := d.troubles(all, now)
	if d.ToRun != "" {
		wrong = append(wrong, "It is not known that Airflow runs the image with its DAGs.")
	}
	if refused.Count > 0 {
		wrong = append(wrong, refused.Text())
	}
	if len(wrong) > 1 {
		return Unhealthy, fmt.Sprintf("%s. And %d more.", strings.TrimSuffix(wrong[0], "."), len(wrong)-1)
	} else if len(wrong) == 1 {
		return Unhealthy, wrong[0]
	}
	if i := slices.IndexFunc(all, func(c Component) bool { return !c.Runs(d.State) }); i >= 0 {
		return Creating, all[i].Component + " has just started."
	}
	if !d.Mounted && d.Image == "" && !d.Answered(all, false) {
		return Unconnected, "Nothing is deployed yet."
	}
	return Healthy, ""
}

// healthOfNone is the Health of d without a component. A component that reported
// once and has gone is missed as a silent one is, also after it was forgotten.
func (d Deployment) healthOfNone(now time.Time) (Health, string) {
	ago := now.Sub(d.SeenAt)
	switch {
	case d.Local:
		return Creating, "No component has reported yet."
	case d.SeenAt.IsZero():
		return Unconnected, "No component has reported yet."
	case ago < SilentAfter: // an agent that starts again, or a portal that did
		return Creating, "No component is connected at the moment."
	}
	return Unhealthy, fmt.Sprintf("No component is connected any more; last seen %s UTC.", d.SeenAt.UTC().Format("2 January 2006 15:04"))
}

// Standing is what decides the place of a Deployment in a list.
type Standing struct {
	Name       string
	Health     Health
	NeedsImage bool
	Failed     bool      // the newest deploy failed
	ToConfirm  int       // staged deploys
	LiveAt     time.Time // of the last deploy that went live; zero for none
}

// NeedsAttention reports whether something is wrong with a Deployment.
func (s Standing) NeedsAttention() bool { return s.Health == Unhealthy || s.NeedsImage || s.Failed }

// urgency is the place of s in a list with the most urgent first.
func (s Standing) urgency() int {
	return slices.Index([]bool{s.Health == Unhealthy, s.NeedsImage, s.Failed, s.Health == Going, s.ToConfirm > 0, true}, true)
}

// StandingOrder is an order of Deployments in a list.
type StandingOrder string

// The orders. Equal ones stand by name.
const (
	UrgentFirst StandingOrder = ""
	ByName      StandingOrder = "name"
	NewestFirst StandingOrder = "newest"
)

// Compare returns the order of a and b, as cmp.Compare.
func (o StandingOrder) Compare(a, b Standing) int {
	by := 0
	switch o {
	case NewestFirst:
		by = b.LiveAt.Compare(a.LiveAt)
	case UrgentFirst:
		by = cmp.Compare(a.urgency(), b.urgency())
	}
	return cmp.Or(by, strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
}

// Answered reports whether anything is known of d's Airflow: a component
// elsewhere, an address, or marks in the mount on this machine.
func (d Deployment) Answered(all []Component, marks bool) bool {
	return marks || d.AirflowURL != "" || slices.ContainsFunc(all, func(c Component) bool { return c.Component != EmbeddedComponent })
}

// troubles lists the components with a problem, each with a reason.
func (d Deployment) troubles(all []Component, now time.Time) (list []string) {
	for _, c := range all {
		switch {
		case c.Silent(now):
			list = append(list, fmt.Sprintf("%s has been silent for %s.", c.Component, now.Sub(c.LastSeen).Round(time.Second)))
		case c.Error != "":
			list = append(list, fmt.Sprintf("%s: %s", c.Component, c.Error))
		case !c.Runs(d.State) && !c.Starting():
			list = append(list, c.Component+" does not run what is wanted.")
		}
	}
	return list
}

package slipway

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Desired is the desired state that the portal sends to an agent.
type Desired struct {
	Revision string  `json:"revision"` // opaque; changes whenever anything below does
	DAGs     Source  `json:"dags"`
	Version  Version `json:"version,omitempty"`  // mounted DAG bundle version
	Image    string  `json:"image,omitempty"`    // "name@sha256:…"; a name without a host is in the portal's registry
	DagsPath string  `json:"dagsPath,omitempty"` // of the image
	Runtime  string  `json:"runtime,omitempty"`  // of the image, "" if unknown

	Deployment DeploymentID `json:"deployment"`
}

// Source says where Airflow's DAGs come from.
type Source string

// The sources.
const (
	FromBundle Source = "mounted"
	FromImage  Source = "image"
)

// DefaultDagsPath is the dags folder of an image that was not inspected.
const DefaultDagsPath = "/usr/local/airflow/dags"

// AgentKind is the job of an agent.
type AgentKind string

// The kinds of agent.
const (
	Sidecar AgentKind = "sidecar" // mounts DAGs; what an agent is that does not say
	Rollout AgentKind = "rollout" // applies images
)

// Report is the state of a component, reported by its agent.
type Report struct {
	Component string    `json:"component"`
	Kind      AgentKind `json:"kind,omitempty"`
	DAGs      Source    `json:"dags,omitempty"`     // target of current; "" before the first mount
	Version   Version   `json:"version,omitempty"`  // target of current
	Image     string    `json:"image,omitempty"`    // digest of the image that its containers run
	Revision  string    `json:"revision,omitempty"` // Desired.Revision that was applied, or that Error is about; "" before the first
	Age       int64     `json:"age,omitempty"`      // seconds since the running code last changed, by the agent's clock
	Step      string    `json:"step,omitempty"`     // present step, "mounting"
	Done      int64     `json:"done,omitempty"`     // of Total, bytes
	Total     int64     `json:"total,omitempty"`
	Error     string    `json:"error,omitempty"`
	Warning   string    `json:"warning,omitempty"`   // a likely fault in the surroundings of the agent; nothing waits for the end of a warning
	Agent     string    `json:"agent,omitempty"`     // version of the agent
	Ephemeral bool      `json:"ephemeral,omitempty"` // autoscaled: has left once silent
	Leaving   bool      `json:"leaving,omitempty"`
}

// AgentLog holds lines from an agent for the log of the running rollout.
type AgentLog struct {
	Component string   `json:"component"`
	Lines     []string `json:"lines"`
}

// ScaledAway reports whether the component has left while its rollout agent
// stays connected with nothing to roll out to. An agent that leaves itself
// reports no revision.
func (r Report) ScaledAway() bool { return r.Leaving && r.Kind == Rollout && r.Revision != "" }

// Mounts reports whether the agent mounts DAGs.
func (r Report) Mounts() bool { return r.Kind != Rollout }

// Limits of the texts in a report, in bytes.
const (
	maxComponent  = 100
	maxReportText = 2000
)

// Check returns r cleaned for storage, or an Invalid error.
func (r Report) Check() (Report, error) {
	r.Component = strings.TrimSpace(r.Component)
	_, named := r.Version.Time()
	switch {
	case r.Component == "" || len(r.Component) > maxComponent || strings.ContainsFunc(r.Component, unprintable) || len(HiddenRunes(r.Component)) > 0:
		return r, Errorf(Invalid, "A component's name has 1 to %d letters, digits and signs.", maxComponent)
	case r.Kind != "" && r.Kind != Sidecar && r.Kind != Rollout:
		return r, Errorf(Invalid, "There is no kind of agent %q.", r.Kind)
	case r.DAGs != "" && r.DAGs != FromBundle && r.DAGs != FromImage:
		return r, Errorf(Invalid, "DAGs come from no %q.", r.DAGs)
	case r.Version != "" && !named:
		return r, Errorf(Invalid, "There can be no DAG bundle version %q.", r.Version)
	}
	for _, text := range []*string{&r.Step, &r.Error, &r.Warning, &r.Agent, &r.Image, &r.Revision} {
		*text = clean(*text)
	}
	r.Error, r.Warning = HideAddresses(r.Error), HideAddresses(r.Warning)
	r.Age, r.Done, r.Total = max(r.Age, 0), max(r.Done, 0), max(r.Total, 0)
	return r, nil
}

// clean returns text as one printable line of at most maxReportText bytes.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "�")
	if len(text) > maxReportText {
		text = strings.ToValidUTF8(text[:maxReportText], "") + "…"
	}
	return Visible(strings.Map(func(r rune) rune {
		if unprintable(r) {
			return ' '
		}
		return r
	}, text))
}

// Component is a running part of Airflow with an agent, by its last report.
type Component struct {
	Report
	Since    time.Time // start of the present code
	LastSeen time.Time
	Token    TokenID // of the agent; "" for the embedded one
}

// MaxComponents is the limit of connected components with one agent token, and
// MaxDeploymentComponents with all tokens of a Deployment. Beyond, an agent is
// inventing names. Of a Deployment, as many are listed, silent ones included.
const (
	MaxComponents           = 200
	MaxDeploymentComponents = 2000
)

// MayAppear checks whether a component with an agent token may appear beside all.
// Silent components do not count: Pods get new names, and old ones may end without a
// word.
func MayAppear(token TokenID, all iter.Seq[Component], now time.Time) error {
	total, same := 0, 0
	for c := range all {
		if c.Silent(now) {
			continue
		}
		total++
		if c.Token == token {
			same++
		}
	}
	switch {
	case total >= MaxDeploymentComponents:
		return Errorf(TooMany, "This Deployment has %d connected components already, and takes no more.", MaxDeploymentComponents)
	case same >= MaxComponents:
		return Errorf(TooMany, "The agents of this token report %d connected components already. Give more agents a token of their own.", MaxComponents)
	}
	return nil
}

// MakesRoom returns the component to forget for one with an agent token, in a list of
// MaxDeploymentComponents: the one silent longest, if any of the same token. found is
// false while there is room, and where all are connected.
func MakesRoom(token TokenID, all iter.Seq[Component], now time.Time) (oldest Component, found bool) {
	n := 0
	for c := range all {
		if n++; !c.Silent(now) {
			continue
		}
		same, sameOldest := c.Token == token, oldest.Token == token
		if !found || same && !sameOldest || same == sameOldest && c.LastSeen.Before(oldest.LastSeen) {
			oldest, found = c, true
		}
	}
	return oldest, found && n >= MaxDeploymentComponents
}

// Refused are the components of a Deployment whose reports are refused by MayAppear.
type Refused struct {
	Count int
	One   string // the name of one of them
}

// Text is a sentence for pages and the API, "" for none.
func (r Refused) Text() string {
	switch r.Count {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("The component %s is refused, and deploys do not wait for it. %s", r.One, moreTokens)
	}
	return fmt.Sprintf("%d more components are refused, %s among them, and deploys do not wait for them. %s", r.Count, r.One, moreTokens)
}

// moreTokens is the way out for a Deployment with refused components.
var moreTokens = fmt.Sprintf("At most %d may be connected with one agent token, and %d with all of a Deployment: give some agents a token of their own.", MaxComponents, MaxDeploymentComponents)

// EmbeddedComponent is the component name of the portal's embedded agent.
const EmbeddedComponent = "this-machine"

// Silence after which a component counts as silent, and as forgotten.
const (
	SilentAfter    = time.Minute
	ForgottenAfter = time.Hour
)

// Silent reports whether c has not been heard of for a minute.
func (c Component) Silent(now time.Time) bool { return now.Sub(c.LastSeen) >= SilentAfter }

// Gone reports whether the silent component c has left the Deployment.
func (c Component) Gone(now time.Time) bool {
	if c.Ephemeral && c.Silent(now) {
		return true
	}
	return now.Sub(c.LastSeen) > ForgottenAfter
}

// Mounting returns the components of all that mount DAGs.
func Mounting(all []Component) []Component {
	return slices.DeleteFunc(slices.Clone(all), func(c Component) bool { return !c.Mounts() })
}

// OfKind returns the components of all with agents of a kind.
func OfKind(all []Component, kind AgentKind) []Component {
	return slices.DeleteFunc(slices.Clone(all), func(c Component) bool { return c.Mounts() != (kind == Sidecar) })
}

// About returns all without errors about another revision. For a rollout with
// such an error the running image is left out too, until the agent reports
// whether the new containers work.
func About(revision string, all []Component) []Component {
	all = slices.Clone(all)
	for i, c := range all {
		if c.Error == "" || c.Revision == "" || c.Revision == revision {
			continue
		}
		all[i].Error = ""
		if c.Kind == Rollout {
			all[i].Image = ""
		}
	}
	return all
}

// Runs reports whether c runs its part of the desired state s.
func (c Component) Runs(s State) bool {
	if c.Kind == Rollout {
		return s.Image == "" || digestOf(c.Image) == s.Image
	}
	if !s.Mounted {
		return c.DAGs == FromImage
	}
	return c.DAGs == FromBundle && c.Version == s.Version
}

// Progress is how far the components of a Deployment are.
type Progress struct {
	Of      int      // connected components
	Running int      // connected components that run the desired state and work
	Errors  []string // "worker-2: disk full", of the other components
}

// NewProgress counts the connected components of a Deployment with desired
// state s. For a deploy, pass all through About first, to leave out older
// errors. Silent components are not waited for.
func NewProgress(s State, all []Component, now time.Time) Progress {
	var p Progress
	for _, c := range all {
		if c.Silent(now) {
			continue
		}
		p.Of++
		switch {
		case c.serves(s):
			p.Running++
		case c.Error != "":
			p.Errors = append(p.Errors, c.Component+": "+c.Error)
		}
	}
	return p
}

// Done reports whether every connected component runs the desired state.
func (p Progress) Done() bool { return p.Running == p.Of }

// Stuck reports whether every component without the desired state has an error.
func (p Progress) Stuck() bool { return !p.Done() && p.Running+len(p.Errors) == p.Of }

// Stragglers lists the connected components that do not run s, or whose
// containers fail, each with its last step or error.
func Stragglers(s State, all []Component, now time.Time) (list []string) {
	for _, c := range all {
		if !c.Silent(now) && !c.serves(s) {
			list = append(list, c.Component+c.whereabouts())
		}
	}
	return list
}

func (c Component) whereabouts() string {
	switch {
	case c.Error != "":
		return ": " + strings.TrimSuffix(c.Error, ".")
	case c.Step != "" && c.Total > 0:
		return fmt.Sprintf(" is %s (%d %%)", c.Step, 100*c.Done/c.Total)
	case c.Step != "":
		return " is " + c.Step
	case c.Kind == Rollout && c.Image == "":
		return " has not said what it runs"
	case c.Kind == Rollout:
		return " runs another image"
	case c.DAGs == FromBundle:
		return " has " + c.Version.Short()
	case c.DAGs == FromImage:
		return " has the DAGs of its image"
	}
	return " has nothing mounted"
}

// Health is a Deployment's status, by its name in the API.
type Health string

// The statuses of a Deployment.
const (
	Creating    Health = "CREATING"      // a component on the way has not said what it runs
	Unconnected Health = "NOT_CONNECTED" // nothing is known of an Airflow
	Going       Health = "DEPLOYING"
	Healthy     Health = "HEALTHY"
	Unhealthy   Health = "UNHEALTHY" // a component reports an error, lags or is silent
)

// Words is h as pages write it.
func (h Health) Words() string { return strings.ReplaceAll(string(h), "_", " ") }

// Astro is h by a name that the astro CLI knows.
func (h Health) Astro() Health {
	if h == Unconnected {
		return Creating
	}
	return h
}

// Starting reports whether c has neither said what it runs, nor why not.
func (c Component) Starting() bool { return c.Error == "" && c.DAGs == "" && c.Image == "" }

// serves reports whether c runs s and its containers work. An error of a
// mounting agent does not matter once the mount is in place.
func (c Component) serves(s State) bool { return c.Runs(s) && (c.Kind != Rollout || c.Error == "") }

// AgentVersion is a version of the agents' program, with the number of agents.
type AgentVersion struct {
	Version string // "" for agents that do not tell
	Agents  int
}

// AgentVersions counts the versions of the agents of all: the most frequent
// first.
func AgentVersions(all []Component) (versions []AgentVersion) {
	count := map[string]int{}
	for _, c := range all {
		count[c.Agent]++
	}
	for v, n := range count {
		versions = append(versions, AgentVersion{v, n})
	}
	slices.SortFunc(versions, func(a, b AgentVersion) int {
		return cmp.Or(cmp.Compare(b.Agents, a.Agents), strings.Compare(b.Version, a.Version))
	})
	return versions
}

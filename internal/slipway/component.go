package slipway

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Desired is what an agent is told to make true on its side.
type Desired struct {
	Revision string  `json:"revision"` // opaque; changes whenever anything below does
	DAGs     Source  `json:"dags"`
	Version  Version `json:"version,omitempty"`  // that DAGs are mounted from
	Image    string  `json:"image,omitempty"`    // "name@sha256:…"; a name without a host is in the portal's registry
	DagsPath string  `json:"dagsPath,omitempty"` // of the image
	Runtime  string  `json:"runtime,omitempty"`  // of the image, if it has one

	Deployment DeploymentID `json:"deployment"`
}

// Source says where Airflow's DAGs come from.
type Source string

// The sources.
const (
	FromBundle Source = "mounted"
	FromImage  Source = "image"
)

// DefaultDagsPath is where an image keeps its DAGs when nothing is known of it.
const DefaultDagsPath = "/usr/local/airflow/dags"

// AgentKind is what an agent does for its component.
type AgentKind string

// The kinds of agent.
const (
	Sidecar AgentKind = "sidecar" // mounts DAGs; what an agent is that does not say
	Rollout AgentKind = "rollout" // applies images
)

// Report is what an agent says of its component.
type Report struct {
	Component string    `json:"component"`
	Kind      AgentKind `json:"kind,omitempty"`
	DAGs      Source    `json:"dags,omitempty"`     // what current points to; "" before the first mount
	Version   Version   `json:"version,omitempty"`  // that current points to
	Image     string    `json:"image,omitempty"`    // that its containers run, by digest
	Revision  string    `json:"revision,omitempty"` // of Desired, that it has applied or that Error is about; "" before the first
	Age       int64     `json:"age,omitempty"`      // for how many seconds it has run what it runs, by the agent's own clock
	Step      string    `json:"step,omitempty"`     // what it is doing, "mounting"
	Done      int64     `json:"done,omitempty"`     // of Total, bytes
	Total     int64     `json:"total,omitempty"`
	Error     string    `json:"error,omitempty"`
	Agent     string    `json:"agent,omitempty"`     // its version
	Ephemeral bool      `json:"ephemeral,omitempty"` // autoscaled: one that falls silent has left
	Leaving   bool      `json:"leaving,omitempty"`
}

// AgentLog is what an agent says for the log of the deploy that rolls out.
type AgentLog struct {
	Component string   `json:"component"`
	Lines     []string `json:"lines"`
}

// ScaledAway reports whether it is the component that has left: its agent is
// there, and has nothing to roll out to. An agent that leaves says no revision.
func (r Report) ScaledAway() bool { return r.Leaving && r.Kind == Rollout && r.Revision != "" }

// Mounts reports whether the agent mounts DAGs.
func (r Report) Mounts() bool { return r.Kind != Rollout }

// Limits of what an agent may say, in bytes.
const (
	maxComponent  = 100
	maxReportText = 2000
)

// Check returns r as it may be kept, or says what is wrong with it.
func (r Report) Check() (Report, error) {
	r.Component = strings.TrimSpace(r.Component)
	_, named := r.Version.Time()
	switch {
	case r.Component == "" || len(r.Component) > maxComponent || strings.ContainsFunc(r.Component, unprintable):
		return r, Errorf(Invalid, "A component's name has 1 to %d letters, digits and signs.", maxComponent)
	case r.Kind != "" && r.Kind != Sidecar && r.Kind != Rollout:
		return r, Errorf(Invalid, "There is no kind of agent %q.", r.Kind)
	case r.DAGs != "" && r.DAGs != FromBundle && r.DAGs != FromImage:
		return r, Errorf(Invalid, "DAGs come from no %q.", r.DAGs)
	case r.Version != "" && !named:
		return r, Errorf(Invalid, "There can be no DAG bundle version %q.", r.Version)
	}
	for _, text := range []*string{&r.Step, &r.Error, &r.Agent, &r.Image, &r.Revision} {
		*text = clean(*text)
	}
	r.Age, r.Done, r.Total = max(r.Age, 0), max(r.Done, 0), max(r.Total, 0)
	return r, nil
}

// clean returns text as it can be shown and kept: of one line, and not long.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "�")
	if len(text) > maxReportText {
		text = strings.ToValidUTF8(text[:maxReportText], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return ' '
		}
		return r
	}, text)
}

// Component is a running part of Airflow with an agent beside it, as it last
// reported.
type Component struct {
	Report
	Since    time.Time // that it runs what it runs
	LastSeen time.Time
}

// EmbeddedComponent is what the agent inside the portal calls itself.
const EmbeddedComponent = "this-machine"

// How long a component may be silent before it counts as such, and before it
// is forgotten.
const (
	SilentAfter    = time.Minute
	ForgottenAfter = time.Hour
)

// Silent reports whether c has not been heard of for a minute.
func (c Component) Silent(now time.Time) bool { return now.Sub(c.LastSeen) >= SilentAfter }

// Gone reports whether c, which has been silent, is no longer one of the
// Deployment's components.
func (c Component) Gone(now time.Time) bool {
	if c.Ephemeral && c.Silent(now) {
		return true
	}
	return now.Sub(c.LastSeen) > ForgottenAfter
}

// Mounting returns those of all that mount DAGs.
func Mounting(all []Component) []Component {
	return slices.DeleteFunc(slices.Clone(all), func(c Component) bool { return !c.Mounts() })
}

// OfKind returns those of all whose agents do what kind says.
func OfKind(all []Component, kind AgentKind) []Component {
	return slices.DeleteFunc(slices.Clone(all), func(c Component) bool { return c.Mounts() != (kind == Sidecar) })
}

// About returns all without the errors that are about another wish than that
// of a revision. A rollout that had one has yet to say whether its containers
// work: what they run is left out as well.
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

// Runs reports whether c runs what s wants of it.
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
	Of      int      // components that are connected
	Running int      // of them, those that run what is wanted, and work
	Errors  []string // "worker-2: disk full", of those that do not
}

// NewProgress counts the components of a Deployment whose state s is wanted. For
// a deploy, all are those About it: an error of before is none of its own.
// Silent ones are no longer waited for.
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

// Done reports whether every connected component runs what is wanted.
func (p Progress) Done() bool { return p.Running == p.Of }

// Stuck reports whether every component that does not run it has said why.
func (p Progress) Stuck() bool { return !p.Done() && p.Running+len(p.Errors) == p.Of }

// Stragglers says of each component that does not run what s wants, or whose
// containers do not work, where it is. Silent ones are no longer waited for.
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

// Health is a Deployment's status, as the API names it.
type Health string

// The statuses of a Deployment.
const (
	Creating  Health = "CREATING" // no component has reported yet
	Going     Health = "DEPLOYING"
	Healthy   Health = "HEALTHY"
	Unhealthy Health = "UNHEALTHY" // a component reports an error, lags or is silent
)

// serves reports whether c runs what s wants of it, and its containers work. A
// mount that is in place serves whatever else its agent says.
func (c Component) serves(s State) bool { return c.Runs(s) && (c.Kind != Rollout || c.Error == "") }

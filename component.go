package slipway

import (
	"fmt"
	"time"
)

// Desired is what an agent is told to make true on its side.
type Desired struct {
	Revision string  `json:"revision"` // opaque; changes whenever anything below does
	DAGs     Source  `json:"dags"`
	Version  Version `json:"version,omitempty"`  // that DAGs are mounted from
	Image    string  `json:"image,omitempty"`    // by digest
	DagsPath string  `json:"dagsPath,omitempty"` // of the image
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

// Desired returns what agents of d are to make true. revision names it.
func (d Deployment) Desired(revision string) Desired {
	w := Desired{Revision: revision, DAGs: FromImage, Image: d.Image, DagsPath: d.DagsPath}
	if d.Mounted {
		w.DAGs, w.Version = FromBundle, d.Version
	}
	if w.DagsPath == "" {
		w.DagsPath = DefaultDagsPath
	}
	return w
}

// Report is what an agent says of its component.
type Report struct {
	Component string  `json:"component"`
	DAGs      Source  `json:"dags,omitempty"`    // what current points to; "" before the first mount
	Version   Version `json:"version,omitempty"` // that current points to
	Image     string  `json:"image,omitempty"`
	Step      string  `json:"step,omitempty"` // what it is doing, "mounting"
	Done      int64   `json:"done,omitempty"` // of Total, bytes
	Total     int64   `json:"total,omitempty"`
	Error     string  `json:"error,omitempty"`
	Agent     string  `json:"agent,omitempty"` // its version
	Leaving   bool    `json:"leaving,omitempty"`
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

// Runs reports whether c runs what s wants of it.
func (c Component) Runs(s State) bool {
	if !s.Mounted {
		return c.DAGs == FromImage
	}
	return c.DAGs == FromBundle && c.Version == s.Version
}

// Progress is how far the components of a Deployment are.
type Progress struct {
	Of      int      // components that are connected
	Running int      // of them, those that run what is wanted
	Errors  []string // "worker-2: disk full", of those that do not
}

// NewProgress counts the components of a Deployment whose state s is wanted.
// Silent ones are no longer waited for.
func NewProgress(s State, all []Component, now time.Time) Progress {
	var p Progress
	for _, c := range all {
		if c.Silent(now) {
			continue
		}
		p.Of++
		switch {
		case c.Runs(s):
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

// Health is a Deployment's status, as the API names it.
type Health string

// The statuses of a Deployment.
const (
	Creating  Health = "CREATING" // no component has reported yet
	Going     Health = "DEPLOYING"
	Healthy   Health = "HEALTHY"
	Unhealthy Health = "UNHEALTHY" // a component reports an error, lags or is silent
)

// Health returns d's status and its reason in words. running is the deploy
// that goes live now, nil if none.
func (d Deployment) Health(all []Component, running *Deploy, now time.Time) (Health, string) {
	p := NewProgress(d.State, all, now)
	switch {
	case running != nil && p.Of == 0:
		return Going, fmt.Sprintf("#%d is going live.", running.Number)
	case running != nil:
		return Going, fmt.Sprintf("#%d is on %d of %d.", running.Number, p.Running, p.Of)
	case len(all) == 0:
		return Creating, "No component has reported yet."
	}
	for _, c := range all {
		switch {
		case c.Silent(now):
			return Unhealthy, fmt.Sprintf("%s has been silent for %s.", c.Component, now.Sub(c.LastSeen).Round(time.Second))
		case c.Error != "":
			return Unhealthy, fmt.Sprintf("%s: %s", c.Component, c.Error)
		case !c.Runs(d.State):
			return Unhealthy, fmt.Sprintf("%s does not run what is wanted.", c.Component)
		}
	}
	return Healthy, ""
}

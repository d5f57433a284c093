package slipway

import (
	"fmt"
	"strings"
)

// maxNamed is the number of DAG files named in a warning.
const maxNamed = 10

// Ticks are confirmations by a person beside the deploy.
type Ticks struct {
	RemoveDAGs bool // confirms the removal of these DAG files
	NoDAGs     bool // yes, deploy without a single DAG file
	NotAirflow bool // confirms an image without signs of Airflow
	RunsImage  bool // yes, somebody restarts Airflow with the image, as nothing else does
}

// Plan holds the changes of a deploy to the files of a base.
type Plan struct {
	Changes     []Change
	Counts      Counts
	RemovedDAGs []string // paths
	NoDAGs      bool     // the new version has no DAG file at all
	NotAirflow  string   // image without signs of Airflow; "" for none
	ByHand      bool     // mounted DAGs are replaced by the DAGs of an image that nothing here applies
}

// NewPlan compares the files of a base with the new files. Both must be sorted.
func NewPlan(base, next []File) Plan {
	p := Plan{Changes: Changes(base, next), NoDAGs: true}
	for _, c := range p.Changes {
		switch c.Op {
		case Added:
			p.Counts.Added++
		case Changed:
			p.Counts.Changed++
		case Removed:
			p.Counts.Removed++
			if c.Old.DAG {
				p.RemovedDAGs = append(p.RemovedDAGs, c.Path)
			}
		}
	}
	for _, f := range next {
		p.NoDAGs = p.NoDAGs && !f.DAG
	}
	p.Counts.Files = len(next)
	p.Counts.Unchanged = len(next) - p.Counts.Added - p.Counts.Changed
	return p
}

// ErrNothingApplies refuses a deploy that would remove mounted DAGs before the
// image with the DAGs runs.
var ErrNothingApplies = &Error{Kind: Conflict, Text: "Nothing here can run the image: give the Deployment an apply command, or connect an agent with --images, so that the mounted DAGs stay until the image that carries them runs."}

// Ticks returns the confirmations needed for p.
func (p Plan) Ticks() Ticks {
	return Ticks{RemoveDAGs: len(p.RemovedDAGs) > 0, NoDAGs: p.NoDAGs, NotAirflow: p.NotAirflow != "", RunsImage: p.ByHand}
}

// Check refuses p while a needed tick is missing from given.
func (p Plan) Check(given Ticks) error {
	switch need := p.Ticks(); {
	case need.RemoveDAGs && !given.RemoveDAGs && len(p.RemovedDAGs) == 1:
		return Errorf(Invalid, "This deploy removes the DAG file %s. Tick that it may.", p.RemovedDAGs[0])
	case need.RemoveDAGs && !given.RemoveDAGs:
		return Errorf(Invalid, "This deploy removes %d DAG files. Tick that it may.", len(p.RemovedDAGs))
	case need.NoDAGs && !given.NoDAGs:
		return Errorf(Invalid, "This deploy leaves Airflow without a single DAG file. Tick that it may.")
	case need.NotAirflow && !given.NotAirflow:
		return Errorf(Invalid, "Nothing says that %s is an image of Airflow. Tick that it is.", p.NotAirflow)
	case need.RunsImage && !given.RunsImage:
		return Errorf(Invalid, "%s Or tick that you restart Airflow with it yourself.", ErrNothingApplies.Text)
	}
	return nil
}

// Warning returns the needed confirmations in sentences; "" for none. Deploys
// of the API carry the warning as a note.
func (p Plan) Warning() string {
	var all []string
	if n := len(p.RemovedDAGs); n > 0 {
		names := strings.Join(p.RemovedDAGs[:min(n, maxNamed)], ", ")
		switch {
		case n == 1:
			all = append(all, "It removes the DAG file "+names+".")
		case n > maxNamed:
			all = append(all, fmt.Sprintf("It removes %d DAG files: %s and %d more.", n, names, n-maxNamed))
		default:
			all = append(all, fmt.Sprintf("It removes %d DAG files: %s.", n, names))
		}
	}
	if p.NoDAGs {
		all = append(all, "It leaves Airflow without a single DAG file.")
	}
	if p.NotAirflow != "" {
		all = append(all, "Nothing says that "+p.NotAirflow+" is an image of Airflow.")
	}
	if p.ByHand {
		all = append(all, "Nothing here can run its image: until somebody restarts Airflow with it, DAGs may be missing.")
	}
	return strings.Join(all, " ")
}

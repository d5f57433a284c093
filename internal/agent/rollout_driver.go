package agent

import (
	"context"
	"strings"

	"slipway/internal/slipway"
)

// Driver makes a component run images: through a Docker Engine, by a command
// of the configuration, or by whatever else runs Airflow's processes. It knows
// nothing of the portal.
type Driver interface {
	// Apply makes at run i, and returns when i serves there. What i replaces may
	// still be ending then. Where it fails, at runs what it ran before, or as
	// much of that as the driver can see to, and err says what happened.
	Apply(ctx context.Context, at Place, i Image, tell Tell) error

	// Running says what at runs now. i is what is wanted there.
	Running(ctx context.Context, at Place, i Image) (Running, error)

	// Tend goes on with what Apply left for later, also what an agent left that
	// was killed. It is called every second, also while Apply is at work.
	Tend(ctx context.Context, at Place) error
}

// Place is a component of a Deployment.
type Place struct {
	Deployment slipway.DeploymentID
	Component  string
}

// Image is an image as a driver gets it.
type Image struct {
	Ref     string // that pulls it and nothing else: "registry/team/airflow@sha256:…"
	Runtime string // Astro Runtime version; "" if it has none
	Login   Login  // for its registry; the zero value for none
}

// Login opens a registry.
type Login struct{ User, Password string }

// Digest returns the digest that i is pinned by.
func (i Image) Digest() string {
	_, digest, _ := strings.Cut(i.Ref, "@")
	return digest
}

// Running is what a component runs.
type Running struct {
	Parts int    // containers or the like; 0 for one that has been scaled away
	Image string // digest of the image that all of them run; "" if they differ or nobody knows
	Wrong string // what is wrong with the parts, in a sentence; where there are none: what was looked for
}

// Tell is told how an Apply goes on.
type Tell struct {
	Step func(step string, done, total int64) // "pulling the image", for the board; total is 0 where nobody knows
	Log  func(line string)                    // for the deploy's log
}

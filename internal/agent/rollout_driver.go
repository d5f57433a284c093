package agent

import (
	"context"
	"strings"

	"slipway/internal/slipway"
)

// Driver makes a component run images: through a Docker Engine, by a command of
// the configuration, or by another manager of Airflow's processes. A Driver
// does not know the portal.
type Driver interface {
	// Apply makes a component run i, and returns once i serves. The replaced
	// containers may still be ending. After a failure, the component runs its
	// old image as far as the driver can achieve, and err describes the
	// failure.
	Apply(ctx context.Context, at Place, i Image, tell Tell) error

	// Running returns the parts and image of a component. i is the desired
	// image.
	Running(ctx context.Context, at Place, i Image) (Running, error)

	// Tend finishes the work that Apply left for later, also that of a killed
	// agent. Tend is called every second, also during Apply.
	Tend(ctx context.Context, at Place) error
}

// Place is a component of a Deployment.
type Place struct {
	Deployment slipway.DeploymentID
	Component  string
}

// Image is an image for a driver.
type Image struct {
	Ref     string // pinned, to pull: "registry/team/airflow@sha256:…"
	Runtime string // Astro Runtime version; "" for none
	Login   Login  // for the registry of Ref; zero for none
}

// Login opens a registry.
type Login struct{ User, Password string }

// Digest returns the digest in Ref.
func (i Image) Digest() string {
	_, digest, _ := strings.Cut(i.Ref, "@")
	return digest
}

// Running is the running state of a component.
type Running struct {
	Parts int    // containers or the like; 0 for a component that was scaled away
	Image string // digest of the image of all parts; "" if parts differ or the image is unknown
	Wrong string // a sentence about failing parts, or about the search if there are no parts
}

// Tell is told how an Apply goes on.
type Tell struct {
	Step func(step string, done, total int64) // "pulling the image", for the board; total is 0 where nobody knows
	Log  func(line string)                    // for the deploy's log
}

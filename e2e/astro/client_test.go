// Package astro drives the built binary with the requests of the astro CLI, and
// with the scripts in examples/ci.
package astro

import "slipway/e2e/program"

// astro is a CLI with the commands that only these tests run.
type astro struct{ *program.Astro }

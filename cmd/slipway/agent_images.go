package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/internal/agent"
)

// imagesFlags say whether an agent applies images, and how.
type imagesFlags struct {
	Images        string        `placeholder:"docker|exec:NAME" help:"Apply images as well: through the Docker Engine of DOCKER_HOST, or by a command of the configuration file."`
	Grace         time.Duration `default:"10m" help:"docker: how long a replaced container may take to end, so that its tasks can finish; up to 24h (${default})."`
	HealthyAfter  time.Duration `default:"10s" help:"docker: how long a new container without a health check must run to count as healthy (${default})."`
	HealthyWithin time.Duration `default:"5m" help:"docker: how long a new container with a health check may take to become healthy (${default})."`
	ApplyCommands argvs         `placeholder:"COMMANDS" help:"exec: commands by name. In the configuration file: apply-commands: {compose: [docker, compose, up, -d]}."`
	ApplyTimeout  time.Duration `default:"15m" help:"exec: how long the command may take (${default})."`
	ImageEnv      string        `type:"path" placeholder:"FILE" help:"exec: file with the variables of the image, and of what was applied; DIR/image.env with --dags DIR."`
}

const (
	maxGrace   = 24 * time.Hour
	execPrefix = "exec:"
)

// check returns an error for a wrong combination of flags.
func (f imagesFlags) check() error {
	name, isExec := strings.CutPrefix(f.Images, execPrefix)
	switch {
	case f.Images == "" || f.Images == "docker":
	case !isExec:
		return fmt.Errorf("--images must be docker or exec:NAME, not %q", f.Images)
	case len(f.ApplyCommands[name]) == 0:
		return fmt.Errorf("--images names the command %q, and the configuration has %s; list it under apply-commands", name, f.known())
	}
	switch {
	case f.Grace < 0 || f.Grace > maxGrace:
		return errors.New("--grace must be between 0s and 24h")
	case f.HealthyAfter < 0 || f.HealthyWithin <= 0 || f.ApplyTimeout <= 0:
		return errors.New("--healthy-after, --healthy-within and --apply-timeout must be more than nothing")
	}
	return nil
}

// known lists the configured commands for an error text.
func (f imagesFlags) known() string {
	if len(f.ApplyCommands) == 0 {
		return "no commands"
	}
	return "only " + strings.Join(slices.Sorted(maps.Keys(f.ApplyCommands)), ", ")
}

// runAll runs mounts and images until ctx ends. Either may be nil.
func runAll(ctx context.Context, mounts *agent.Agent, images *agent.Rollout) error {
	all, ctx := errgroup.WithContext(ctx)
	if mounts != nil {
		all.Go(func() error { return mounts.Run(ctx) })
	}
	if images != nil {
		all.Go(func() error { return images.Run(ctx) })
	}
	return all.Wait()
}

package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"slipway/internal/agent"
	"slipway/internal/slipway"
)

// Labels of containers. The first two name the owner.
const (
	ourLabels       = "slipway."
	labelDeployment = "slipway.deployment" // its id
	labelComponent  = "slipway.component"
	labelOrder      = "slipway.order" // "stop-first" for those that cannot run beside their successor
	labelAgent      = "slipway.agent" // set by us: the process that made it
	labelSet        = "slipway.set"   // set by agents: the settings of the first container
)

// Config says how containers are replaced.
type Config struct {
	Host          string        // Docker Engine; "" for DOCKER_HOST, or else the local Engine
	Grace         time.Duration // time for a replaced container to stop
	HealthyAfter  time.Duration // without exit, for containers without a health check
	HealthyWithin time.Duration // else the new container counts as failed
}

// Docker applies images through a Docker Engine, by replacing the containers
// with the labels of a component.
type Docker struct {
	engine *client.Client
	cfg    Config
	self   string
	log    *slog.Logger
}

// New returns a Docker. The Engine need not run yet.
func New(cfg Config, log *slog.Logger) (*Docker, error) {
	opts := []client.Opt{client.FromEnv}
	if cfg.Host != "" {
		opts = append(opts, client.WithHost(cfg.Host))
	}
	engine, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("docker engine: %w", err)
	}
	return &Docker{engine: engine, cfg: cfg, self: rand.Text(), log: log}, nil
}

func unreachable(err error) error {
	if client.IsErrConnectionFailed(err) {
		return slipway.Errorf(slipway.Conflict, "The Docker Engine cannot be reached: %s.", strings.TrimSuffix(err.Error(), "."))
	}
	return fmt.Errorf("docker engine: %w", err)
}

// Apply replaces the containers that do not run i: new containers start beside
// the old ones, and the old ones are told to stop once all new ones are
// healthy. If a new container does not become healthy, all new ones are removed
// and nothing has changed.
func (d *Docker) Apply(ctx context.Context, at agent.Place, i agent.Image, tell agent.Tell) error {
	if err := d.clear(ctx, at); err != nil {
		return err
	}
	list, err := d.parts(ctx, at)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return nil // scaled away
	}
	id, err := d.pull(ctx, i, tell)
	if err != nil {
		return err
	}
	if list, err = d.parts(ctx, at); err != nil { // a pull takes long
		return err
	}
	var swaps []*swap
	for _, b := range list {
		if b.Image == id && b.Role == inCharge {
			continue
		}
		swaps = append(swaps, &swap{Docker: d, old: b, tell: tell})
	}
	if err := d.replace(ctx, swaps, i, tell); err != nil {
		d.undo(ctx, at, swaps)
		return err
	}
	if err := d.Tend(ctx, at); err != nil { // repeated each second
		d.log.Error("look after what was replaced", slog.Any("error", err))
	}
	return nil
}

// replace carries out all swaps, or none.
func (d *Docker) replace(ctx context.Context, swaps []*swap, i agent.Image, tell agent.Tell) error {
	tell.Step(startingStep, 0, 0)
	for _, s := range swaps {
		if err := s.create(ctx, i); err != nil {
			return err
		}
	}
	for _, s := range swaps {
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	tell.Step("waiting until healthy", 0, 0)
	healthy, healthCtx := errgroup.WithContext(ctx)
	for _, s := range swaps {
		healthy.Go(func() error { return s.healthy(healthCtx) })
	}
	if err := healthy.Wait(); err != nil {
		return err
	}
	for _, s := range swaps {
		if err := s.takeOver(ctx); err != nil {
			return err
		}
	}
	return nil
}

// undoWithin bounds the work after a failed Apply.
const undoWithin = 30 * time.Second

// undo removes the new containers of replace. Tend starts the old ones again.
func (d *Docker) undo(ctx context.Context, at agent.Place, swaps []*swap) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
	defer cancel()
	for _, s := range swaps {
		if s.next == "" || s.over {
			continue
		}
		if err := d.remove(ctx, s.next); err != nil {
			d.log.Error("remove a container that failed", slog.String("container", s.old.Base), slog.Any("error", err))
		}
	}
	if err := d.Tend(ctx, at); err != nil {
		d.log.Error("bring back a container", slog.Any("error", err))
	}
}

// clear removes the leftovers of an earlier Apply.
func (d *Docker) clear(ctx context.Context, at agent.Place) error { return d.tend(ctx, at, "") }

// Tend tells replaced containers to stop, removes ended and late ones, and
// removes the leftovers of a killed agent.
func (d *Docker) Tend(ctx context.Context, at agent.Place) error { return d.tend(ctx, at, d.self) }

func (d *Docker) tend(ctx context.Context, at agent.Place, self string) error {
	all, err := d.boxes(ctx, at)
	if err != nil {
		return err
	}
	var failed error
	for _, c := range chores(all, self, time.Now()) {
		switch err := d.do(ctx, c); {
		case err == nil:
			d.log.Info("container", slog.String("name", c.box.Name), slog.String("did", string(c.verb)))
		case errdefs.IsNotFound(err) && c.verb != revive: // somebody was faster
		case self == "" && c.verb == revive: // what comes may start where it cannot
			d.log.Error("start a container again", slog.String("name", c.box.Name), slog.Any("error", err))
		default:
			failed = errors.Join(failed, fmt.Errorf("%s container %s: %w", c.verb, c.box.Name, err))
		}
	}
	return failed
}

func (d *Docker) do(ctx context.Context, c chore) error {
	switch c.verb {
	case promote:
		return d.rename(ctx, c.box, inCharge)
	case revive:
		// In order: a container that could not be started stays held for the
		// next try.
		if _, err := d.engine.ContainerStart(ctx, c.box.ID, client.ContainerStartOptions{}); err != nil {
			return err
		}
		return d.rename(ctx, c.box, inCharge)
	case dismiss:
		if err := d.signal(ctx, c.box); err != nil {
			return err
		}
		return d.rename(ctx, c.box, draining)
	}
	return d.remove(ctx, c.box.ID)
}

// judge reports whether c is healthy after running for a time, or why c never
// will be.
func (cfg Config) judge(c container.InspectResponse, ran time.Duration) (ok bool, why string) {
	st := c.State
	if st == nil {
		st = &container.State{}
	}
	checked := st.Health != nil && st.Health.Status != "" && st.Health.Status != container.NoHealthcheck
	switch {
	case noMemory(*st):
		return false, "ran out of memory"
	case st.Restarting || c.RestartCount > 0:
		return false, "exits again and again"
	case !st.Running:
		return false, fmt.Sprintf("exited with code %d", st.ExitCode)
	case checked && st.Health.Status == container.Healthy, !checked && ran >= cfg.HealthyAfter:
		return true, ""
	case checked && st.Health.Status == container.Unhealthy:
		return false, "is unhealthy" + lastCheck(st.Health)
	case checked && ran >= cfg.HealthyWithin:
		return false, fmt.Sprintf("did not become healthy within %s", cfg.HealthyWithin)
	}
	return false, ""
}

// pull makes i available and returns its id on the Engine.
func (d *Docker) pull(ctx context.Context, i agent.Image, tell agent.Tell) (id string, err error) {
	if img, err := d.engine.ImageInspect(ctx, i.Ref); err == nil {
		return img.ID, nil
	}
	tell.Step(pullingStep, 0, 0)
	tell.Log("Pulling " + i.Ref)
	if err := d.fetch(ctx, i, tell); err != nil {
		return "", slipway.Errorf(slipway.Conflict, "The image %s cannot be pulled: %s.", i.Ref, strings.TrimSuffix(err.Error(), "."))
	}
	img, err := d.engine.ImageInspect(ctx, i.Ref)
	if err != nil {
		return "", unreachable(err)
	}
	return img.ID, nil
}

func (d *Docker) fetch(ctx context.Context, i agent.Image, tell agent.Tell) error {
	auth, err := authOf(i)
	if err != nil {
		return err
	}
	answer, err := d.engine.ImagePull(ctx, i.Ref, client.ImagePullOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer answer.Close()
	layers := map[string]jsonstream.Progress{}
	for m, err := range answer.JSONMessages(ctx) {
		switch {
		case err != nil:
			return err
		case m.Error != nil:
			return m.Error
		case m.Status == "Downloading" && m.Progress != nil:
			layers[m.ID] = *m.Progress
			done, total := sum(layers)
			tell.Step(pullingStep, done, total)
		case m.ID == "" || strings.HasSuffix(m.Status, "complete") || strings.HasSuffix(m.Status, "exists"):
			tell.Log(strings.TrimPrefix(m.ID+": "+m.Status, ": "))
		}
	}
	return nil
}

// rename gives b the name of role r.
func (d *Docker) rename(ctx context.Context, b box, r role) error {
	name := b.as(r, time.Now().Add(d.cfg.Grace))
	_, err := d.engine.ContainerRename(ctx, b.ID, client.ContainerRenameOptions{NewName: name})
	if err == nil {
		return nil
	}
	now, inspectErr := d.engine.ContainerInspect(ctx, b.ID, client.ContainerInspectOptions{})
	if inspectErr == nil && strings.TrimPrefix(now.Container.Name, "/") == name {
		return nil // Apply and Tend may rename at the same time
	}
	return err
}

// signal tells a container to end, and not to start again by itself.
func (d *Docker) signal(ctx context.Context, b box) error {
	now, err := d.engine.ContainerInspect(ctx, b.ID, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	c := now.Container
	if b.Role == old && c.HostConfig != nil && !c.HostConfig.RestartPolicy.IsNone() {
		none := container.RestartPolicy{Name: container.RestartPolicyDisabled}
		if _, err := d.engine.ContainerUpdate(ctx, b.ID, client.ContainerUpdateOptions{RestartPolicy: &none}); err != nil {
			return err
		}
	}
	stop := "SIGTERM"
	if c.Config != nil && c.Config.StopSignal != "" {
		stop = c.Config.StopSignal
	}
	_, err = d.engine.ContainerKill(ctx, b.ID, client.ContainerKillOptions{Signal: stop})
	if errdefs.IsConflict(err) {
		return nil // not running
	}
	return err
}

// remove kills and removes a container. Volumes stay for the successor.
func (d *Docker) remove(ctx context.Context, id string) error {
	_, err := d.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // removed, or in removal
		return nil
	}
	return err
}

package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"slipway"
)

// Labels of containers. The first two say whose a container is.
const (
	ourLabels       = "slipway."
	labelDeployment = "slipway.deployment" // its id
	labelComponent  = "slipway.component"
	labelOrder      = "slipway.order" // "stop-first" for those that cannot run beside their successor
	labelAgent      = "slipway.agent" // set by us: the process that made it
)

// DockerConfig says how containers are replaced.
type DockerConfig struct {
	Host          string        // of the Docker Engine; "" for DOCKER_HOST, or else this machine's
	Grace         time.Duration // how long a replaced container may take to end once it is told to
	HealthyAfter  time.Duration // without exit, for containers without a health check
	HealthyWithin time.Duration // else the new container counts as failed
}

// Docker applies images through a Docker Engine: it replaces the containers
// that carry the labels of a component.
type Docker struct {
	engine *client.Client
	cfg    DockerConfig
	self   string
	log    *slog.Logger
}

// NewDocker returns a Docker. The Engine need not run yet.
func NewDocker(cfg DockerConfig, log *slog.Logger) (*Docker, error) {
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

// boxes returns the containers of a component, the ones that do not run
// included.
func (d *Docker) boxes(ctx context.Context, at Place) ([]box, error) {
	labels := client.Filters{}.Add("label", labelDeployment+"="+string(at.Deployment), labelComponent+"="+at.Component)
	found, err := d.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labels})
	if err != nil {
		return nil, unreachable(err)
	}
	var all []box
	for _, c := range found.Items {
		if len(c.Names) == 0 {
			continue // it is being removed
		}
		if stray, err := d.stray(ctx, c); err != nil {
			return nil, err
		} else if stray {
			continue
		}
		b := newBox(ownName(c.Names))
		b.ID, b.Image, b.Agent = c.ID, c.ImageID, c.Labels[labelAgent]
		b.Running = c.State == container.StateRunning || c.State == container.StatePaused || c.State == container.StateRestarting
		if b.Role == inCharge {
			if b.Crashed, err = d.crashed(ctx, c); err != nil {
				return nil, err
			}
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b box) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// crashed says how c fails by itself, "" if it does not.
func (d *Docker) crashed(ctx context.Context, c container.Summary) (string, error) {
	switch c.State {
	case container.StateRestarting:
		return "exits again and again", nil
	case container.StateExited:
	default:
		return "", nil
	}
	now, err := d.engine.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return "", nil // it was removed meanwhile
	case err != nil:
		return "", unreachable(err)
	case now.Container.State == nil:
		return "", nil
	}
	return crash(*now.Container.State), nil
}

// stray reports whether c has the labels of a component from its image alone:
// whoever runs it has not said that we may replace it. Those that we made are
// none, whatever image they run.
func (d *Docker) stray(ctx context.Context, c container.Summary) (bool, error) {
	img, err := d.engine.ImageInspect(ctx, c.ImageID)
	switch {
	case errdefs.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, unreachable(err)
	case img.Config == nil:
		return false, nil
	}
	from := func(label string) bool { return brought(img.Config.Labels, label, c.Labels[label]) }
	ours := c.Labels[labelAgent] != "" && !from(labelAgent)
	return !ours && from(labelDeployment) && from(labelComponent), nil
}

// ownName returns the name of a container among those by which others link to
// it, "/other/alias".
func ownName(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return strings.TrimPrefix(names[0], "/")
}

func unreachable(err error) error {
	if client.IsErrConnectionFailed(err) {
		return slipway.Errorf(slipway.Conflict, "The Docker Engine cannot be reached: %s.", strings.TrimSuffix(err.Error(), "."))
	}
	return fmt.Errorf("docker engine: %w", err)
}

// serving returns those of all that the component consists of now. One that
// somebody has stopped is scaled away; one that has crashed is not.
func serving(all []box) (list []box) {
	for _, b := range all {
		if b.Role == inCharge && (b.Running || b.Crashed != "") || b.Role == held {
			list = append(list, b)
		}
	}
	return list
}

// Running says which image the containers run that are in charge.
func (d *Docker) Running(ctx context.Context, at Place, i Image) (Running, error) {
	all, err := d.boxes(ctx, at)
	if err != nil {
		return Running{}, err
	}
	list := serving(all)
	switch {
	case len(list) == 0:
		text := "No container that runs on this Docker Engine carries the labels %s=%s and %s=%s."
		return Running{Wrong: fmt.Sprintf(text, labelDeployment, at.Deployment, labelComponent, at.Component)}, nil
	case slices.ContainsFunc(list, func(b box) bool { return b.Image != list[0].Image || b.Role == held }):
		return Running{Parts: len(list), Wrong: crashes(list)}, nil
	}
	digest, err := d.digest(ctx, list[0].Image, i)
	return Running{Parts: len(list), Image: digest, Wrong: crashes(list)}, err
}

// crashes says which of list have crashed, and what to do.
func crashes(list []box) string {
	var all []string
	for _, b := range list {
		if b.Crashed != "" {
			all = append(all, fmt.Sprintf("The container %s %s.", b.Name, b.Crashed))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(append(all, "Start it again, remove it, or deploy another image."), " ")
}

// digest returns the digest of the image with an id, of the several that it may
// have (in an index, and by itself) i's.
func (d *Docker) digest(ctx context.Context, id string, i Image) (string, error) {
	if i.Ref != "" {
		if want, err := d.engine.ImageInspect(ctx, i.Ref); err == nil && want.ID == id {
			return i.Digest(), nil
		}
	}
	img, err := d.engine.ImageInspect(ctx, id)
	if err != nil && !errdefs.IsNotFound(err) {
		return "", unreachable(err)
	}
	for _, name := range img.RepoDigests {
		_, digest, _ := strings.Cut(name, "@")
		return digest, nil
	}
	return "", nil
}

// Apply replaces the containers that do not run i: the new ones beside the
// old, and when all of them are healthy the old ones are told to stop. If one
// does not become healthy, the new ones are removed and nothing has changed.
func (d *Docker) Apply(ctx context.Context, at Place, i Image, tell Tell) error {
	if err := d.clear(ctx, at); err != nil {
		return err
	}
	all, err := d.boxes(ctx, at)
	if err != nil {
		return err
	}
	if len(serving(all)) == 0 {
		return nil // it has been scaled away
	}
	id, err := d.pull(ctx, i, tell)
	if err != nil {
		return err
	}
	var swaps []*swap
	for _, b := range serving(all) {
		if b.Image == id && b.Role == inCharge {
			continue
		}
		swaps = append(swaps, &swap{Docker: d, old: b, tell: tell})
	}
	if err := d.replace(ctx, swaps, i, tell); err != nil {
		d.undo(ctx, at, swaps)
		return err
	}
	return d.Tend(ctx, at)
}

// replace carries swaps out, all of them or none.
func (d *Docker) replace(ctx context.Context, swaps []*swap, i Image, tell Tell) error {
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

// undoWithin bounds what is done after a failure, whatever ended Apply.
const undoWithin = 30 * time.Second

// undo removes what replace has created. Tend brings back those that were told
// to stop.
func (d *Docker) undo(ctx context.Context, at Place, swaps []*swap) {
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

// clear removes what an Apply before this one has left.
func (d *Docker) clear(ctx context.Context, at Place) error { return d.tend(ctx, at, "") }

// Tend tells replaced containers to stop, removes those that have ended or are
// late, and clears up after an agent that was killed.
func (d *Docker) Tend(ctx context.Context, at Place) error { return d.tend(ctx, at, d.self) }

func (d *Docker) tend(ctx context.Context, at Place, self string) error {
	all, err := d.boxes(ctx, at)
	if err != nil {
		return err
	}
	var failed error
	for _, c := range chores(all, self, time.Now()) {
		switch err := d.do(ctx, c); {
		case err == nil:
			d.log.Info("container", slog.String("name", c.box.Name), slog.String("did", string(c.verb)))
		case !errdefs.IsNotFound(err): // else somebody was faster
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
		if err := d.rename(ctx, c.box, inCharge); err != nil {
			return err
		}
		_, err := d.engine.ContainerStart(ctx, c.box.ID, client.ContainerStartOptions{})
		return err
	case dismiss:
		if err := d.signal(ctx, c.box); err != nil {
			return err
		}
		return d.rename(ctx, c.box, draining)
	}
	return d.remove(ctx, c.box.ID)
}

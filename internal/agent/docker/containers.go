package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/internal/agent"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// oneOff marks containers of "docker compose run": labelled as a service, but
// no part of the service.
const oneOff = "com.docker.compose.oneoff"

// boxes returns the containers of a component, including stopped ones.
func (d *Docker) boxes(ctx context.Context, at agent.Place) ([]box, error) {
	labels := client.Filters{}.Add("label", labelDeployment+"="+string(at.Deployment), labelComponent+"="+at.Component)
	found, err := d.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labels})
	if err != nil {
		return nil, unreachable(err)
	}
	var all []box
	for _, c := range found.Items {
		if len(c.Names) == 0 || c.Labels[oneOff] == "True" { // one without a name is being removed
			continue
		}
		if stray, err := d.stray(ctx, c); err != nil {
			return nil, err
		} else if stray {
			continue
		}
		b := newBox(ownName(c.Names))
		b.ID, b.Image, b.Agent = c.ID, c.ImageID, c.Labels[labelAgent]
		b.Running = c.State == container.StateRunning || c.State == container.StatePaused || c.State == container.StateRestarting
		b.State = string(c.State)
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b box) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// parts returns the containers of which the component consists, each inspected;
// boxes, called every second, does not inspect.
func (d *Docker) parts(ctx context.Context, at agent.Place) ([]box, error) {
	all, err := d.boxes(ctx, at)
	if err != nil {
		return nil, err
	}
	for i, b := range all {
		if b.Role == inCharge {
			if all[i].Crashed, err = d.crashed(ctx, b); err != nil {
				return nil, err
			}
		}
	}
	return serving(all), nil
}

// crashed says how b failed by itself; "" for no failure.
func (d *Docker) crashed(ctx context.Context, b box) (string, error) {
	switch container.ContainerState(b.State) {
	case container.StateRestarting:
		return "exits again and again", nil
	case container.StateExited, container.StateRunning:
	default:
		return "", nil
	}
	now, err := d.engine.ContainerInspect(ctx, b.ID, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return "", nil // removed meanwhile
	case err != nil:
		return "", unreachable(err)
	case now.Container.State == nil:
		return "", nil
	case now.Container.State.Running:
		return restarted(now.Container, time.Now()), nil
	}
	return crash(*now.Container.State, time.Now()), nil
}

// stray reports whether c has the labels of a component from its image alone,
// so that nobody agreed to a replacement. A container made by an agent is never
// stray.
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

// ownName returns a container's name, from a list that also has aliases of
// links ("/other/alias").
func ownName(names []string) string {
	for _, n := range names {
		if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
			return n
		}
	}
	return strings.TrimPrefix(names[0], "/")
}

// serving returns the containers of which the component consists now. A stopped
// container is scaled away; a crashed container is not.
func serving(all []box) (list []box) {
	for _, b := range all {
		if b.Role == inCharge && (b.Running || b.Crashed != "") || b.Role == held {
			list = append(list, b)
		}
	}
	return list
}

// telling returns the containers whose images define the image of the
// component: the running ones, or all if none runs. A single crashed container
// is replaced by the next image, without causing a rollout.
func telling(list []box) []box {
	running := slices.DeleteFunc(slices.Clone(list), func(b box) bool { return !b.Running && b.Role != held })
	if len(running) == 0 {
		return list
	}
	return running
}

// Running returns the image of the containers in charge.
func (d *Docker) Running(ctx context.Context, at agent.Place, i agent.Image) (agent.Running, error) {
	list, err := d.parts(ctx, at)
	if err != nil {
		return agent.Running{}, err
	}
	tell := telling(list)
	switch {
	case len(list) == 0:
		text := "No container that runs on this Docker Engine carries the labels %s=%s and %s=%s."
		return agent.Running{Wrong: fmt.Sprintf(text, labelDeployment, at.Deployment, labelComponent, at.Component)}, nil
	case slices.ContainsFunc(tell, func(b box) bool { return b.Image != tell[0].Image || b.Role == held }):
		return agent.Running{Parts: len(list), Wrong: crashes(list)}, nil
	}
	digest, err := d.digest(ctx, tell[0].Image, i)
	return agent.Running{Parts: len(list), Image: digest, Wrong: crashes(list)}, err
}

// crashes lists crashed containers, and the remedy.
func crashes(list []box) string {
	var all []string
	advice := "Look at what it wrote last, or deploy another image."
	for _, b := range list {
		if b.Crashed == "" {
			continue
		}
		all = append(all, fmt.Sprintf("The container %s %s.", b.Name, b.Crashed))
		if !b.Running {
			advice = "Start it again, remove it, or deploy another image."
		}
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(append(all, advice), " ")
}

// digest returns the digest of a local image. Of several digests (in an index,
// and by itself), i's is preferred.
func (d *Docker) digest(ctx context.Context, id string, i agent.Image) (string, error) {
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

package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"slipway/internal/slipway"
)

// swap is the replacement of one container.
type swap struct {
	*Docker
	old       box
	tell      Tell
	next      string // id of the new one
	stopFirst bool
	over      bool // the new one is in charge
}

// pull makes i available and returns its id on this Engine.
func (d *Docker) pull(ctx context.Context, i Image, tell Tell) (id string, err error) {
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

func (d *Docker) fetch(ctx context.Context, i Image, tell Tell) error {
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

// authOf returns how the Engine may open i's registry: as i says, else as
// "docker login" has left it on this machine.
func authOf(i Image) (string, error) {
	ref, err := name.NewDigest(i.Ref)
	if err != nil {
		return "", err
	}
	host := ref.RegistryStr()
	if i.Login != (Login{}) {
		return authconfig.Encode(registry.AuthConfig{Username: i.Login.User, Password: i.Login.Password, ServerAddress: host})
	}
	known, err := authn.DefaultKeychain.Resolve(ref.Context())
	if err != nil || known == authn.Anonymous {
		return "", err
	}
	c, err := known.Authorization()
	if err != nil {
		return "", err
	}
	return authconfig.Encode(registry.AuthConfig{
		Username: c.Username, Password: c.Password, IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken, ServerAddress: host,
	})
}

// Steps that are told in more than one place.
const (
	pullingStep  = "pulling the image"
	startingStep = "starting new containers"
)

func sum(layers map[string]jsonstream.Progress) (done, total int64) {
	for _, p := range layers {
		done, total = done+p.Current, total+p.Total
	}
	return done, total
}

// create makes the container that is to replace s.old, without starting it.
func (s *swap) create(ctx context.Context, i Image) error {
	was, err := s.engine.ContainerInspect(ctx, s.old.ID, client.ContainerInspectOptions{})
	if err != nil {
		return fmt.Errorf("container %s: %w", s.old.Base, err)
	}
	img, err := s.engine.ImageInspect(ctx, was.Container.Image)
	if err != nil {
		return fmt.Errorf("image of container %s: %w", s.old.Base, err)
	}
	c := successor(was.Container, img.Config, i.Ref)
	c.config.Labels[labelAgent] = s.self
	s.stopFirst = c.stopFirst
	made, err := s.engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: c.config, HostConfig: c.host, NetworkingConfig: c.first, Name: s.old.as(next, time.Time{}),
	})
	if err != nil {
		return slipway.Errorf(slipway.Conflict, "The successor of container %s cannot be created: %s.", s.old.Base, strings.TrimSuffix(err.Error(), "."))
	}
	s.next = made.ID
	for name, endpoint := range c.more { // older Engines take only one network above
		if _, err := s.engine.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: made.ID, EndpointConfig: endpoint}); err != nil {
			return fmt.Errorf("connect the successor of %s to network %s: %w", s.old.Base, name, err)
		}
	}
	return nil
}

// start starts the new container, after the old one has stopped if they cannot
// run at once. One that does not run is not held: else it would be started if
// the new one fails.
func (s *swap) start(ctx context.Context) error {
	if s.stopFirst && (s.old.Running || s.old.Role == held) {
		if err := s.stopOld(ctx); err != nil {
			return err
		}
	}
	s.tell.Log("Starting the successor of container " + s.old.Base)
	if _, err := s.engine.ContainerStart(ctx, s.next, client.ContainerStartOptions{}); err != nil {
		return slipway.Errorf(slipway.Conflict, "The new container %s cannot be started: %s.", s.old.Base, strings.TrimSuffix(err.Error(), "."))
	}
	return nil
}

// stopOld stops the old container and waits for its end.
func (s *swap) stopOld(ctx context.Context) error {
	s.tell.Log("Container " + s.old.Base + " cannot run beside its successor: it is stopped first")
	s.tell.Step(slipway.StepEnding, 0, 0)
	defer s.tell.Step(startingStep, 0, 0)
	if err := s.rename(ctx, s.old, held); err != nil {
		return fmt.Errorf("hold container %s: %w", s.old.Base, err)
	}
	if err := s.signal(ctx, s.old); err != nil {
		return fmt.Errorf("stop container %s: %w", s.old.Base, err)
	}
	for late := time.Now().Add(s.cfg.Grace); ; {
		now, err := s.engine.ContainerInspect(ctx, s.old.ID, client.ContainerInspectOptions{})
		switch {
		case err != nil:
			return fmt.Errorf("container %s: %w", s.old.Base, err)
		case now.Container.State != nil && !now.Container.State.Running:
			return nil
		case !time.Now().Before(late):
			_, err := s.engine.ContainerKill(ctx, s.old.ID, client.ContainerKillOptions{})
			if err != nil && !errdefs.IsConflict(err) {
				return fmt.Errorf("kill container %s: %w", s.old.Base, err)
			}
		}
		if err := wait(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// takeOver puts the new container in charge. That the old one gives its name
// away is the moment from which on there is no way back.
func (s *swap) takeOver(ctx context.Context) error {
	if err := s.rename(ctx, s.old, old); err != nil {
		return fmt.Errorf("put the successor of %s in charge: %w", s.old.Base, err)
	}
	s.over = true
	n := box{ID: s.next, Base: s.old.Base, Role: next}
	if err := s.rename(ctx, n, inCharge); err != nil {
		return fmt.Errorf("put the successor of %s in charge: %w", s.old.Base, err)
	}
	s.tell.Log("The new container " + s.old.Base + " is in charge; the old one is told to stop and may take up to " + s.cfg.Grace.String())
	return nil
}

// rename gives b the name that it has in role r.
func (d *Docker) rename(ctx context.Context, b box, r role) error {
	name := b.as(r, time.Now().Add(d.cfg.Grace))
	_, err := d.engine.ContainerRename(ctx, b.ID, client.ContainerRenameOptions{NewName: name})
	if err == nil {
		return nil
	}
	now, inspectErr := d.engine.ContainerInspect(ctx, b.ID, client.ContainerInspectOptions{})
	if inspectErr == nil && strings.TrimPrefix(now.Container.Name, "/") == name {
		return nil // Apply and Tend may both be about it
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
		return nil // it does not run
	}
	return err
}

// remove kills a container and removes it. Its volumes stay: its successor has
// them.
func (d *Docker) remove(ctx context.Context, id string) error {
	_, err := d.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // gone, or on its way
		return nil
	}
	return err
}

// wait waits, or says that ctx is over.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), context.Cause(ctx))
	case <-t.C:
		return nil
	}
}

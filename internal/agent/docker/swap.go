package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"slipway/internal/agent"
	"slipway/internal/slipway"
)

// swap is the replacement of one container.
type swap struct {
	*Docker
	old       box
	tell      agent.Tell
	next      string // id of the new one
	stopFirst bool
	over      bool // the new one is in charge
}

// authOf returns the Engine's credentials for i's registry: i's login, else the
// login of "docker login".
func authOf(i agent.Image) (string, error) {
	ref, err := name.NewDigest(i.Ref)
	if err != nil {
		return "", err
	}
	host := ref.RegistryStr()
	if i.Login != (agent.Login{}) {
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

// Steps reported from several places.
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

// create creates the successor of s.old, without starting it.
func (s *swap) create(ctx context.Context, i agent.Image) error {
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

// start starts the new container, after stopping the old one if both cannot run
// at once. A stopped old container is not held, because a held container is
// started again after a failure.
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

// stopOld stops the old container and waits for the end.
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
		if err := agent.Sleep(ctx, lookAgain); err != nil {
			return err
		}
	}
}

// takeOver puts the new container in charge. The rename of the old container is
// the point of no return.
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

// healthy waits until the new container is.
func (s *swap) healthy(ctx context.Context) error {
	for since := time.Now(); ; {
		now, err := s.engine.ContainerInspect(ctx, s.next, client.ContainerInspectOptions{})
		if err != nil {
			return fmt.Errorf("look at the new container %s: %w", s.old.Base, err)
		}
		ok, why := s.cfg.judge(now.Container, time.Since(since))
		switch {
		case why != "":
			s.lastWords(ctx, now.Container)
			return slipway.Errorf(slipway.Conflict, "The new container %s %s. %s", s.old.Base, why, s.wayBack())
		case ok:
			s.tell.Log("The new container " + s.old.Base + " is healthy")
			return nil
		}
		if err := agent.Sleep(ctx, lookAgain); err != nil {
			return err
		}
	}
}

func (s *swap) wayBack() string {
	switch {
	case !s.old.Running && s.old.Crashed != "":
		return "The old one had crashed before."
	case s.stopFirst:
		return "The old one is started again."
	}
	return "The old one goes on."
}

// lastWords copies the last lines of a container's log to the deploy's log.
func (s *swap) lastWords(ctx context.Context, c container.InspectResponse) {
	r, err := s.engine.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: lastLines})
	if err != nil {
		s.tell.Log("What the new container wrote cannot be read: " + err.Error())
		return
	}
	defer r.Close()
	var text bytes.Buffer
	if c.Config != nil && c.Config.Tty {
		_, err = io.Copy(&text, io.LimitReader(r, lastBytes))
	} else {
		_, err = stdcopy.StdCopy(&text, &text, io.LimitReader(r, lastBytes))
	}
	if err != nil && text.Len() == 0 {
		s.tell.Log("What the new container wrote cannot be read: " + err.Error())
	}
	for line := range strings.Lines(text.String()) {
		s.tell.Log(s.old.Base + " | " + strings.TrimRight(line, "\r\n"))
	}
}

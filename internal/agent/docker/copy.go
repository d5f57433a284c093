package docker

import (
	"maps"
	"path"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
)

// creation configures a new container.
type creation struct {
	config    *container.Config
	host      *container.HostConfig
	first     *network.NetworkingConfig            // nil if host configures the network
	more      map[string]*network.EndpointSettings // connected before the start
	stopFirst bool                                 // must not run beside its predecessor
}

// successor configures the container that replaces c: the settings that people
// made for c, and the rest from image ref. img is the configuration of c's own
// image.
func successor(c container.InspectResponse, img *dockerspec.DockerOCIImageConfig, ref string) creation {
	host := *c.HostConfig
	host.ContainerIDFile = ""
	host.Links = links(host.Links)
	host.Mounts = append(slices.Clone(host.Mounts), unnamed(c)...)
	n := creation{config: configured(c, img), host: &host}
	n.config.Image = ref
	n.first, n.more = networks(c)
	n.stopFirst = c.Config.Labels[labelOrder] == "stop-first" || fixedPorts(host.PortBindings) || fixedAddress(c)
	return n
}

// configured returns c's configuration without the values of its image.
func configured(c container.InspectResponse, img *dockerspec.DockerOCIImageConfig) *container.Config {
	cfg := *c.Config
	cfg.OnBuild, cfg.ArgsEscaped = nil, false
	if cfg.Labels = maps.Clone(cfg.Labels); cfg.Labels == nil {
		cfg.Labels = map[string]string{}
	}
	mode := c.HostConfig.NetworkMode
	if strings.HasPrefix(c.ID, cfg.Hostname) || mode.IsHost() || mode.IsContainer() {
		cfg.Hostname, cfg.Domainname = "", ""
	}
	set, known := settingsOf(&cfg, img)
	if !known {
		delete(cfg.Labels, labelSet) // perhaps the image's
		return &cfg
	}
	set.only(&cfg)
	cfg.Labels[labelSet] = set.String()
	return &cfg
}

// brought reports whether an image's labels say v of k.
func brought(labels map[string]string, k, v string) bool {
	own, ok := labels[k]
	return ok && own == v
}

// links turns the Engine's output "/db:/airflow/db" into the Engine's input
// "db:db".
func links(told []string) (list []string) {
	for _, l := range told {
		from, alias, _ := strings.Cut(l, ":")
		list = append(list, strings.TrimPrefix(from, "/")+":"+path.Base(alias))
	}
	return list
}

// unnamed returns mounts for the anonymous volumes of c.
func unnamed(c container.InspectResponse) (list []mount.Mount) {
	for _, m := range c.Mounts {
		if m.Type != mount.TypeVolume || m.Name == "" || named(c.HostConfig, m.Destination) {
			continue
		}
		list = append(list, mount.Mount{Type: mount.TypeVolume, Source: m.Name, Target: m.Destination, ReadOnly: !m.RW})
	}
	return list
}

func named(host *container.HostConfig, target string) bool {
	for _, b := range host.Binds {
		if parts := strings.Split(b, ":"); len(parts) > 1 && parts[1] == target {
			return true
		}
	}
	return len(host.VolumesFrom) > 0 || slices.ContainsFunc(host.Mounts, func(m mount.Mount) bool { return m.Target == target })
}

// networks returns the networks of c: the first for the creation of the
// successor, the rest to connect later.
func networks(c container.InspectResponse) (first *network.NetworkingConfig, more map[string]*network.EndpointSettings) {
	mode := c.HostConfig.NetworkMode
	if c.NetworkSettings == nil || mode.IsHost() || mode.IsNone() || mode.IsContainer() {
		return nil, nil
	}
	more = map[string]*network.EndpointSettings{}
	for name, e := range c.NetworkSettings.Networks {
		more[name] = endpoint(e, c.ID)
	}
	name := mode.NetworkName()
	if e, ok := more[name]; ok {
		delete(more, name)
		first = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{name: e}}
	}
	return first, more
}

// endpoint returns the configured part of e.
func endpoint(e *network.EndpointSettings, id string) *network.EndpointSettings {
	if e == nil {
		return &network.EndpointSettings{}
	}
	return &network.EndpointSettings{
		IPAMConfig: e.IPAMConfig, Links: links(e.Links), DriverOpts: e.DriverOpts, GwPriority: e.GwPriority,
		Aliases: slices.DeleteFunc(slices.Clone(e.Aliases), func(a string) bool { return strings.HasPrefix(id, a) }),
	}
}

// fixedPorts reports whether a host port is given by number, so that two
// containers cannot share it.
func fixedPorts(ports network.PortMap) bool {
	for _, bindings := range ports {
		for _, b := range bindings {
			if b.HostPort != "" && b.HostPort != "0" {
				return true
			}
		}
	}
	return false
}

// fixedAddress reports whether c has a fixed address in a network.
func fixedAddress(c container.InspectResponse) bool {
	if c.NetworkSettings == nil {
		return false
	}
	for _, e := range c.NetworkSettings.Networks {
		if e != nil && e.IPAMConfig != nil && (e.IPAMConfig.IPv4Address.IsValid() || e.IPAMConfig.IPv6Address.IsValid()) {
			return true
		}
	}
	return false
}

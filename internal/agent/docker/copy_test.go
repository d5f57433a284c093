package docker

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestConfigured(t *testing.T) {
	port := network.MustParsePort("8080/tcp")
	img := &dockerspec.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{
		User: "50000", Env: []string{"PATH=/bin", "AIRFLOW_VERSION=3.0"}, Entrypoint: []string{"/entrypoint"}, Cmd: []string{"bash"},
		WorkingDir: "/opt/airflow", StopSignal: "SIGINT", Labels: map[string]string{"runtime": "3.0-1", "slipway.order": "stop-first"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}}, Volumes: map[string]struct{}{"/logs": {}},
	}, DockerOCIImageConfigExt: dockerspec.DockerOCIImageConfigExt{Healthcheck: &dockerspec.HealthcheckConfig{Test: []string{"CMD", "ok"}}}}
	same := container.Config{
		User: img.User, Env: img.Env, Entrypoint: img.Entrypoint, Cmd: img.Cmd, WorkingDir: img.WorkingDir, StopSignal: img.StopSignal,
		Labels: img.Labels, ExposedPorts: network.PortSet{port: {}}, Volumes: img.Volumes, Healthcheck: img.Healthcheck, Hostname: "0123",
	}
	own := container.Config{
		User: "0", Env: []string{"PATH=/sbin", "AIRFLOW_VERSION=3.0", "X=1"}, Entrypoint: img.Entrypoint, Cmd: []string{"scheduler"}, WorkingDir: "/x",
		StopSignal: "SIGTERM", Labels: map[string]string{"runtime": "mine"}, Hostname: "boss", Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		ExposedPorts: network.PortSet{network.MustParsePort("9/udp"): {}}, Volumes: map[string]struct{}{"/data": {}},
	}
	const people = `["cmd","env PATH","env X","healthcheck","label runtime","port 9/udp","stop-signal","user","volume /data","workdir"]`
	other := own
	other.Entrypoint, other.Cmd = []string{"/mine"}, img.Cmd
	for name, tt := range map[string]struct {
		of   container.Config
		mode container.NetworkMode
		set  string // what is noted of it
		want func(*container.Config)
	}{
		"all of the image": {same, "bridge", `[]`, func(c *container.Config) {
			*c = container.Config{Env: []string{}, Labels: map[string]string{"slipway.order": "stop-first"}, ExposedPorts: network.PortSet{}, Volumes: map[string]struct{}{}}
		}},
		"all of people":     {own, "bridge", people, func(c *container.Config) { c.Entrypoint, c.Env = nil, []string{"PATH=/sbin", "X=1"} }},
		"their own program": {other, "bridge", strings.Replace(people, `"env PATH"`, `"entrypoint","env PATH"`, 1), func(c *container.Config) { c.Env = []string{"PATH=/sbin", "X=1"} }},
		"on the host's network": {own, "host", people, func(c *container.Config) {
			c.Entrypoint, c.Env, c.Hostname = nil, []string{"PATH=/sbin", "X=1"}, ""
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := container.InspectResponse{ID: "0123456789", Config: &tt.of, HostConfig: &container.HostConfig{NetworkMode: tt.mode}}
			want := tt.of
			tt.want(&want)
			want.Labels = maps.Clone(want.Labels)
			want.Labels[labelSet] = tt.set
			if diff := cmp.Diff(&want, configured(c, img), cmp.Comparer(func(a, b network.Port) bool { return a == b })); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSuccessor(t *testing.T) {
	net := func(mode container.NetworkMode, nets map[string]*network.EndpointSettings) container.InspectResponse {
		return container.InspectResponse{
			ID: "0123456789", Config: &container.Config{Labels: map[string]string{}},
			HostConfig: &container.HostConfig{NetworkMode: mode, Links: []string{"/db:/airflow/postgres"}}, NetworkSettings: &container.NetworkSettings{Networks: nets},
		}
	}
	plain := net("none", map[string]*network.EndpointSettings{"none": {}})
	two := net("front", map[string]*network.EndpointSettings{
		"front": {Aliases: []string{"scheduler", "0123456"}, NetworkID: "n1", IPAddress: netip.MustParseAddr("10.0.0.2")}, "back": {Links: []string{"db:db"}},
	})
	fixed := net("front", map[string]*network.EndpointSettings{"front": {IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: netip.MustParseAddr("10.0.0.9")}}})
	published := net("bridge", nil)
	published.HostConfig.PortBindings = network.PortMap{network.MustParsePort("8080/tcp"): {{HostPort: "8080"}}}
	anyPort := net("bridge", nil)
	anyPort.HostConfig.PortBindings = network.PortMap{network.MustParsePort("8080/tcp"): {{HostPort: "0"}}}
	asked := net("host", nil)
	asked.Config.Labels[labelOrder] = "stop-first"
	for name, tt := range map[string]struct {
		of          container.InspectResponse
		first, more []string // names of networks
		stopFirst   bool
	}{
		"no network":      {plain, nil, nil, false},
		"two networks":    {two, []string{"front"}, []string{"back"}, false},
		"a fixed address": {fixed, []string{"front"}, nil, true},
		"a fixed port":    {published, nil, nil, true},
		"any port":        {anyPort, nil, nil, false},
		"by its label":    {asked, nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := successor(tt.of, nil, "team/airflow@sha256:1")
			var first, more []string
			if c.first != nil {
				for n := range c.first.EndpointsConfig {
					first = append(first, n)
				}
			}
			for n := range c.more {
				more = append(more, n)
			}
			if diff := cmp.Diff([][]string{tt.first, tt.more}, [][]string{first, more}); diff != "" || c.stopFirst != tt.stopFirst {
				t.Errorf("networks (-want +got), stop first %v:\n%s", c.stopFirst, diff)
			}
			if c.config.Image != "team/airflow@sha256:1" || len(c.host.Links) != 1 || c.host.Links[0] != "db:postgres" {
				t.Errorf("image %s, links %q", c.config.Image, c.host.Links)
			}
		})
	}
	e := successor(two, nil, "x").first.EndpointsConfig["front"]
	if len(e.Aliases) != 1 || e.Aliases[0] != "scheduler" || e.NetworkID != "" || e.IPAddress.IsValid() {
		t.Errorf("endpoint %+v, want only what somebody configured", e)
	}
}

// What somebody set stays theirs when an image in between says the same.
func TestSettingsOutliveImages(t *testing.T) {
	image := func(user, mode string, labels map[string]string) *dockerspec.DockerOCIImageConfig {
		return &dockerspec.DockerOCIImageConfig{ImageConfig: ocispec.ImageConfig{User: user, Env: []string{"MODE=" + mode, "NEW=" + mode}, Labels: labels}}
	}
	for name, tt := range map[string]struct {
		labels map[string]string // of every image
		user   string            // of the first container
		want   string            // of the last
	}{
		"set by somebody":       {nil, "50000:0", "50000:0"},
		"of the images":         {nil, "0", ""},
		"an image that claims":  {map[string]string{labelSet: `[]`}, "50000:0", "50000:0"},
		"an image that invents": {map[string]string{labelSet: `["user"]`, labelAgent: "x"}, "0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := container.InspectResponse{HostConfig: &container.HostConfig{}, Config: &container.Config{
				User: tt.user, Env: []string{"MODE=same", "NEW=first"}, Labels: maps.Clone(tt.labels),
			}}
			first, same := image("0", "first", tt.labels), image("50000:0", "same", tt.labels)
			if tt.user == "0" {
				same.User = "0"
			}
			for _, img := range []*dockerspec.DockerOCIImageConfig{first, same} {
				next := configured(c, img)
				next.Labels[labelAgent] = "me"
				if next.User != tt.want || !slices.Equal(next.Env, []string{"MODE=same"}) {
					t.Errorf("after %s: user %q, variables %q", img.Env[0], next.User, next.Env)
				}
				c.Config = merged(next, same)
			}
		})
	}
}

// merged returns what the Engine makes of a configuration and its image.
func merged(own *container.Config, img *dockerspec.DockerOCIImageConfig) *container.Config {
	c := *own
	if c.User == "" {
		c.User = img.User
	}
	for _, v := range img.Env {
		if !slices.ContainsFunc(c.Env, func(o string) bool { return variable(o) == variable(v) }) {
			c.Env = append(slices.Clip(c.Env), v)
		}
	}
	return &c
}

func TestUnnamedVolumesStay(t *testing.T) {
	c := container.InspectResponse{
		HostConfig: &container.HostConfig{Binds: []string{"logs:/logs", "/src:/dags:ro"}, Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: "m", Target: "/m"}}},
		Mounts: []container.MountPoint{
			{Type: mount.TypeVolume, Name: "logs", Destination: "/logs", RW: true}, {Type: mount.TypeBind, Destination: "/dags"},
			{Type: mount.TypeVolume, Name: "m", Destination: "/m", RW: true}, {Type: mount.TypeVolume, Name: "ab12", Destination: "/data", RW: true},
		},
	}
	want := []mount.Mount{{Type: mount.TypeVolume, Source: "ab12", Target: "/data"}}
	if diff := cmp.Diff(want, unnamed(c)); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
}

func TestJudge(t *testing.T) {
	cfg := Config{HealthyAfter: 10 * time.Second, HealthyWithin: time.Minute}
	checked := func(s container.HealthStatus, output ...string) *container.State {
		h := &container.Health{Status: s}
		for _, o := range output {
			h.Log = append(h.Log, &container.HealthcheckResult{Output: o})
		}
		return &container.State{Running: true, Health: h}
	}
	up := &container.State{Running: true}
	for name, tt := range map[string]struct {
		state    *container.State
		restarts int
		ran      time.Duration
		ok       bool
		why      string
	}{
		"just started":         {up, 0, 9 * time.Second, false, ""},
		"has run":              {up, 0, 10 * time.Second, true, ""},
		"exited":               {&container.State{ExitCode: 3}, 0, time.Hour, false, "exited with code 3"},
		"restarts":             {&container.State{Running: true, Restarting: true, ExitCode: 1}, 0, time.Hour, false, "exits again and again"},
		"has restarted":        {&container.State{Running: true, ExitCode: 1}, 1, time.Hour, false, "exits again and again"},
		"out of memory":        {&container.State{OOMKilled: true, ExitCode: 137}, 0, 0, false, "ran out of memory"},
		"a task out of memory": {&container.State{Running: true, OOMKilled: true}, 0, 10 * time.Second, true, ""},
		"no check":             {checked(container.NoHealthcheck), 0, 10 * time.Second, true, ""},
		"healthy at once":      {checked(container.Healthy), 0, 0, true, ""},
		"check still starts":   {checked(container.Starting), 0, 59 * time.Second, false, ""},
		"check takes forever":  {checked(container.Starting), 0, time.Minute, false, "did not become healthy within 1m0s"},
		"unhealthy":            {checked(container.Unhealthy, "first", " no\n heartbeat.\n"), 0, 0, false, "is unhealthy: no heartbeat"},
		"unhealthy, silent":    {checked(container.Unhealthy), 0, 0, false, "is unhealthy"},
		"nothing known":        {nil, 0, 0, false, "exited with code 0"},
	} {
		t.Run(name, func(t *testing.T) {
			ok, why := cfg.judge(container.InspectResponse{State: tt.state, RestartCount: tt.restarts}, tt.ran)
			if ok != tt.ok || why != tt.why {
				t.Errorf("%v, %q; want %v, %q", ok, why, tt.ok, tt.why)
			}
		})
	}
}

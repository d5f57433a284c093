package docker

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// settings name the values that people gave a container beyond its image:
// "user", "env PATH". Successors carry the names in a label, because a later
// image may happen to have the same value.
type settings map[string]bool

// settingsOf returns the settings of the first predecessor of c. img is the
// configuration of c's image, or nil for a removed image, whose settings may be
// unknown.
func settingsOf(c *container.Config, img *dockerspec.DockerOCIImageConfig) (set settings, known bool) {
	var labels map[string]string
	if img != nil {
		labels = img.Labels
	}
	ours := c.Labels[labelAgent] != "" && !brought(labels, labelAgent, c.Labels[labelAgent])
	if text, ok := c.Labels[labelSet]; ok && ours && !brought(labels, labelSet, text) {
		if set, ok = readSettings(text); ok {
			return set, true
		}
	}
	if img == nil {
		return nil, false
	}
	return beyond(c, img), true
}

func readSettings(text string) (settings, bool) {
	var names []string
	if err := json.Unmarshal([]byte(text), &names); err != nil {
		return nil, false // not written by us
	}
	set := settings{}
	for _, n := range names {
		set[n] = true
	}
	return set, true
}

// String returns the label's text.
func (set settings) String() string {
	names := slices.AppendSeq([]string{}, maps.Keys(set))
	slices.Sort(names)
	text, _ := json.Marshal(names) // strings always can be
	return string(text)
}

// Names of settings, and prefixes of names.
const (
	setUser, setDir, setSignal, setHealth = "user", "workdir", "stop-signal", "healthcheck"
	setEntrypoint, setCmd, setShell       = "entrypoint", "cmd", "shell"
	setEnv, setLabel, setPort, setVolume  = "env ", "label ", "port ", "volume "
)

// beyond returns the settings of c that differ from img.
func beyond(c *container.Config, img *dockerspec.DockerOCIImageConfig) settings {
	set := settings{}
	note := func(name string, own bool) {
		if own {
			set[name] = true
		}
	}
	note(setUser, c.User != img.User)
	note(setDir, c.WorkingDir != img.WorkingDir)
	note(setSignal, c.StopSignal != img.StopSignal)
	note(setHealth, !reflect.DeepEqual(c.Healthcheck, img.Healthcheck))
	note(setEntrypoint, !slices.Equal(c.Entrypoint, img.Entrypoint))
	note(setCmd, set[setEntrypoint] || !slices.Equal(c.Cmd, img.Cmd))
	note(setShell, !slices.Equal(c.Shell, img.Shell))
	for _, v := range c.Env {
		note(setEnv+variable(v), !slices.Contains(img.Env, v))
	}
	for k, v := range c.Labels {
		note(setLabel+k, !strings.HasPrefix(k, ourLabels) && !brought(img.Labels, k, v))
	}
	for p := range c.ExposedPorts {
		_, ok := img.ExposedPorts[p.String()]
		note(setPort+p.String(), !ok)
	}
	for v := range c.Volumes {
		_, ok := img.Volumes[v]
		note(setVolume+v, !ok)
	}
	return set
}

// only removes all values from cfg but those named in set, and agents' labels.
func (set settings) only(cfg *container.Config) {
	for name, field := range map[string]*string{setUser: &cfg.User, setDir: &cfg.WorkingDir, setSignal: &cfg.StopSignal} {
		if !set[name] {
			*field = ""
		}
	}
	for name, field := range map[string]*[]string{setEntrypoint: &cfg.Entrypoint, setCmd: &cfg.Cmd, setShell: &cfg.Shell} {
		if !set[name] {
			*field = nil
		}
	}
	if !set[setHealth] {
		cfg.Healthcheck = nil
	}
	cfg.Env = slices.DeleteFunc(slices.Clone(cfg.Env), func(v string) bool { return !set[setEnv+variable(v)] })
	maps.DeleteFunc(cfg.Labels, func(k, _ string) bool { return !strings.HasPrefix(k, ourLabels) && !set[setLabel+k] })
	cfg.ExposedPorts = maps.Clone(cfg.ExposedPorts)
	maps.DeleteFunc(cfg.ExposedPorts, func(p network.Port, _ struct{}) bool { return !set[setPort+p.String()] })
	cfg.Volumes = maps.Clone(cfg.Volumes)
	maps.DeleteFunc(cfg.Volumes, func(v string, _ struct{}) bool { return !set[setVolume+v] })
}

// variable returns the name in "NAME=value".
func variable(v string) string {
	name, _, _ := strings.Cut(v, "=")
	return name
}

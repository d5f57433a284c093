package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/e2e/program"
)

func TestAgentImagesFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(file, []byte("apply-commands:\n  compose: [docker, compose, up]\n  other: [make]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := []string{"agent", "--portal", "http://127.0.0.1:1", "--component", "a", "--token", "t"}
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"nothing to do":     {nil, "name the folder to mount DAGs in with --dags"},
		"once needs DAGs":   {[]string{"--images", "docker", "--once"}, "name the folder to mount DAGs in with --dags"},
		"unknown driver":    {[]string{"--images", "podman"}, `--images must be docker or exec:NAME, not "podman"`},
		"unknown command":   {[]string{"--config", file, "--images", "exec:apply"}, `--images names the command "apply", and the configuration has only compose, other; list it under apply-commands`},
		"no commands":       {[]string{"--images", "exec:apply"}, "the configuration has no commands"},
		"long grace":        {[]string{"--images", "docker", "--grace", "25h"}, "--grace must be between 0s and 24h"},
		"no time to apply":  {[]string{"--images", "docker", "--apply-timeout", "0s"}, "must be more than nothing"},
		"commands of words": {[]string{"--apply-commands", "compose", "--images", "exec:compose"}, "commands are lists of words by name"},
		"without a program": {[]string{"--apply-commands", `{"compose":[]}`, "--images", "exec:compose"}, `the command "compose" names no program`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := call(t, "", append(base, tt.args...)...)
			wantError(t, err, tt.says)
		})
	}
}

// An agent that mounts nothing says how its images do.
func TestAgentServesHealthOfImages(t *testing.T) {
	e := program.NewRemoteAgents(t)
	e.Start(t)
	p := program.Launch(t, e.Dir, "env", "SLIPWAY_TOKEN="+e.AgentToken, e.Program, "agent", "--portal", e.ProxyURL, "--component", "worker-0",
		"--apply-commands", `{"none":["true"]}`, "--images", "exec:none", "--health", "127.0.0.1:0")
	program.Until(t, "it serves its health", func() bool { return healthLine.MatchString(p.Output.String()) })
	health := healthLine.FindStringSubmatch(p.Output.String())[1]
	program.Until(t, "it is ready", func() bool { return fetched(t, health+"/readyz") == "ready\n" })
	metrics := fetched(t, health+"/metrics")
	for _, want := range []string{"slipway_agent_image_behind 0", "slipway_agent_image_error 0", "slipway_agent_portal_seconds "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s:\n%s", want, metrics)
		}
	}
	if strings.Contains(metrics, "slipway_agent_behind") {
		t.Error("it tells of a mount that it does not have")
	}
}

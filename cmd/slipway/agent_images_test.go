package main

import (
	"os"
	"path/filepath"
	"testing"
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

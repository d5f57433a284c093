package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Files in the data folder that only the demo knows.
const (
	agentsToken = "agents.token"
	configFile  = "demo.yaml"
)

// components are the parts of Airflow that agents speak for.
var components = []string{"dag-processor-0", "scheduler-0", "worker-heavy-memory-optimised-2"}

// configure leaves in dir what serve needs.
func configure(dir, agents string) error {
	config, err := json.Marshal(map[string]any{ // JSON is YAML
		"apply-commands": map[string][]string{applyCommand: {"/bin/sh", "-c", applyScript}},
	})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, configFile), config, 0o600),
		os.WriteFile(filepath.Join(dir, agentsToken), []byte(agents), 0o600),
	)
}

// serve runs the portal of dir, and agents with folders beside dir, until ctx
// ends or the portal does.
func serve(ctx context.Context, binary, dir, listen string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{}, len(components))
	for _, c := range components {
		folder := filepath.Join(dir+".agents", c)
		if err := os.MkdirAll(folder, 0o755); err != nil { // Airflow's user reads the mount below
			return err
		}
		agent := command(ctx, binary, "agent", "--portal", "http://"+listen, "--component", c, "--dags", folder, "--token-file", filepath.Join(dir, agentsToken))
		go func() {
			_ = agent.Run() // it was told to end, or had no portal
			ended <- struct{}{}
		}()
	}
	portal := command(ctx, binary, "serve", "--data", dir, "--config", filepath.Join(dir, configFile), "--listen", listen)
	portal.Stdout, portal.Stderr = os.Stdout, os.Stderr
	err := portal.Run()
	if ctx.Err() != nil {
		err = nil // somebody ended the demo
	}
	stop()
	for range components {
		<-ended
	}
	return err
}

// command is a program that an interrupt ends.
func command(ctx context.Context, binary string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, binary, args...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	return c
}

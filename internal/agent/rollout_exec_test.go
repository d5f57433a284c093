package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway/internal/agent/agenttest"
	"slipway/internal/slipway"
)

const aDigest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// command returns an Exec of a real script.
func command(t *testing.T, script string) (*Exec, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "apply")
	if err := os.WriteFile(file, []byte("#!/bin/sh\nset -eu\ncd '"+dir+"'\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return &Exec{Name: "compose", Argv: []string{file, "up", "$(touch shell)"}, Timeout: time.Minute, EnvFile: filepath.Join(dir, "image.env")}, dir
}

func TestExecRunsTheCommand(t *testing.T) {
	t.Setenv("SLIPWAY_TOKEN", "secret")
	e, dir := command(t, `
echo "$AIRFLOW_IMAGE $RUNTIME_VERSION $SLIPWAY_DEPLOYMENT $SLIPWAY_COMPONENT" > vars
cat image.env > during
echo "args: $*"; echo "token: ${SLIPWAY_TOKEN:-none}" >&2; printf 'no end'`)
	at, i := Place{"cm1", "scheduler"}, Image{Ref: "registry.example/a@" + aDigest, Runtime: "3.1-4"}
	if now, err := e.Running(t.Context(), at, i); err != nil || now != (Running{Parts: 1}) {
		t.Errorf("before: %+v, %v", now, err)
	}
	var log agenttest.Record
	if err := e.Apply(t.Context(), at, i, tell(&log)); err != nil {
		t.Fatal(err)
	}
	vars := "AIRFLOW_IMAGE=registry.example/a@" + aDigest + "\nRUNTIME_VERSION=3.1-4\n"
	for file, want := range map[string]string{
		"vars":      "registry.example/a@" + aDigest + " 3.1-4 cm1 scheduler\n",
		"during":    "# being applied\n" + vars,
		"image.env": vars,
	} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", file, got, err, want)
		}
	}
	if want := "args: up $(touch shell)\ntoken: none\nno end"; !strings.HasSuffix(log.Text(), want) {
		t.Errorf("log %q, want it to end in %q", log.Text(), want)
	}
	if _, err := os.Stat(filepath.Join(dir, "shell")); err == nil {
		t.Error("a shell read the arguments")
	}
	again := &Exec{EnvFile: e.EnvFile} // after a restart
	if now, err := again.Running(t.Context(), at, i); err != nil || now != (Running{Parts: 1, Image: aDigest}) {
		t.Errorf("afterwards: %+v, %v", now, err)
	}
}

func TestExecFails(t *testing.T) {
	for name, tt := range map[string]struct {
		script  string
		timeout time.Duration
		want    string
	}{
		"by its exit":      {"echo no such service; exit 4", time.Minute, "The command compose failed: exit status 4. What it wrote is in the deploy's log."},
		"takes too long":   {"echo no such service; sleep 600 & echo $! > child; wait", 500 * time.Millisecond, "The command compose did not end within 500ms and was stopped."},
		"ignores the stop": {"echo no such service; trap '' TERM; (trap '' TERM; sleep 600) & echo $! > child; wait", 500 * time.Millisecond, "The command compose did not end within 500ms and was stopped."},
	} {
		t.Run(name, func(t *testing.T) {
			e, dir := command(t, tt.script)
			e.Timeout = tt.timeout
			var log agenttest.Record
			err := e.Apply(t.Context(), Place{}, Image{Ref: "a@" + aDigest}, tell(&log))
			if _, text := slipway.Explain(err); text != tt.want {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if !strings.HasSuffix(log.Text(), "no such service") {
				t.Errorf("log %q", log.Text())
			}
			if now, err := e.Running(t.Context(), Place{}, Image{}); err != nil || now.Image != "" {
				t.Errorf("running %+v, %v; want that nobody knows", now, err)
			}
			agenttest.Eventually(t, "no process is left", func() bool { return !alive(t, filepath.Join(dir, "child")) })
		})
	}
}

// alive reports whether the process runs whose id is in file.
func alive(t *testing.T, file string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return false // it starts none
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return syscall.Kill(pid, 0) == nil && err == nil && !strings.Contains(string(state), ") Z ")
}

func TestExecIsCalledOff(t *testing.T) {
	e, dir := command(t, "trap 'touch cleared; exit 1' TERM; sleep 600 & echo $! > child; echo started; wait")
	ctx, cancel := context.WithCancel(t.Context())
	tell := Tell{Step: func(string, int64, int64) {}, Log: func(line string) {
		if line == "started" {
			cancel()
		}
	}}
	if err := e.Apply(ctx, Place{}, Image{Ref: "a@" + aDigest}, tell); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "cleared")); err != nil {
		t.Errorf("it could not clear up: %v", err)
	}
	agenttest.Eventually(t, "no process is left", func() bool { return !alive(t, filepath.Join(dir, "child")) })
}

func TestExecWithoutAFile(t *testing.T) {
	e := &Exec{Name: "true", Argv: []string{"true"}, Timeout: time.Minute}
	var log agenttest.Record
	if err := e.Apply(t.Context(), Place{}, Image{Ref: "a@" + aDigest}, tell(&log)); err != nil {
		t.Fatal(err)
	}
	if now, err := e.Running(t.Context(), Place{}, Image{}); err != nil || now.Image != aDigest {
		t.Errorf("running %+v, %v", now, err)
	}
	e.Argv = []string{"/no/such/program"}
	err := e.Apply(t.Context(), Place{}, Image{Ref: "b@" + aDigest}, tell(&log))
	if _, text := slipway.Explain(err); !strings.HasPrefix(text, "The command true failed: ") || !strings.Contains(text, "/no/such/program") {
		t.Errorf("%v", err)
	}
}

func tell(r *agenttest.Record) Tell { return Tell{Step: r.Step, Log: r.Log} }

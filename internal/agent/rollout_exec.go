package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// Exec applies images by a command of the configuration, without a shell.
type Exec struct {
	Name    string   // of the command, for people
	Argv    []string // the program and its arguments
	Timeout time.Duration
	EnvFile string // records the variables and the applied image; without a file ("") the command runs at each start

	applied string // image reference, used without an EnvFile
}

// Variables of the command and the file.
const (
	varImage   = "AIRFLOW_IMAGE"
	varRuntime = "RUNTIME_VERSION"
)

// beingApplied is the file's first line until the command has succeeded.
const beingApplied = "# being applied\n"

// killAfter is the time between SIGTERM and SIGKILL.
const killAfter = 10 * time.Second

// Apply runs the command. After a failure the running image is unknown.
func (e *Exec) Apply(ctx context.Context, at Place, i Image, tell Tell) error {
	vars := []string{varImage + "=" + i.Ref, varRuntime + "=" + i.Runtime}
	if err := e.note(beingApplied, vars); err != nil {
		return err
	}
	e.applied = ""
	tell.Step("running "+e.Name, 0, 0)
	tell.Log("Running " + e.Name + ".") // the arguments may hold secrets
	if err := e.run(ctx, append(vars, "SLIPWAY_DEPLOYMENT="+string(at.Deployment), "SLIPWAY_COMPONENT="+at.Component), tell); err != nil {
		return err
	}
	e.applied = i.Ref
	return e.note("", vars)
}

// run runs the command to the end. When parent is done or the timeout is over,
// the command's process group gets SIGTERM, and SIGKILL after killAfter.
func (e *Exec) run(parent context.Context, vars []string, tell Tell) error {
	ctx, cancel := context.WithTimeout(parent, e.Timeout)
	defer cancel()
	out := &lines{to: tell.Log}
	cmd := exec.CommandContext(ctx, e.Argv[0], e.Argv[1:]...)
	cmd.Env = append(withoutToken(os.Environ()), vars...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	err := cmd.Run()
	out.end()
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // no process of the group may be left
	}
	switch {
	case parent.Err() != nil:
		return parent.Err()
	case ctx.Err() != nil:
		return slipway.Errorf(slipway.Conflict, "The command %s did not end within %s and was stopped.", e.Name, e.Timeout)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay): // a background process has the output open, and may go on
		return slipway.Errorf(slipway.Conflict, "The command %s failed: %s. What it wrote is in the deploy's log.", e.Name, strings.TrimSuffix(err.Error(), "."))
	}
	return nil
}

// withoutToken returns env without Slipway's own variables, as the token is one.
func withoutToken(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "SLIPWAY_") })
}

// note writes the file with vars below a first line, whole or not at all.
func (e *Exec) note(first string, vars []string) error {
	if e.EnvFile == "" {
		return nil
	}
	err := durable.WriteFile(e.EnvFile, 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, first+strings.Join(vars, "\n")+"\n")
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", e.EnvFile, err)
	}
	return nil
}

// Running returns the image that the command applied last.
func (e *Exec) Running(context.Context, Place, Image) (Running, error) {
	r := Running{Parts: 1}
	ref := e.applied
	if e.EnvFile != "" {
		text, err := os.ReadFile(e.EnvFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
		ref = appliedIn(string(text))
	}
	_, r.Image, _ = strings.Cut(ref, "@")
	return r, nil
}

// appliedIn returns the image reference in the text of an EnvFile; "" while the
// command has not succeeded.
func appliedIn(text string) string {
	if strings.HasPrefix(text, beingApplied) {
		return ""
	}
	for line := range strings.Lines(text) {
		if ref, ok := strings.CutPrefix(strings.TrimSpace(line), varImage+"="); ok {
			return ref
		}
	}
	return ""
}

// Tend does nothing: Apply leaves no work for later.
func (e *Exec) Tend(context.Context, Place) error { return nil }

// lines splits the written bytes into lines, for to.
type lines struct {
	to   func(string)
	rest []byte
}

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if l.rest = append(l.rest, line[:min(len(line), maxLine)]...); whole || len(l.rest) > maxLine {
			l.end()
		}
		rest = after
	}
	return len(p), nil
}

// end passes on the line collected in rest, if any.
func (l *lines) end() {
	if len(l.rest) > 0 {
		l.to(strings.ToValidUTF8(strings.TrimRight(string(l.rest), "\r"), "�"))
	}
	l.rest = nil
}

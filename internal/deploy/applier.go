package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// imageEnvName is the file beside a mount with the name of the image to run, in
// the format of compose and shell variables.
const imageEnvName = "image.env"

// graceForKill is the time for an apply command to end after SIGTERM.
const graceForKill = 5 * time.Second

// applier applies images on the portal's own machine.
type applier struct {
	*base
	images *images
}

// ApplyNames returns the names of the configured apply commands.
func (a *applier) ApplyNames() []string {
	var names []string
	for name := range a.cfg.ApplyCommands {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// SetApplyCommand sets the apply command of a Deployment on the portal's
// machine; "" for none. Only an Organization admin may set one.
func (a *applier) SetApplyCommand(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, name string) error {
	err := a.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		if err := role.May(slipway.SetApplyCommands); err != nil {
			return err
		}
		switch _, known := a.cfg.ApplyCommands[name]; {
		case !d.Local:
			return slipway.Errorf(slipway.Conflict, "This Deployment is not on this machine: agents apply its images.")
		case name != "" && !known:
			return noCommand(name)
		}
		d.Updater = by.Title()
		if err := tx.SetApplyCommand(d, name); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "deployment.apply-command", Target: d.Name, Detail: name})
	})
	if err == nil {
		a.watchers.notify(of)
	}
	return err
}

func noCommand(name string) error {
	return slipway.Errorf(slipway.Invalid, "The configuration of the portal has no apply command %q. Ask the administrator, or choose another one.", name)
}

// applyLocal applies the image of a state of d on the portal's machine: writes
// image.env and runs the apply command. Repeating applyLocal is harmless.
func (a *applier) applyLocal(ctx context.Context, d slipway.Deployment, w slipway.Deploy, s slipway.State) (note string, err error) {
	out := a.openLog(ctx, w)
	defer func() { err = errors.Join(err, out.Close()) }()
	env := a.imageEnv(s)
	if err := a.writeImageEnv(d, env); err != nil {
		return "", unavailable(fmt.Errorf("write %s: %w", imageEnvName, err))
	}
	if s.Image == "" {
		out.note("No image was known before: " + imageEnvName + " is removed.")
		return "", nil
	}
	out.note(imageEnvName + " says " + env[0] + ".")
	if d.ApplyCommand == "" {
		const text = "No apply command is set for this Deployment: restart Airflow to run the image."
		out.note(text)
		return text, nil
	}
	return "", a.apply(ctx, d, env, out)
}

// imageEnv returns the lines of image.env for a state.
func (a *applier) imageEnv(s slipway.State) []string {
	return []string{"AIRFLOW_IMAGE=" + a.images.PullRef(s), "RUNTIME_VERSION=" + s.Runtime}
}

func (a *applier) writeImageEnv(d slipway.Deployment, env []string) error {
	for _, line := range env { // a text from the image must not make a second line
		if strings.ContainsFunc(line, unicode.IsControl) {
			return slipway.Errorf(slipway.Invalid, "%s cannot hold %q.", imageEnvName, line)
		}
	}
	dir := a.MountDir(d)
	if err := durable.MakeFolders(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, imageEnvName)
	if strings.HasSuffix(env[0], "@") {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return durable.SyncPath(dir)
	}
	return durable.WriteFile(name, 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(env, "\n")+"\n")
		return err
	})
}

// apply runs the apply command of d, and waits for the end.
func (a *applier) apply(ctx context.Context, d slipway.Deployment, env []string, out *deployLog) error {
	argv := a.cfg.ApplyCommands[d.ApplyCommand]
	if len(argv) == 0 {
		return noCommand(d.ApplyCommand)
	}
	out.note("Running the apply command " + d.ApplyCommand + ".")
	late, cancel := context.WithTimeout(ctx, a.cfg.ApplyTimeout)
	defer cancel()
	cmd := exec.CommandContext(late, argv[0], argv[1:]...)
	cmd.Env = append(ownEnv(), append(env, "SLIPWAY_MOUNT="+a.MountDir(d), "SLIPWAY_NAMESPACE="+d.Namespace)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = graceForKill
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // the command has succeeded, and a child still holds the output
		err = nil
	}
	if err != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the rest of the process group; usually nothing
	}
	switch {
	case err == nil:
		out.note("The apply command has ended well.")
		return nil
	case ctx.Err() != nil:
		out.note("The portal stops. It runs the apply command again when it is back.")
		return ctx.Err()
	case late.Err() != nil:
		err = slipway.Errorf(slipway.Conflict, "The apply command %s did not end within %s, and was stopped.%s", d.ApplyCommand, a.cfg.ApplyTimeout, out.lastLine())
	default:
		err = slipway.Errorf(slipway.Conflict, "The apply command %s failed: %s.%s", d.ApplyCommand, err, out.lastLine())
	}
	out.note(err.Error())
	return err
}

// ownEnv returns the portal's environment without the SLIPWAY_ variables, which
// may hold secrets.
func ownEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SLIPWAY_") })
}

// Log returns lines of a deploy's rollout after the line with the number after;
// 0 for the first.
func (a *applier) Log(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, after int) (lines []store.LogLine, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		if _, _, err := tx.Deployment(of, by); err != nil {
			return err
		}
		w, err := tx.Deploy(of, number)
		if err != nil {
			return err
		}
		lines, err = tx.Log(w.ID, after, logPage)
		return err
	})
	return lines, err
}

func (a *applier) openLog(ctx context.Context, w slipway.Deploy) *deployLog {
	l := &deployLog{base: a.base, ctx: context.WithoutCancel(ctx), w: w, stop: make(chan struct{}), done: make(chan struct{})}
	go l.keep()
	return l
}

// Package dockertest starts a separate Docker Engine for a test, and makes
// small images.
package dockertest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Engine is a Docker Engine for one test.
type Engine struct {
	Host string // "unix:///…", for DOCKER_HOST

	dir string
	log string // file
	cmd *exec.Cmd
}

const (
	startWithin = time.Minute
	stopWithin  = 30 * time.Second
)

// Start runs dockerd with a separate data folder. Containers have only the
// networks "none" and "host"; registries on 127.0.0.1 need no TLS. Where
// dockerd cannot run, the test is skipped with a conspicuous message.
func Start(t testing.TB) *Engine {
	t.Helper()
	daemon, err := exec.LookPath("dockerd")
	if err != nil || os.Getuid() != 0 {
		t.Skip("THIS TEST DID NOT RUN: it needs a Docker Engine. Install Debian's docker.io (make test does) and run as root.")
	}
	dir, err := os.MkdirTemp("", "dk") // short, for the paths of sockets
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{Host: "unix://" + dir + "/d.sock", dir: dir, log: dir + "/log"}
	e.start(t, daemon)
	t.Cleanup(func() { e.stop(t) })
	e.waitReady(t)
	return e
}

// LetIn has a group use the Engine, as Docker's own group does elsewhere.
func (e *Engine) LetIn(t testing.TB, gid int) {
	t.Helper()
	socket := strings.TrimPrefix(e.Host, "unix://")
	if err := errors.Join(os.Chmod(e.dir, 0o711), os.Chown(socket, -1, gid), os.Chmod(socket, 0o660)); err != nil { //nolint:gosec // others pass through to the socket
		t.Fatal(err)
	}
}

func (e *Engine) start(t testing.TB, daemon string) {
	t.Helper()
	log, err := os.Create(e.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	e.cmd = exec.Command(daemon, "--host", e.Host, "--data-root", e.dir+"/data", "--exec-root", e.dir+"/exec", "--pidfile", e.dir+"/pid",
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false", "--ip-masq=false", "--storage-driver=overlay2")
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is ours to handle
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (e *Engine) waitReady(t testing.TB) {
	t.Helper()
	for late := time.Now().Add(startWithin); ; time.Sleep(50 * time.Millisecond) {
		out, err := e.docker(t.Context(), "version", "--format", "{{.Server.Version}}").CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(late) {
			text, _ := os.ReadFile(e.log)
			t.Fatalf("dockerd is not ready: %v\n%s\n%s", err, out, text)
		}
	}
}

// stop removes all containers, ends the Engine and removes the folder.
func (e *Engine) stop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if all, err := e.docker(ctx, "ps", "--all", "--quiet").Output(); err == nil && len(all) > 0 {
		if out, err := e.docker(ctx, append([]string{"rm", "--force"}, strings.Fields(string(all))...)...).CombinedOutput(); err != nil {
			t.Errorf("remove containers: %v\n%s", err, out)
		}
	}
	kill := time.AfterFunc(stopWithin, func() { _ = e.cmd.Process.Kill() }) // may have ended already
	defer kill.Stop()
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	if err := e.cmd.Wait(); err != nil {
		t.Logf("dockerd: %v", err)
	}
	for _, at := range mountsBelow(e.dir) {
		_ = syscall.Unmount(at, syscall.MNT_DETACH) // after a failure the folder stays, and the error below says why
	}
	if err := os.RemoveAll(e.dir); err != nil {
		t.Errorf("remove the Engine's folder: %v", err)
	}
}

// mountsBelow returns the mount points below dir, the deepest first.
func mountsBelow(dir string) (list []string) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			list = append(list, f[4])
		}
	}
	slices.Sort(list)
	slices.Reverse(list)
	return list
}

func (e *Engine) docker(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.Host, "DOCKER_CONFIG="+filepath.Join(e.dir, "config"))
	return cmd
}

// Try runs the docker client with input and returns the output.
func (e *Engine) Try(t testing.TB, input string, args ...string) (string, error) {
	t.Helper()
	cmd := e.docker(t.Context(), args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Docker runs the docker client and returns the output. A failure ends the
// test.
func (e *Engine) Docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := e.Try(t, "", args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

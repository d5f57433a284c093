// Package program builds and runs the shipped binary for tests: a portal with
// people of storetest, an installation as the astro CLI finds one, agents on
// other machines. Tests drive these by HTTP, signals and the command line alone.
package program

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// command is the package of the binary.
const command = "slipway/cmd/slipway"

// builds holds a function for each binary by name, so that a test run builds a
// binary once.
var builds sync.Map

// Build builds the binary into the project's cache under name, with flags of go
// build, and returns the path. The caller's package lies two folders below the
// project's.
func Build(t testing.TB, name string, flags ...string) string {
	t.Helper()
	build := sync.OnceValues(func() (string, error) {
		path, err := filepath.Abs(filepath.Join("..", "..", ".cache", "crash", name))
		if err != nil {
			return "", err
		}
		fresh := fmt.Sprintf("%s-%d", path, os.Getpid()) // another test process may run the binary at path
		args := append(append([]string{"build", "-o", fresh}, flags...), command)
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return "", errors.New(string(out))
		}
		return path, os.Rename(fresh, path)
	})
	once, _ := builds.LoadOrStore(name, build)
	path, err := once.(func() (string, error))()
	if err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	return path
}

// Run runs the binary with args to the end, with in as standard input. Output is
// standard output; the error holds standard error.
func Run(t testing.TB, in string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Build(t, "slipway"), args...)
	cmd.Stdin = strings.NewReader(in)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("slipway %s: %w: %s", args[0], err, errOut.String())
	}
	return out.String(), err
}

// Output is a buffer for the output of a process, read while the process writes.
type Output struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write appends p.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns everything written until now.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Process is a running command line, in a process group of its own.
type Process struct {
	cmd    *exec.Cmd
	Output Output        // standard output and standard error
	Ended  chan struct{} // closed at the end
	Err    error         // of the end; read after Ended
}

// Launch starts a command line with dir as the folder of temporary files. The end
// of the test kills the process.
func Launch(t testing.TB, dir string, argv ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(argv[0], argv[1:]...), Ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.Output, &p.Output
	p.cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.Err = p.cmd.Wait()
		close(p.Ended)
	}()
	t.Cleanup(p.Kill)
	return p
}

// ServeArgs is the command line of a portal on a data folder and a free port.
func ServeArgs(program, data string, more ...string) []string {
	return append([]string{program, "serve", "--data", data, "--listen", "127.0.0.1:0"}, more...)
}

// pid returns the number of the process.
func (p *Process) pid() int { return p.cmd.Process.Pid }

// Kill ends the process group with SIGKILL, and waits for the end.
func (p *Process) Kill() {
	select {
	case <-p.Ended:
	default:
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL) // an end in this moment is no error
		<-p.Ended
	}
}

// Terminate sends SIGTERM, and waits up to 20 seconds for the end.
func (p *Process) Terminate(t testing.TB) {
	t.Helper()
	p.TerminateWithin(t, 20*time.Second)
}

// TerminateWithin is Terminate with another limit.
func (p *Process) TerminateWithin(t testing.TB, limit time.Duration) {
	t.Helper()
	if err := syscall.Kill(p.pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Ended:
	case <-time.After(limit):
		t.Fatalf("the process does not stop:\n%s", p.Tail())
	}
}

// ReadyLine is the line of a portal that is ready, with the address.
var ReadyLine = regexp.MustCompile(`Slipway \S+ is ready on (https?://\S+)\n`)

// Ready waits for the ready line of a portal, and returns the address: "" after
// the end of the process, or after 30 seconds.
func (p *Process) Ready() string {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if m := ReadyLine.FindStringSubmatch(p.Output.String()); m != nil {
			return m[1]
		}
		select {
		case <-p.Ended:
			return ""
		default:
		}
	}
	return ""
}

// MustBeReady is Ready; without an address, the test fails.
func (p *Process) MustBeReady(t testing.TB) string {
	t.Helper()
	base := p.Ready()
	if base == "" {
		t.Fatalf("the portal is not ready:\n%s", p.Tail())
	}
	return base
}

// Tail returns the last 60 lines of output.
func (p *Process) Tail() string {
	lines := strings.Split(p.Output.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// logIfFailed logs the end of a portal's output after a failed test.
func (p *Process) logIfFailed(t *testing.T) {
	t.Helper()
	if t.Failed() {
		t.Logf("the portal said:\n%s", p.Tail())
	}
}

// Until waits up to 30 seconds for a condition, described by text.
func Until(t testing.TB, text string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", text)
		}
	}
}

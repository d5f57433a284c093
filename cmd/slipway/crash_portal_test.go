package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// builds are the programs under test, by their name: each is built once.
var builds sync.Map

// built returns the path of a program that build makes, kept in the project's
// cache.
func built(t testing.TB, name string, flags ...string) string {
	t.Helper()
	build := sync.OnceValues(func() (string, error) {
		path, err := filepath.Abs(filepath.Join("..", "..", ".cache", "crash", name))
		if err != nil {
			return "", err
		}
		fresh := fmt.Sprintf("%s-%d", path, os.Getpid()) // others may run the one that is there
		args := append(append([]string{"build", "-o", fresh}, flags...), ".")
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

// process is a slipway serve of its own, that can be killed.
type process struct {
	cmd   *exec.Cmd
	out   output
	ended chan struct{}
	err   error // of its end; read it once ended is closed
}

// launch starts a command line. It is killed when the test ends.
func launch(t testing.TB, dir string, argv ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// serveArgs is the command line that serves a data folder on a free port.
func serveArgs(program, data string, more ...string) []string {
	return append([]string{program, "serve", "--data", data, "--listen", "127.0.0.1:0"}, more...)
}

// kill ends the process, with what it started, at once.
func (p *process) kill() {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may end by itself just now
		<-p.ended
	}
}

// ready waits until the portal says where it is. It returns "" if the process
// ended or took too long.
func (p *process) ready() string {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if m := readyLine.FindStringSubmatch(p.out.String()); m != nil {
			return m[1]
		}
		select {
		case <-p.ended:
			return ""
		default:
		}
	}
	return ""
}

// mustBeReady is ready, or the end of the test.
func (p *process) mustBeReady(t testing.TB) string {
	t.Helper()
	base := p.ready()
	if base == "" {
		t.Fatalf("the portal is not ready:\n%s", p.tail())
	}
	return base
}

// tail returns the last lines that it said.
func (p *process) tail() string {
	lines := strings.Split(p.out.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

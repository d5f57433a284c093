package agent

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/agent/agenttest"
	"slipway/internal/durable"
	"slipway/internal/slipway"
)

// configFor is a configuration of an agent on p.
func configFor(dir string, p Portal) Config {
	return Config{Dir: dir, Component: "worker-0", Portal: p, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// deleteTree removes the folder at path as a person does who has the right to,
// in one step, so that an agent that heals cannot write into it meanwhile.
func deleteTree(t *testing.T, path string) {
	t.Helper()
	gone := filepath.Join(t.TempDir(), "gone")
	if err := errors.Join(os.Chmod(path, 0o700), os.Rename(path, gone), durable.RemoveTree(gone)); err != nil {
		t.Fatal(err)
	}
}

func TestHealsWhatWasDeletedByHand(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir string){
		"the version":                func(t *testing.T, dir string) { deleteTree(t, filepath.Join(dir, "versions", one.Dir())) },
		"the link":                   func(t *testing.T, dir string) { deleteOne(t, filepath.Join(dir, "current")) },
		"the link, turned elsewhere": func(t *testing.T, dir string) { relink(t, filepath.Join(dir, "current"), "versions/nothing") },
		"the record":                 func(t *testing.T, dir string) { deleteOne(t, filepath.Join(dir, "versions", one.Dir()+".json")) },
		"all of it":                  func(t *testing.T, dir string) { deleteAllIn(t, dir) },
		"all versions":               func(t *testing.T, dir string) { deleteTree(t, filepath.Join(dir, "versions")) },
		"in-use":                     func(t *testing.T, dir string) { deleteOne(t, filepath.Join(dir, "in-use")) },
		"the version and its record": func(t *testing.T, dir string) {
			deleteTree(t, filepath.Join(dir, "versions", one.Dir()))
			deleteOne(t, filepath.Join(dir, "versions", one.Dir()+".json"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := agenttest.NewPortal(t), mountDir(t)
			p.Wants(p.Put(t, one, "1"), nil)
			start(t, dir, p)
			agenttest.Eventually(t, "it is mounted", func() bool { return p.Last().Version == one })
			harm(t, dir)
			agenttest.Eventually(t, "it is mounted again", func() bool {
				to, err := os.Readlink(filepath.Join(dir, "current"))
				b, readErr := os.ReadFile(filepath.Join(dir, "current/dags/a.py"))
				_, recordErr := os.Stat(filepath.Join(dir, "versions", one.Dir()+".json"))
				_, inUseErr := os.Stat(filepath.Join(dir, "in-use"))
				return err == nil && to == "versions/"+one.Dir() && readErr == nil && string(b) == "1" && errors.Join(recordErr, inUseErr) == nil
			})
			agenttest.Eventually(t, "it is told", func() bool { r := p.Last(); return r.Version == one && r.Error == "" && r.Step == "" })
		})
	}
}

// deleteAllIn does what rm -rf dir/* does.
func deleteAllIn(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "[^.]*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			deleteTree(t, path)
		} else {
			deleteOne(t, path)
		}
	}
}

// What somebody made of current while no agent ran is replaced, unless it is
// somebody's folder.
func TestStartsWhereCurrentIsStrange(t *testing.T) {
	t.Run("a link to elsewhere", func(t *testing.T) {
		p, dir := agenttest.NewPortal(t), mountDir(t)
		if err := os.Symlink("/opt/dags", filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
		p.Wants(p.Put(t, one, "1"), nil)
		start(t, dir, p)
		agenttest.Eventually(t, "it is mounted", func() bool { r := p.Last(); return r.Version == one && r.Error == "" })
		if got := content(t, dir); got != "1" {
			t.Errorf("content %q", got)
		}
	})
	t.Run("a folder", func(t *testing.T) {
		p, dir := agenttest.NewPortal(t), mountDir(t)
		file := filepath.Join(dir, "current", "mine.py")
		if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		p.Wants(p.Put(t, one, "1"), nil)
		start(t, dir, p)
		agenttest.Eventually(t, "it is told", func() bool { return strings.HasPrefix(p.Last().Error, filepath.Dir(file)+" is a file or a folder") })
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(filepath.Dir(file)); err != nil {
			t.Fatal(err)
		}
		agenttest.Eventually(t, "it is mounted", func() bool { r := p.Last(); return r.Version == one && r.Error == "" })
	})
}

// deleteOne removes a file or a link. An agent that heals may have done so
// before it writes a new one.
func deleteOne(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func relink(t *testing.T, path, to string) {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Symlink(to, link), os.Rename(link, path)); err != nil {
		t.Fatal(err)
	}
}

func TestTwoAgentsOnOneFolder(t *testing.T) {
	p, dir := agenttest.NewPortal(t), mountDir(t)
	p.Wants(p.Put(t, one, "1"), nil)
	stop := start(t, dir, p)
	agenttest.Eventually(t, "it is mounted", func() bool { return p.Last().Version == one })

	other := agenttest.NewPortal(t)
	other.Wants(other.Put(t, two, "2"), nil)
	start(t, dir, other)
	agenttest.Eventually(t, "the second says why it does nothing", func() bool {
		return other.Last().Error == "Another agent uses the folder "+dir+"."
	})
	if got := content(t, dir); got != "1" {
		t.Errorf("content %q", got)
	}
	stop()
	agenttest.Eventually(t, "the second takes over", func() bool { r := other.Last(); return r.Version == two && r.Error == "" })
}

// Without room nothing is mounted, and what is mounted stays.
func TestKeepsSpaceFree(t *testing.T) {
	p, dir := agenttest.NewPortal(t), mountDir(t)
	p.Wants(p.Put(t, one, "1"), nil)
	stop := start(t, dir, p)
	agenttest.Eventually(t, "it is mounted", func() bool { return p.Last().Version == one })
	stop()
	p.Wants(p.Put(t, two, "2"), nil)
	cfg := configFor(dir, p)
	cfg.Reserve = 1 << 62
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(cfg).Run(ctx) }()
	agenttest.Eventually(t, "the lack of space is told", func() bool {
		r := p.Last()
		return strings.HasPrefix(r.Error, "The disk of the folder "+dir+" has ") && strings.Contains(r.Error, two.Short()) && r.Version == one && r.Revision == string(two)
	})
	if got := content(t, dir); got != "1" {
		t.Errorf("content %q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	start(t, dir, p) // there is room again
	agenttest.Eventually(t, "it is mounted", func() bool { r := p.Last(); return r.Version == two && r.Error == "" })
}

// forgetful is a portal that has lost every file, and only knows what is wanted.
type forgetful struct{ *agenttest.Portal }

func (forgetful) Manifest(context.Context, slipway.Version) (io.ReadCloser, error) {
	return nil, errors.New("lost")
}

func (forgetful) Frames(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, errors.New("lost")
}

func TestSwitchesToWhatIsOnDiskWithoutADownload(t *testing.T) {
	p, dir := agenttest.NewPortal(t), mountDir(t)
	stop := start(t, dir, p)
	for _, v := range []slipway.Version{one, two} {
		p.Wants(p.Put(t, v, string(v)), nil)
		agenttest.Eventually(t, "it is mounted", func() bool { return p.Last().Version == v })
	}
	stop()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(configFor(dir, forgetful{p})).Run(ctx) }()
	p.Wants(slipway.Desired{Revision: "back", DAGs: slipway.FromBundle, Version: one}, nil)
	agenttest.Eventually(t, "it is back at the first", func() bool { return p.Last().Version == one && p.Last().Revision == "back" })
	if got := content(t, dir); got != string(one) {
		t.Errorf("content %q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// With the portal away, what is mounted stays, also when the agent is started
// anew, and since when it has been is known.
func TestGoesOnWithoutThePortal(t *testing.T) {
	p, dir := agenttest.NewPortal(t), mountDir(t)
	p.Wants(p.Put(t, one, "1"), nil)
	stop := start(t, dir, p)
	agenttest.Eventually(t, "it is mounted", func() bool { return p.Last().Version == one })
	stop()
	hour := time.Now().Add(-time.Hour)
	if err := lutimes(filepath.Join(dir, "current"), hour); err != nil {
		t.Fatal(err)
	}
	p.Fail(errors.New("the portal is away"))
	a := New(configFor(dir, p))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	agenttest.Eventually(t, "it knows what is mounted", func() bool { return a.Status().Report.Version == one })
	if s := a.Status(); content(t, dir) != "1" || !s.Heard.IsZero() || s.Report.Error != "" || s.Report.Age < 3590 || s.Report.Age > 3700 {
		t.Errorf("status %+v", s)
	}
	p.Wants(p.Put(t, two, "2"), nil)
	agenttest.Eventually(t, "it goes on with the next", func() bool { return p.Last().Version == two })
	if s := a.Status(); s.Heard.IsZero() || s.Report.Age > 60 {
		t.Errorf("status %+v", s)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOnce(t *testing.T) {
	p, dir := agenttest.NewPortal(t), filepath.Join(mountDir(t), "new", "folder")
	p.Wants(p.Put(t, one, "1"), nil)
	if err := New(configFor(dir, p)).Once(t.Context()); err != nil || content(t, dir) != "1" {
		t.Fatalf("%v with %q", err, content(t, dir))
	}
	if len(p.Reports()) > 0 {
		t.Errorf("reports %+v: want none", p.Reports())
	}
	p.Fail(errors.New("away")) // then it goes on with what is there
	if err := New(configFor(dir, p)).Once(t.Context()); err != nil {
		t.Error(err)
	}
	p.Fail(slipway.Errorf(slipway.Unauthorized, "This token is unknown."))
	if err := New(configFor(dir, p)).Once(t.Context()); err == nil || err.Error() != "This token is unknown." {
		t.Errorf("%v, want the portal's words", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p.Fail(errors.New("away"))
	if err := New(configFor(t.TempDir(), p)).Once(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v: want it to wait while nothing is mounted", err)
	}
}

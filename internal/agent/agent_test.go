package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"slipway/internal/agent/agenttest"
	"slipway/internal/mount"
	"slipway/internal/slipway"
)

// start runs an agent until the test ends or stop is called.
func start(t *testing.T, dir string, p *agenttest.Portal) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(Config{Dir: dir, Component: "worker-0", Portal: p, Log: quiet()}).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// mountDir is t.TempDir, but that folders in it may be read-only at the end.
func mountDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			return os.Chmod(path, 0o700)
		})
		if err != nil {
			t.Errorf("clear up: %v", err)
		}
	})
	return dir
}

func content(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "current/dags/a.py"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	one = slipway.Version("2026-11-22T14:03:51.2040000Z")
	two = slipway.Version("2026-11-22T14:03:52.2040000Z")
)

func TestMountsWhatIsWanted(t *testing.T) {
	p, dir := agenttest.NewPortal(t), mountDir(t)
	p.Wants(slipway.Desired{Revision: "0", DAGs: slipway.FromImage, DagsPath: "/opt/dags"}, nil)
	stop := start(t, dir, p)
	agenttest.Eventually(t, "the image is used", func() bool { return p.Last().DAGs == slipway.FromImage })
	for _, v := range []slipway.Version{one, two, one} {
		p.Wants(p.Put(t, v, "text of "+string(v)), nil)
		agenttest.Eventually(t, "it is mounted", func() bool { return p.Last().Version == v && p.Last().Step == "" })
		if got := content(t, dir); got != "text of "+string(v) {
			t.Errorf("content %q of %s", got, v)
		}
	}
	stop()
	if r := p.Last(); !r.Leaving || r.Component != "worker-0" || r.Version != one {
		t.Errorf("last report %+v, want that it leaves", r)
	}
	start(t, dir, p) // what is mounted already is told at once
	agenttest.Eventually(t, "it is back", func() bool { return !p.Last().Leaving && p.Last().Version == one })
}

func TestGoesOnAfterErrors(t *testing.T) {
	p, dir := agenttest.NewPortal(t), mountDir(t)
	first := p.Put(t, one, "1")
	p.Wants(first, nil)
	start(t, dir, p)
	agenttest.Eventually(t, "the first is mounted", func() bool { return p.Last().Version == one })

	missing := slipway.Desired{Revision: "x", DAGs: slipway.FromBundle, Version: two}
	p.Wants(missing, nil)
	agenttest.Eventually(t, "the missing manifest is told", func() bool {
		return strings.HasPrefix(p.Last().Error, "Version "+two.Short()+" cannot be mounted: ")
	})
	if r := p.Last(); r.Version != one || r.DAGs != slipway.FromBundle || content(t, dir) != "1" {
		t.Errorf("report %+v with %q mounted: want the first version still", r, content(t, dir))
	}
	p.Put(t, two, "2") // nothing new is wanted: it tries by itself
	agenttest.Eventually(t, "the second is mounted", func() bool { return p.Last().Version == two && p.Last().Error == "" })

	p.Wants(first, errors.New("the portal is away"))
	time.Sleep(20 * time.Millisecond)
	p.Wants(first, nil)
	agenttest.Eventually(t, "it is back at the first", func() bool { return p.Last().Version == one })
}

// A folder that Airflow cannot enter is told beside the mounted version, and no
// longer once opened.
func TestClosedFolderIsTold(t *testing.T) {
	p, top := agenttest.NewPortal(t), mountDir(t)
	dir := filepath.Join(top, "mount")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(top, 0o755), os.Chmod(filepath.Dir(top), 0o755)); err != nil { //nolint:gosec // of the test
		t.Fatal(err)
	}
	p.Wants(p.Put(t, one, "1"), nil)
	start(t, dir, p)
	agenttest.Eventually(t, "the folder is told", func() bool {
		r := p.Last()
		return r.Version == one && r.Error == "" && strings.HasPrefix(r.Warning, "Other users cannot enter the folder "+dir+" (mode 0700).")
	})
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // others are to enter
		t.Fatal(err)
	}
	p.Wants(p.Put(t, two, "2"), nil)
	agenttest.Eventually(t, "the folder is open", func() bool { return p.Last().Version == two && p.Last().Warning == "" })
}

func TestClosedText(t *testing.T) {
	for _, tt := range []struct {
		at   mount.ClosedFolder
		want string
	}{
		{mount.ClosedFolder{Path: "/srv", Mode: 0o750, Above: true}, "Other users cannot enter the folder /srv (mode 0750). If Airflow runs as another user, and not in a container with /srv/a mounted, Airflow sees no DAGs: chmod o+x /srv."},
		{mount.ClosedFolder{Path: "/srv/a", Mode: 0o700}, "Other users cannot enter the folder /srv/a (mode 0700). If Airflow runs as another user, Airflow sees no DAGs: chmod o+x /srv/a."},
	} {
		if got := closedText(tt.at, "/srv/a"); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestFolderInTheWay(t *testing.T) {
	p := agenttest.NewPortal(t)
	dir := filepath.Join(mountDir(t), "mount")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Wants(p.Put(t, one, "1"), nil)
	start(t, dir, p)
	agenttest.Eventually(t, "the error is told", func() bool { return strings.HasPrefix(p.Last().Error, "The folder "+dir+" cannot be used: ") })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	agenttest.Eventually(t, "it is mounted", func() bool { return p.Last().Version == one && p.Last().Error == "" })
}

func TestSentence(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		v    slipway.Version
		want string
	}{
		"disk full":  {fmt.Errorf("mount: %w", &fs.PathError{Op: "write", Path: "/d/x", Err: syscall.ENOSPC}), one, "The disk of the folder /d is full."},
		"quota":      {syscall.EDQUOT, one, "The disk of the folder /d is full."},
		"permission": {fmt.Errorf("mount: %w", &fs.PathError{Op: "mkdir", Path: "/d/x", Err: syscall.EACCES}), one, "The folder /d cannot be written to: mkdir /d/x: permission denied."},
		"read-only":  {&fs.PathError{Op: "mkdir", Path: "/d/x", Err: syscall.EROFS}, one, "The folder /d cannot be written to: mkdir /d/x: read-only file system."},
		"ours":       {fmt.Errorf("open: %w", slipway.Errorf(slipway.Conflict, "Another agent uses the folder /d.")), "", "Another agent uses the folder /d."},
		"other":      {errors.New("content abc is damaged"), one, "Version 2026-11-22 14:03:51.204 cannot be mounted: content abc is damaged."},
		"folder":     {errors.New("not a directory"), "", "The folder /d cannot be used: not a directory."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sentence(tt.err, "/d", tt.v); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/slipway"
)

// portal is a small portal on a real bundle store.
type portal struct {
	bundle.Source
	store *bundle.Store

	mu      sync.Mutex
	want    slipway.Desired
	changed chan struct{} // closed when want changes
	fail    error         // what every call answers
	reports []slipway.Report
}

func newPortal(t *testing.T) *portal {
	t.Helper()
	st, err := bundle.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &portal{Source: st.Source("ns"), store: st, changed: make(chan struct{})}
}

func (p *portal) Desired(ctx context.Context, since string) (slipway.Desired, error) {
	for {
		p.mu.Lock()
		want, changed, err := p.want, p.changed, p.fail
		p.mu.Unlock()
		if err != nil || want.Revision != since {
			return want, err
		}
		select {
		case <-ctx.Done():
			return want, ctx.Err()
		case <-changed:
		}
	}
}

func (p *portal) Manifest(_ context.Context, v slipway.Version) (slipway.Manifest, error) {
	return p.store.Manifest("ns", v)
}

func (p *portal) Report(_ context.Context, r slipway.Report) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail == nil {
		p.reports = append(p.reports, r)
	}
	return p.fail
}

// wants changes what is wanted, and what calls answer.
func (p *portal) wants(d slipway.Desired, fail error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want, p.fail = d, fail
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *portal) last() (r slipway.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.reports) > 0 {
		r = p.reports[len(p.reports)-1]
	}
	return r
}

// put stores a version with one file, a.py.
func (p *portal) put(t *testing.T, v slipway.Version, text string) slipway.Desired {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "a.py", Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	unknown := func(string) (at slipway.Place, ok bool) { return at, false }
	staged, err := p.store.Stage(t.Context(), "ns", bytes.NewReader(b.Bytes()), int64(b.Len()), archive.DefaultLimits(), unknown)
	if err == nil {
		_, err = p.store.PutManifest("ns", slipway.Manifest{Version: v, Files: staged.Files})
	}
	if err != nil {
		t.Fatal(err)
	}
	return slipway.Desired{Revision: string(v), DAGs: slipway.FromBundle, Version: v}
}

// start runs an agent until the test ends or stop is called.
func start(t *testing.T, dir string, p *portal) (stop func()) {
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

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("it did not come to pass that %s", what)
		}
	}
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
	p, dir := newPortal(t), mountDir(t)
	p.wants(slipway.Desired{Revision: "0", DAGs: slipway.FromImage, DagsPath: "/opt/dags"}, nil)
	stop := start(t, dir, p)
	eventually(t, "the image is used", func() bool { return p.last().DAGs == slipway.FromImage })
	for _, v := range []slipway.Version{one, two, one} {
		p.wants(p.put(t, v, "text of "+string(v)), nil)
		eventually(t, "it is mounted", func() bool { return p.last().Version == v && p.last().Step == "" })
		if got := content(t, dir); got != "text of "+string(v) {
			t.Errorf("content %q of %s", got, v)
		}
	}
	stop()
	if r := p.last(); !r.Leaving || r.Component != "worker-0" || r.Version != one {
		t.Errorf("last report %+v, want that it leaves", r)
	}
	start(t, dir, p) // what is mounted already is told at once
	eventually(t, "it is back", func() bool { return !p.last().Leaving && p.last().Version == one })
}

func TestGoesOnAfterErrors(t *testing.T) {
	p, dir := newPortal(t), mountDir(t)
	first := p.put(t, one, "1")
	p.wants(first, nil)
	start(t, dir, p)
	eventually(t, "the first is mounted", func() bool { return p.last().Version == one })

	missing := slipway.Desired{Revision: "x", DAGs: slipway.FromBundle, Version: two}
	p.wants(missing, nil)
	eventually(t, "the missing manifest is told", func() bool {
		return strings.HasPrefix(p.last().Error, "Version "+two.Short()+" cannot be mounted: ")
	})
	if r := p.last(); r.Version != one || r.DAGs != slipway.FromBundle || content(t, dir) != "1" {
		t.Errorf("report %+v with %q mounted: want the first version still", r, content(t, dir))
	}
	p.put(t, two, "2") // nothing new is wanted: it tries by itself
	eventually(t, "the second is mounted", func() bool { return p.last().Version == two && p.last().Error == "" })

	p.wants(first, errors.New("the portal is away"))
	time.Sleep(20 * time.Millisecond)
	p.wants(first, nil)
	eventually(t, "it is back at the first", func() bool { return p.last().Version == one })
}

func TestFolderInTheWay(t *testing.T) {
	p := newPortal(t)
	dir := filepath.Join(mountDir(t), "mount")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.wants(p.put(t, one, "1"), nil)
	start(t, dir, p)
	eventually(t, "the error is told", func() bool { return strings.HasPrefix(p.last().Error, "The folder "+dir+" cannot be used: ") })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is mounted", func() bool { return p.last().Version == one && p.last().Error == "" })
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

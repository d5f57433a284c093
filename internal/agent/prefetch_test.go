package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/internal/agent/agenttest"
	"slipway/internal/mount"
	"slipway/internal/slipway"
)

// A worker that began after a run did gets the version that the run names.
func TestVersionsThatRunsNeedAreAdded(t *testing.T) {
	const old, now, gone = slipway.Version("2026-11-22T14:03:51.2040000Z"), slipway.Version("2026-11-23T10:00:00.0000000Z"), slipway.Version("2026-11-01T10:00:00.0000000Z")
	p, dir := agenttest.NewPortal(t), mountDir(t)
	p.Put(t, old, "old")
	p.Wants(p.Put(t, now, "now"), nil)
	start(t, dir, p)
	agenttest.Eventually(t, "the version is mounted", func() bool { return p.Last().Version == now })

	for _, v := range []slipway.Version{old, gone} {
		if err := os.WriteFile(filepath.Join(dir, "in-use", v.Dir()), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	agenttest.Eventually(t, "the version that is needed is there", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "versions", old.Dir(), "dags", "a.py"))
		return err == nil && string(b) == "old"
	})
	agenttest.Eventually(t, "what is no longer kept is not asked for again", func() bool {
		_, err := os.Stat(filepath.Join(dir, "in-use", gone.Dir()))
		return errors.Is(err, os.ErrNotExist)
	})
	if got := content(t, dir); got != "now" {
		t.Errorf("current has %q, want it to stay as it is", got)
	}
}

// asked counts the manifests that are asked for.
type asked struct {
	*agenttest.Portal
	n int
}

func (a *asked) Manifest(ctx context.Context, v slipway.Version) (io.ReadCloser, error) {
	a.n++
	return a.Portal.Manifest(ctx, v)
}

// newTestPrefetcher returns a prefetcher on a mount without versions, and how to mark some.
func newTestPrefetcher(t *testing.T) (l prefetcher, p *asked, mark func(v slipway.Version)) {
	t.Helper()
	p = &asked{Portal: agenttest.NewPortal(t)}
	dir := mountDir(t)
	m, err := mount.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	a := New(Config{Dir: dir, Component: "worker-0", Portal: p, Log: quiet()})
	mark = func(v slipway.Version) {
		if err := os.WriteFile(filepath.Join(dir, "in-use", v.Dir()), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return prefetcher{Agent: a, mount: m, retryAt: map[slipway.Version]time.Time{}}, p, mark
}

func nth(n int) slipway.Version {
	return slipway.Version(fmt.Sprintf("2026-11-01T10:%02d:%02d.0000000Z", n/60, n%60))
}

// A mark may be set again and again.
func TestWhatIsGoneIsNotAskedForAgain(t *testing.T) {
	l, p, mark := newTestPrefetcher(t)
	now := time.Now()
	for _, tt := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {goneAgain - time.Minute, 1}, {goneAgain + time.Minute, 2}} {
		mark(nth(0))
		if err := l.sweepAndAdd(t.Context(), now.Add(tt.after)); err != nil || p.n != tt.asked {
			t.Errorf("after %s: asked %d times, want %d; %v", tt.after, p.n, tt.asked, err)
		}
	}
}

func TestWhatIsGoneIsBounded(t *testing.T) {
	l, p, mark := newTestPrefetcher(t)
	for n := range maxRetrying + 5 {
		mark(nth(n))
	}
	for range 2 { // it looks at so many marks at a time
		if err := l.sweepAndAdd(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if p.n != maxRetrying || len(l.retryAt) != maxRetrying {
		t.Errorf("asked %d times, %d wait; want %d", p.n, len(l.retryAt), maxRetrying)
	}
}

func TestPrefetchesSoManyAtATime(t *testing.T) {
	l, p, mark := newTestPrefetcher(t)
	for n := range maxPrefetched + 2 {
		p.Put(t, nth(n), "x")
		mark(nth(n))
	}
	for range 2 {
		err := l.sweepAndAdd(t.Context(), time.Now())
		if kind, _ := slipway.Explain(err); err == nil || kind != slipway.Conflict {
			t.Errorf("error %v, want that there are too many", err)
		}
	}
	on, err := l.mount.Versions()
	if err != nil || len(on) != maxPrefetched {
		t.Errorf("%d versions are on disk, want %d; %v", len(on), maxPrefetched, err)
	}
}

// slow is a portal whose prefetches stall.
type slow struct {
	*agenttest.Portal
	asked chan struct{}
}

func (s slow) Frames(ctx context.Context, _ string, _, _ int64) (io.ReadCloser, error) {
	s.asked <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// A deploy does not wait for a prefetch, which is retried soon.
func TestPrefetchGivesWay(t *testing.T) {
	l, p, mark := newTestPrefetcher(t)
	p.Put(t, nth(0), "old")
	p.Put(t, nth(1), "new")
	mark(nth(0))
	s := slow{p.Portal, make(chan struct{})}
	fast := l.portal
	l.portal = s
	now, looked := time.Now(), make(chan error, 1)
	go func() { looked <- l.sweepAndAdd(t.Context(), now) }()
	<-s.asked
	err := l.mount.Mount(t.Context(), nth(1), p, nil)
	if err := errors.Join(err, <-looked); err != nil {
		t.Fatal(err)
	}
	if len(l.prefetched) != 0 {
		t.Errorf("prefetched are %v, want none yet", l.prefetched)
	}
	l.portal = fast
	if err := l.sweepAndAdd(t.Context(), now.Add(wantedEvery+time.Second)); err != nil || len(l.prefetched) != 1 {
		t.Errorf("prefetched are %v, %v; want the one that was called off", l.prefetched, err)
	}
}

// What somebody puts into in-use is removed, and what cannot be keeps no run
// from its version.
func TestInUseHoldsNothingElse(t *testing.T) {
	l, p, mark := newTestPrefetcher(t)
	p.Put(t, nth(0), "x")
	mark(nth(0))
	dir := filepath.Join(l.cfg.Dir, "in-use")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "large"), make([]byte, 1<<20), 0o600), os.MkdirAll(filepath.Join(dir, "full", "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := l.sweepAndAdd(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), `"full"`) {
		t.Errorf("error %v, want that it names the folder", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "large")); !errors.Is(err, os.ErrNotExist) || len(l.prefetched) != 1 {
		t.Errorf("the large file: %v, prefetched %v; want it gone, and one prefetched", err, l.prefetched)
	}
}

package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/internal/slipway"
)

// board is a portal that keeps the log of deploys as well.
type board struct {
	*portal
	slow   time.Duration // until it has taken lines
	logged []string      // its lock is the portal's
	early  []string      // errors that were reported before they were logged
}

func newBoard(t *testing.T) *board { return &board{portal: newPortal(t)} }

// Log notes what the portal is told for a deploy's log.
func (b *board) Log(_ context.Context, component string, lines []string) error {
	time.Sleep(b.slow)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail == nil {
		for _, l := range lines {
			b.logged = append(b.logged, component+": "+l)
		}
	}
	return b.fail
}

// Report notes as well what comes too early.
func (b *board) Report(ctx context.Context, r slipway.Report) error {
	if !strings.Contains(b.log(), r.Error) {
		b.mu.Lock()
		b.early = append(b.early, r.Error)
		b.mu.Unlock()
	}
	return b.portal.Report(ctx, r)
}

func (b *board) log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.logged, "\n")
}

// rollout runs a Rollout until the test ends or stop is called.
func rollout(t *testing.T, p *board, d Driver) (stop func()) {
	t.Helper()
	r := NewRollout(RolloutConfig{
		Component: "scheduler", Driver: d, Portal: p, Registry: "slipway.example:8888", Log: quiet(),
		Login: func() (Login, error) { return Login{"agent", "secret"}, nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// wish is what the portal wants, of revision as named.
func wish(revision, image string) slipway.Desired {
	return slipway.Desired{Revision: revision, DAGs: slipway.FromImage, Image: image, Deployment: "cm1", Runtime: "3.1-4"}
}

func TestRolloutAppliesWhatIsWanted(t *testing.T) {
	e, dir := command(t, `
echo "applies ${AIRFLOW_IMAGE%%@*}"
cp image.env last
case $AIRFLOW_IMAGE in *bad*) echo broken; exit 1;; esac`)
	p := newBoard(t)
	p.slow = 50 * time.Millisecond
	p.wants(wish("1", ""), nil)
	stop := rollout(t, p, e)
	eventually(t, "it has reported", func() bool { return p.last().Revision == "1" })
	if r := p.last(); r.Kind != slipway.Rollout || r.Component != "scheduler" || r.Image != "" || r.Error != "" {
		t.Errorf("report %+v", r)
	}
	p.wants(wish("2", "quay.example/airflow@"+aDigest), nil)
	eventually(t, "the image runs", func() bool { return p.last().Image == aDigest && p.last().Revision == "2" && p.last().Step == "" })
	if got := p.log(); !strings.Contains(got, "scheduler: applies quay.example/airflow") {
		t.Errorf("log %q", got)
	}

	p.wants(wish("3", "team-1/bad@"+strings.Replace(aDigest, "9f", "00", 1)), nil)
	eventually(t, "the failure is told", func() bool { return strings.HasPrefix(p.last().Error, "The command compose failed: exit status 1.") })
	if r := p.last(); r.Revision != "3" || r.Image != "" || !strings.Contains(p.log(), "scheduler: applies slipway.example:8888/team-1/bad\nscheduler: broken\nscheduler: The command compose failed") {
		t.Errorf("report %+v, log %q", r, p.log())
	}
	p.wants(wish("4", "quay.example/airflow@"+aDigest), nil) // the deploy goes back
	eventually(t, "the old image runs", func() bool { return p.last().Image == aDigest && p.last().Revision == "4" && p.last().Error == "" })
	if got, err := os.ReadFile(filepath.Join(dir, "last")); err != nil || !strings.Contains(string(got), "RUNTIME_VERSION=3.1-4") {
		t.Errorf("variables %q, %v", got, err)
	}
	p.wants(wish("5", "quay.example/airflow@"+aDigest), nil) // somebody deployed DAGs
	eventually(t, "it says so", func() bool { return p.last().Revision == "5" })
	if n := strings.Count(p.log(), "applies quay"); n != 2 {
		t.Errorf("applied %d times, want 2", n)
	}
	stop()
	if r := p.last(); !r.Leaving || len(p.early) > 0 {
		t.Errorf("last report %+v, want that it leaves; reported before they were in the log: %q", r, p.early)
	}
}

func TestRolloutIsCalledOff(t *testing.T) {
	e, dir := command(t, "echo started; case $AIRFLOW_IMAGE in *slow*) sleep 600 & echo $! > child; wait;; esac")
	p := newBoard(t)
	p.wants(wish("1", "slow/a@"+aDigest), nil)
	rollout(t, p, e)
	eventually(t, "it has started", func() bool { return strings.Contains(p.log(), "started") })
	if r := p.last(); r.Step != "running compose" {
		t.Errorf("report %+v, want the step", r)
	}
	p.wants(wish("2", "quay.example/a@"+aDigest), nil)
	eventually(t, "the other one runs", func() bool { return p.last().Revision == "2" && p.last().Image == aDigest })
	if alive(t, filepath.Join(dir, "child")) {
		t.Error("the first command still runs")
	}
}

func TestRolloutWhilePortalIsAway(t *testing.T) {
	e, _ := command(t, "echo applied; i=0; while [ ! -e away ]; do i=$((i+1)); [ $i -lt 600 ]; sleep 0.05; done")
	p := newBoard(t)
	p.wants(wish("1", "quay.example/a@"+aDigest), nil)
	rollout(t, p, e)
	eventually(t, "it has started", func() bool { return strings.Contains(p.log(), "applied") })
	p.wants(wish("1", "quay.example/a@"+aDigest), errors.New("the portal is away"))
	if err := os.WriteFile(filepath.Join(filepath.Dir(e.EnvFile), "away"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it was applied", func() bool {
		now, err := (&Exec{EnvFile: e.EnvFile}).Running(t.Context(), Place{}, Image{})
		return err == nil && now.Image == aDigest
	})
	p.wants(wish("1", "quay.example/a@"+aDigest), nil)
	eventually(t, "the portal knows", func() bool { return p.last().Image == aDigest && p.last().Step == "" })
}

// A component whose containers are removed leaves; it is back with them.
func TestRolloutScalesDown(t *testing.T) {
	y, p := newYard(t), newBoard(t)
	y.at = Place{"cm1", "scheduler"}
	ref := y.images["two"]
	p.wants(wish("1", ref), nil)
	rollout(t, p, y.agent(t, time.Minute))
	eventually(t, "it misses containers", func() bool { return strings.HasPrefix(p.last().Error, "No container that runs") && !p.last().Leaving })
	y.run(t, "aa", "one")
	eventually(t, "it rolls out", func() bool { return p.last().Image == y.image("two").Digest() && p.last().Error == "" })
	y.onlyLeft(t, y.agent(t, time.Minute), "aa")
	y.Docker(t, "rm", "--force", "aa")
	eventually(t, "it has left", func() bool { return p.last().Leaving })
	y.run(t, "aa", "two")
	eventually(t, "it is back", func() bool { return !p.last().Leaving && p.last().Image == y.image("two").Digest() })
}

func TestBook(t *testing.T) {
	var b book
	for range maxLines + 7 {
		b.add("line")
	}
	b.add(strings.Repeat("ä", maxLine))
	n := 0
	var last string
	for lines := b.batch(); len(lines) > 0; lines = b.batch() {
		n, last = n+len(lines), lines[len(lines)-1]
		b.sent(len(lines))
	}
	if n != maxLines+1 || last != "(8 lines were left out)" {
		t.Errorf("%d lines, the last %q", n, last)
	}
	b.add(strings.Repeat("ä", maxLine))
	if got := b.batch(); len(got) != 1 || len(got[0]) > maxLine+3 || !strings.HasSuffix(got[0], "ä…") {
		t.Errorf("a long line became %d lines", len(got))
	}
}

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

	"slipway/internal/agent/agenttest"
	"slipway/internal/slipway"
)

// rollout runs a Rollout until the test ends or stop is called.
func rollout(t *testing.T, p *agenttest.RolloutPortal, d Driver) (stop func()) {
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
	p := agenttest.NewRolloutPortal(t)
	p.Slow = 50 * time.Millisecond
	p.Wants(wish("1", ""), nil)
	stop := rollout(t, p, e)
	agenttest.Eventually(t, "it has reported", func() bool { return p.Last().Revision == "1" })
	if r := p.Last(); r.Kind != slipway.Rollout || r.Component != "scheduler" || r.Image != "" || r.Error != "" {
		t.Errorf("report %+v", r)
	}
	p.Wants(wish("2", "quay.example/airflow@"+aDigest), nil)
	agenttest.Eventually(t, "the image runs", func() bool { return p.Last().Image == aDigest && p.Last().Revision == "2" && p.Last().Step == "" })
	if got := p.Logged(); !strings.Contains(got, "scheduler: applies quay.example/airflow") {
		t.Errorf("log %q", got)
	}

	p.Wants(wish("3", "team-1/bad@"+strings.Replace(aDigest, "9f", "00", 1)), nil)
	agenttest.Eventually(t, "the failure is told", func() bool { return strings.HasPrefix(p.Last().Error, "The command compose failed: exit status 1.") })
	if r := p.Last(); r.Revision != "3" || r.Image != "" || !strings.Contains(p.Logged(), "scheduler: applies slipway.example:8888/team-1/bad\nscheduler: broken\nscheduler: The command compose failed") {
		t.Errorf("report %+v, log %q", r, p.Logged())
	}
	p.Wants(wish("4", "quay.example/airflow@"+aDigest), nil) // the deploy goes back
	agenttest.Eventually(t, "the old image runs", func() bool { return p.Last().Image == aDigest && p.Last().Revision == "4" && p.Last().Error == "" })
	if got, err := os.ReadFile(filepath.Join(dir, "last")); err != nil || !strings.Contains(string(got), "RUNTIME_VERSION=3.1-4") {
		t.Errorf("variables %q, %v", got, err)
	}
	p.Wants(wish("5", "quay.example/airflow@"+aDigest), nil) // somebody deployed DAGs
	agenttest.Eventually(t, "it says so", func() bool { return p.Last().Revision == "5" })
	if n := strings.Count(p.Logged(), "applies quay"); n != 2 {
		t.Errorf("applied %d times, want 2", n)
	}
	stop()
	if r := p.Last(); !r.Leaving || len(p.Early()) > 0 {
		t.Errorf("last report %+v, want that it leaves; reported before they were in the log: %q", r, p.Early())
	}
}

func TestRolloutIsCalledOff(t *testing.T) {
	e, dir := command(t, "echo started; case $AIRFLOW_IMAGE in *slow*) sleep 600 & echo $! > child; wait;; esac")
	p := agenttest.NewRolloutPortal(t)
	p.Wants(wish("1", "slow/a@"+aDigest), nil)
	rollout(t, p, e)
	agenttest.Eventually(t, "it has started", func() bool { return strings.Contains(p.Logged(), "started") })
	if r := p.Last(); r.Step != "running compose" {
		t.Errorf("report %+v, want the step", r)
	}
	p.Wants(wish("2", "quay.example/a@"+aDigest), nil)
	agenttest.Eventually(t, "the other one runs", func() bool { return p.Last().Revision == "2" && p.Last().Image == aDigest })
	if alive(t, filepath.Join(dir, "child")) {
		t.Error("the first command still runs")
	}
}

func TestRolloutWhilePortalIsAway(t *testing.T) {
	e, _ := command(t, "echo applied; i=0; while [ ! -e away ]; do i=$((i+1)); [ $i -lt 600 ]; sleep 0.05; done")
	p := agenttest.NewRolloutPortal(t)
	p.Wants(wish("1", "quay.example/a@"+aDigest), nil)
	rollout(t, p, e)
	agenttest.Eventually(t, "it has started", func() bool { return strings.Contains(p.Logged(), "applied") })
	p.Wants(wish("1", "quay.example/a@"+aDigest), errors.New("the portal is away"))
	if err := os.WriteFile(filepath.Join(filepath.Dir(e.EnvFile), "away"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	agenttest.Eventually(t, "it was applied", func() bool {
		now, err := (&Exec{EnvFile: e.EnvFile}).Running(t.Context(), Place{}, Image{})
		return err == nil && now.Image == aDigest
	})
	p.Wants(wish("1", "quay.example/a@"+aDigest), nil)
	agenttest.Eventually(t, "the portal knows", func() bool { return p.Last().Image == aDigest && p.Last().Step == "" })
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

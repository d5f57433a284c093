package deploy_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
)

// elsewhere makes Sales one that agents serve.
func elsewhere(t *testing.T, change ...func(*deploy.Config)) (*app, *deploy.AgentPortal) {
	t.Helper()
	a := applying(t, change...)
	return a, a.farAway(t)
}

// farAway makes Sales one that agents serve, and returns what they talk to.
func (a *app) farAway(t *testing.T) *deploy.AgentPortal {
	t.Helper()
	d, err := slipway.NewDeployment(a.Workspace.ID, "far away", false)
	if err != nil {
		t.Fatal(err)
	}
	if a.Sales, err = a.Engine.Create(t.Context(), d, a.Oli); err != nil {
		t.Fatal(err)
	}
	return a.Engine.Portal(a.Sales)
}

// agent applies what is wanted by fn until the test ends.
func (a *app) agent(t *testing.T, p *deploy.AgentPortal, name string, kind slipway.AgentKind, fn func(slipway.Desired, *slipway.Report)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	var r slipway.Report
	report := func(want slipway.Desired) {
		r.Component, r.Kind, r.Revision, r.Error = name, kind, want.Revision, ""
		fn(want, &r)
		if err := p.Report(ctx, r); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
	want, err := p.Desired(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	report(want) // before the caller goes on
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if want, err = p.Desired(ctx, want.Revision); err != nil {
				return
			}
			report(want)
		}
	}()
}

func rollsOut(want slipway.Desired, r *slipway.Report) { r.Image = want.Image }
func mounts(want slipway.Desired, r *slipway.Report)   { r.DAGs, r.Version = want.DAGs, want.Version }

func TestRolloutByAgents(t *testing.T) {
	a, p := elsewhere(t, func(c *deploy.Config) { c.ApplyTimeout = 20 * time.Second })
	w := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	w = a.Await(t, w.Number, slipway.Deployed)
	if w.Note != "Published. No component is connected." {
		t.Errorf("note %q", w.Note)
	}
	var mu sync.Mutex
	var trail []string // what is wanted, step by step
	a.agent(t, p, "scheduler-0", slipway.Sidecar, func(want slipway.Desired, r *slipway.Report) {
		mu.Lock()
		defer mu.Unlock()
		step := want.Image + " " + string(want.Version)
		if len(trail) == 0 || trail[len(trail)-1] != step {
			trail = append(trail, step)
		}
		mounts(want, r)
	})
	next := a.DeployedImage(t, slipway.ImageOnly, "1", deploytest.Runtime1)
	if next.Note != "Published. No rollout agent is connected: restart Airflow with the image." {
		t.Errorf("note %q", next.Note)
	}
	a.agent(t, p, "compose", slipway.Rollout, func(want slipway.Desired, r *slipway.Report) {
		if want.Image != "" && !strings.HasPrefix(want.Image, a.Sales.Namespace+"/airflow@sha256:") {
			t.Errorf("wanted image %q", want.Image)
		}
		rollsOut(want, r)
	})
	first := w.After
	w = a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
	w = a.Await(t, w.Number, slipway.Deployed)
	if w.Note != "" || w.RollingAt.IsZero() || w.MountingAt.Before(w.RollingAt) {
		t.Errorf("note %q, rolling at %s, mounting at %s", w.Note, w.RollingAt, w.MountingAt)
	}
	mu.Lock()
	defer mu.Unlock()
	// DAGs come after their image. A step that is soon over may not be seen.
	could := map[string]bool{
		first.ImageRef() + " " + string(first.Version): true, w.After.ImageRef() + " " + string(first.Version): true, w.After.ImageRef() + " " + string(w.Version): true,
	}
	for _, step := range trail {
		if !could[step] {
			t.Errorf("step %q in %q", step, trail)
		}
	}
	if last := trail[len(trail)-1]; last != w.After.ImageRef()+" "+string(w.Version) {
		t.Errorf("the last step is %q", last)
	}
}

func TestRolloutByAgentsFails(t *testing.T) {
	a, p := elsewhere(t)
	good := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	good = a.Await(t, good.Number, slipway.Deployed)
	a.agent(t, p, "compose", slipway.Rollout, func(want slipway.Desired, r *slipway.Report) {
		if want.Image == good.After.ImageRef() {
			rollsOut(want, r)
			return
		}
		r.Error = "manifest unknown"
	})
	a.agent(t, p, "scheduler-0", slipway.Sidecar, mounts)
	w := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
	w = a.Await(t, w.Number, slipway.Failed)
	if !strings.Contains(w.Reason, "compose: manifest unknown") || a.sales(t).State != good.After {
		t.Errorf("reason %q, state %+v", w.Reason, a.sales(t).State)
	}
	a.Eventually(t, "agents are as before", func() bool {
		for _, c := range a.Engine.Components(a.Sales.ID) {
			if !c.Runs(good.After) || c.Error != "" {
				return false
			}
		}
		return true
	})
}

// ghost has a made-up component report for ever, with a token.
func (a *app) ghost(t *testing.T, p *deploy.AgentPortal, r slipway.Report) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := p.With("stolen").Report(ctx, r); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	a.Eventually(t, "the component is seen", func() bool { return len(a.Engine.Components(a.Sales.ID)) > 0 })
}

// A made-up component whose tasks never end holds no rollout for ever.
func TestMadeUpComponentHoldsNoRollout(t *testing.T) {
	var ahead atomic.Int64
	a := unstarted(t, func(c *deploy.Config) { c.ApplyTimeout = 20 * time.Second })
	a.Store.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	a.Run(t)
	p := a.farAway(t)
	a.ghost(t, p, slipway.Report{Component: "ghost", Kind: slipway.Rollout, Step: slipway.StepEnding})
	w := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	a.Eventually(t, "the rollout waits", func() bool { return !a.Load(t, w.Number).RollingAt.IsZero() })
	time.Sleep(300 * time.Millisecond)
	ahead.Store(int64(slipway.MaxEnding + time.Minute))
	if w = a.Await(t, w.Number, slipway.Failed); !strings.Contains(w.Reason, "ghost") {
		t.Errorf("reason %q, want the component's name", w.Reason)
	}
}

// Nothing waits for components whose token was revoked.
func TestRevokedTokenHoldsNoDeploy(t *testing.T) {
	a, p := elsewhere(t)
	r := slipway.Report{Component: "ghost", DAGs: slipway.FromImage}
	if err := p.With("stolen").Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deploying)
	a.Engine.TokenRevoked(a.Sales.ID, "stolen")
	a.Await(t, w.Number, slipway.Deployed)
}

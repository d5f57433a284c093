package deploy_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
)

// lastAgent has the only agent of a kind leave, in one way or another, as soon
// as something else is wanted of it, and begins a deploy of that.
type lastAgent struct {
	*app
	portal *deploy.AgentPortal
	w      slipway.Deploy
	ahead  atomic.Int64
	want   atomic.Pointer[slipway.Desired]
}

func agentIsLost(t *testing.T, kind slipway.AgentKind, leaves, ephemeral bool) *lastAgent {
	t.Helper()
	l := &lastAgent{app: unstarted(t, func(c *deploy.Config) { c.ApplyTimeout, c.MountTimeout = 5*time.Minute, 5*time.Minute })}
	l.Store.Now = func() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }
	l.Run(t)
	l.portal = l.farAway(t)
	first := l.DeployedImage(t, slipway.ImageOnly, "1", deploytest.Runtime1)
	l.agent(t, l.portal, "compose", kind, func(want slipway.Desired, r *slipway.Report) {
		l.want.Store(&want)
		r.Ephemeral = ephemeral
		if r.Leaving = leaves && (want.Image != first.After.ImageRef() || want.Version != first.After.Version); !r.Leaving && r.Image == "" && r.DAGs == "" {
			rollsOut(want, r)
			mounts(want, r)
		} else if r.Leaving {
			r.Revision = "" // as an agent says that ends
		}
	})
	l.Eventually(t, "the agent has reported", func() bool { return len(l.Engine.Components(l.Sales.ID)) == 1 })
	if kind == slipway.Rollout {
		l.Push(t, "2", deploytest.Runtime2.Build(t))
		l.w = l.StagedImage(t, slipway.ImageOnly, "2")
	} else {
		l.w = l.Staged(t, l.Eve, slipway.ReplaceAll, map[string]string{"b.py": dag("b")})
	}
	before := l.want.Load().Revision
	l.Confirm(t, l.w.Number, l.Eve)
	l.Eventually(t, "something else is wanted, and an agent that leaves has left", func() bool {
		return l.want.Load().Revision != before && (!leaves || len(l.Engine.Components(l.Sales.ID)) == 0)
	})
	return l
}

// TestLastAgentIsLost: nobody could say whether it runs what is wanted, and so
// nobody is told that it does.
func TestLastAgentIsLost(t *testing.T) {
	for name, tt := range map[string]struct {
		kind   slipway.AgentKind
		leaves bool
		want   string // of the reason
	}{
		"a rollout signs off":    {slipway.Rollout, true, "The image was not rolled out everywhere within 5m0s: compose has left."},
		"a rollout falls silent": {slipway.Rollout, false, "The image was not rolled out everywhere within 5m0s: compose has fallen silent."},
		"a sidecar signs off":    {slipway.Sidecar, true, "It was not mounted everywhere within 5m0s: compose has left."},
		"a sidecar falls silent": {slipway.Sidecar, false, "It was not mounted everywhere within 5m0s: compose has fallen silent."},
	} {
		t.Run(name, func(t *testing.T) {
			l := agentIsLost(t, tt.kind, tt.leaves, false)
			l.Eventually(t, "it has ended", func() bool {
				l.ahead.Add(int64(time.Minute))
				return l.Load(t, l.w.Number).Status.Ended()
			})
			if w := l.Await(t, l.w.Number, slipway.Failed); !strings.HasPrefix(w.Reason, tt.want) {
				t.Errorf("reason %q", w.Reason)
			}
		})
	}
}

// TestLastAgentIsBack: one that was restarted goes on where it was.
func TestLastAgentIsBack(t *testing.T) {
	for _, kind := range []slipway.AgentKind{slipway.Rollout, slipway.Sidecar} {
		t.Run(string(kind), func(t *testing.T) {
			l := agentIsLost(t, kind, true, false)
			want := l.want.Load()
			r := slipway.Report{Component: "compose", Kind: kind, Revision: want.Revision}
			rollsOut(*want, &r)
			mounts(*want, &r)
			if err := l.portal.Report(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if w := l.Await(t, l.w.Number, slipway.Deployed); w.Note != "" {
				t.Errorf("note %q", w.Note)
			}
		})
	}
}

// TestScaledAway: the agent is there and has nothing left to roll out to.
func TestScaledAway(t *testing.T) {
	l := agentIsLost(t, slipway.Rollout, true, false)
	gone := slipway.Report{Component: "compose", Kind: slipway.Rollout, Revision: l.want.Load().Revision, Leaving: true}
	if err := l.portal.Report(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	l.Await(t, l.w.Number, slipway.Deployed)
}

// TestForgottenIsNotWaitedFor: whoever forgets a component says that it is gone
// for good.
func TestForgottenIsNotWaitedFor(t *testing.T) {
	l := agentIsLost(t, slipway.Sidecar, false, false)
	l.ahead.Add(int64(slipway.SilentAfter))
	if err := l.Engine.Forget(t.Context(), l.Sales.ID, l.Ada, "compose"); err != nil {
		t.Fatal(err)
	}
	l.Await(t, l.w.Number, slipway.Deployed)
}

// TestAutoscaledAgentLeaves: it was told to, and nothing waits for it.
func TestAutoscaledAgentLeaves(t *testing.T) {
	l := agentIsLost(t, slipway.Sidecar, true, true)
	if w := l.Await(t, l.w.Number, slipway.Deployed); w.Note != "Published. No component is connected." {
		t.Errorf("note %q", w.Note)
	}
}

// TestSameImageWhoseContainersCrashed: that an image runs does not make it work.
func TestSameImageWhoseContainersCrashed(t *testing.T) {
	a, p := elsewhere(t)
	var broken atomic.Bool
	a.agent(t, p, "compose", slipway.Rollout, func(want slipway.Desired, r *slipway.Report) {
		if rollsOut(want, r); broken.Load() {
			r.Error = "The container worker exited with code 1 and does not run."
		}
	})
	a.DeployedImage(t, slipway.ImageOnly, "1", deploytest.Runtime1)
	broken.Store(true)
	r := slipway.Report{Component: "compose", Kind: slipway.Rollout, Image: a.sales(t).ImageRef(), Error: "It crashed."}
	if want, err := p.Desired(t.Context(), ""); err != nil {
		t.Fatal(err)
	} else if r.Revision = want.Revision; p.Report(t.Context(), r) != nil {
		t.Fatal("not reported")
	}
	again := a.StagedImage(t, slipway.ImageOnly, "1")
	a.Confirm(t, again.Number, a.Eve)
	again = a.Await(t, again.Number, slipway.Failed)
	if want := "The image was not rolled out everywhere: compose: The container worker exited with code 1 and does not run."; !strings.HasPrefix(again.Reason, want) {
		t.Errorf("reason %q, want %q", again.Reason, want)
	}
}

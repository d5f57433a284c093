package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// mountedThenOff deploys image 1 with DAGs, turns DAG-only deploys off and
// returns what was deployed. What has to follow takes the mounted DAGs away.
func (a *app) mountedThenOff(t *testing.T) slipway.Deploy {
	t.Helper()
	first := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	first = a.Await(t, first.Number, slipway.Deployed)
	a.turn(t, false)
	a.Push(t, "2", deploytest.Runtime2.Build(t))
	return first
}

// TestNothingAppliesTheImage: mounted DAGs stay until the image that carries
// others runs, or somebody says that he sees to it.
func TestNothingAppliesTheImage(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *app{
		"on this machine": func(t *testing.T) *app {
			a := applying(t)
			if err := a.Engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Root, ""); err != nil {
				t.Fatal(err)
			}
			return a
		},
		"elsewhere, with a sidecar": func(t *testing.T) *app {
			a, p := elsewhere(t)
			a.agent(t, p, "scheduler-0", slipway.Sidecar, mounts)
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			first := a.mountedThenOff(t)
			w := a.StagedImage(t, slipway.ImageAndDAG, "2")
			r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
			if err != nil || r.Refusal != nil || r.Plan.Ticks() != (slipway.Ticks{RemoveDAGs: true, RunsImage: true}) || !slices.Equal(r.Plan.RemovedDAGs, []string{"a.py"}) {
				t.Fatalf("review %+v, %v, %v", r.Plan.Ticks(), r.Refusal, err)
			}
			_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, deploytest.DAGTicks)
			wantKind(t, err, slipway.Invalid, "Nothing here can run the image: give the Deployment an apply command")
			if d := a.sales(t); !d.Mounted || d.Version != first.Version {
				t.Errorf("state %+v", d.State)
			}
			if _, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, r.Plan.Ticks()); err != nil {
				t.Fatal(err)
			}
			w = a.Await(t, w.Number, slipway.Deployed)
			if !w.ByHand || a.sales(t).Mounted {
				t.Errorf("by hand %v, state %+v", w.ByHand, a.sales(t).State)
			}
			a.turn(t, true)
			a.returnsUncovered(t, first, w)
		})
	}
}

// returnsUncovered goes back to mounted DAGs and then to those of an image:
// only the latter takes any away.
func (a *app) returnsUncovered(t *testing.T, mounted, carried slipway.Deploy) {
	t.Helper()
	back := a.Return(t, mounted.Number)
	a.Await(t, back, slipway.Deployed)
	r, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, carried.Number, a.Ada)
	if err != nil || !r.Plan.Ticks().RunsImage {
		t.Fatalf("review %+v, %v", r.Plan.Ticks(), err)
	}
	_, err = a.Engine.Return(t.Context(), a.Sales.ID, carried.Number, a.Ada, r.Base, deploytest.DAGTicks, "")
	wantKind(t, err, slipway.Invalid, "Nothing here can run the image")
	w, err := a.Engine.Return(t.Context(), a.Sales.ID, carried.Number, a.Ada, r.Base, r.Plan.Ticks(), "")
	if err != nil {
		t.Fatal(err)
	}
	if w = a.Await(t, w.Number, slipway.Deployed); !w.ByHand || a.sales(t).Mounted {
		t.Errorf("by hand %v, state %+v", w.ByHand, a.sales(t).State)
	}
}

// TestRolloutAgentIsLost: the only agent that could run the image signs off, or
// falls silent, in the middle. No component is told to take its DAGs from it.
func TestRolloutAgentIsLost(t *testing.T) {
	for name, leaves := range map[string]bool{"signs off": true, "falls silent": false} {
		t.Run(name, func(t *testing.T) {
			var ahead atomic.Int64
			a := unstarted(t, func(c *deploy.Config) { c.ApplyTimeout = 5 * time.Minute })
			a.Store.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			a.Run(t)
			p := a.farAway(t)
			first := a.mountedThenOff(t)
			before := a.sales(t).State
			var uncovered atomic.Bool
			a.agent(t, p, "compose", slipway.Rollout, func(want slipway.Desired, r *slipway.Report) {
				if r.Leaving = leaves && want.Image != first.After.ImageRef(); want.Image == first.After.ImageRef() {
					rollsOut(want, r)
				}
				uncovered.Store(uncovered.Load() || want.DAGs == slipway.FromImage)
			})
			w := a.StagedImage(t, slipway.ImageAndDAG, "2")
			a.Confirm(t, w.Number, a.Eve)
			a.Eventually(t, "its image is wanted, and an agent that leaves has left", func() bool {
				return !a.Load(t, w.Number).RollingAt.IsZero() && (!leaves || len(a.Engine.Components(a.Sales.ID)) == 0)
			})
			a.Eventually(t, "it has ended", func() bool {
				ahead.Add(int64(time.Minute))
				return a.Load(t, w.Number).Status.Ended()
			})
			w = a.Await(t, w.Number, slipway.Failed)
			if !strings.HasPrefix(w.Reason, "The image was not rolled out everywhere within 5m0s: ") || a.sales(t).State != before || uncovered.Load() {
				t.Errorf("reason %q, state %+v", w.Reason, a.sales(t).State)
			}
		})
	}
}

// TestNothingAppliesAtItsTurn: the apply command that was there when a deploy
// was confirmed is gone by its turn.
func TestNothingAppliesAtItsTurn(t *testing.T) {
	a := applying(t)
	first := a.mountedThenOff(t)
	before := a.sales(t).State
	a.SetApplyScript(t, `while [ -e "$0/hold" ]; do sleep 0.05; done; exit 1`)
	a.hold(t)
	running, waiting := a.StagedImage(t, slipway.ImageAndDAG, "2"), a.StagedImage(t, slipway.ImageAndDAG, "2")
	a.Confirm(t, running.Number, a.Eve)
	a.Eventually(t, "it runs", func() bool { return len(a.applied(t)) == 2 })
	a.Confirm(t, waiting.Number, a.Eve)
	if err := a.Engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Root, ""); err != nil {
		t.Fatal(err)
	}
	a.release(t)
	a.Await(t, running.Number, slipway.Failed)
	waiting = a.Await(t, waiting.Number, slipway.Failed)
	if waiting.Reason != slipway.ErrNothingApplies.Text || !waiting.RollingAt.IsZero() {
		t.Errorf("reason %q, rolling at %s", waiting.Reason, waiting.RollingAt)
	}
	a.unchanged(t, before, first.After.Image, map[string]string{"a.py": dag("a")})
}

// TestTasksMayTakeTheirTime: while an agent waits for running tasks to end, a
// rollout is not late.
func TestTasksMayTakeTheirTime(t *testing.T) {
	a, p := elsewhere(t, func(c *deploy.Config) { c.ApplyTimeout = time.Second })
	var wanted atomic.Value
	a.agent(t, p, "compose", slipway.Rollout, func(want slipway.Desired, r *slipway.Report) {
		r.Step = slipway.StepEnding
		wanted.Store(want)
	})
	a.Push(t, "1", deploytest.Runtime1.Build(t))
	w := a.StagedImage(t, slipway.ImageOnly, "1")
	a.Confirm(t, w.Number, a.Eve)
	a.Eventually(t, "its image is wanted", func() bool { return wanted.Load().(slipway.Desired).Image != "" })
	time.Sleep(3 * time.Second) // in which it would be late
	if now := a.Load(t, w.Number); now.Status != slipway.Deploying {
		t.Errorf("it is %s: %s", now.Status, now.Reason)
	}
	want := wanted.Load().(slipway.Desired)
	runs := slipway.Report{Component: "compose", Kind: slipway.Rollout, Image: want.Image, Revision: want.Revision}
	if err := p.Report(t.Context(), runs); err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Deployed)
}

// TestNoWayBack: where going back fails as well, the queue goes on.
func TestNoWayBack(t *testing.T) {
	a := applying(t)
	first := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	a.Await(t, first.Number, slipway.Deployed)
	name := filepath.Join(a.Engine.MountDir(a.Sales), "image.env")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(name, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
	w = a.Await(t, w.Number, slipway.Failed)
	if !strings.Contains(w.Reason, " Going back failed, too: ") {
		t.Errorf("reason %q", w.Reason)
	}
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
	again := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
	a.Await(t, again.Number, slipway.Deployed)
}

// TestReturnToAnImageWhoseVersionExpired: the version that was there beside an
// image that carries the DAGs is not needed for the way back.
func TestReturnToAnImageWhoseVersionExpired(t *testing.T) {
	a := applying(t)
	first := a.mountedThenOff(t)
	carried := a.StagedImage(t, slipway.ImageAndDAG, "2")
	a.Confirm(t, carried.Number, a.Eve)
	a.Await(t, carried.Number, slipway.Deployed)
	a.turn(t, true)
	last := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
	a.Await(t, last.Number, slipway.Deployed)
	last = a.DeployedImage(t, slipway.ImageOnly, "3", deploytest.Image{Runtime: "3.1-6", Packages: "three"})
	storetest.Update(t, a.Store, func(tx *store.Tx) error { return tx.DropVersion(a.Sales.ID, first.Version) })
	if err := a.Bundles.DropManifest(a.Sales.Namespace, first.Version); err != nil {
		t.Fatal(err)
	}
	a.restart(t) // with nothing in mind
	r, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, carried.Number, a.Ada)
	if err != nil || r.Refusal != nil {
		t.Fatalf("refusal %v, %v", r.Refusal, err)
	}
	w, err := a.Engine.Return(t.Context(), a.Sales.ID, carried.Number, a.Ada, r.Base, r.Plan.Ticks(), "")
	if err != nil {
		t.Fatal(err)
	}
	a.Await(t, w.Number, slipway.Deployed)
	if d := a.sales(t); d.Mounted || d.DAGDeploys || d.Version != last.After.Version || a.Current(t) != "image" {
		t.Errorf("state %+v", d.State)
	}
}

// TestReturnJudgedAtItsTurn: a return that was one of DAGs alone must not bring
// an image without a rollout, as the image before it failed.
func TestReturnJudgedAtItsTurn(t *testing.T) {
	a := applying(t)
	old := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"a.py": dag("a")})
	old = a.Await(t, old.Number, slipway.Deployed)
	now := a.ConfirmedProject(t, "3", deploytest.Image{Runtime: "3.1-6", Packages: "three"}, map[string]string{"c.py": dag("c")})
	now = a.Await(t, now.Number, slipway.Deployed)
	a.SetApplyScript(t, `while [ -e "$0/hold" ]; do sleep 0.05; done; case $RUNTIME_VERSION in 3.1-5) exit 1;; esac`)
	a.hold(t)
	running := a.returnOfImage(t, old)
	a.Eventually(t, "it runs", func() bool { return slices.Contains(a.applied(t)[2:], old.After.Image) })
	a.deployedBehind(t)
	back, err := a.Engine.Return(t.Context(), a.Sales.ID, old.Number, a.Eve, a.tail(t).Version, deploytest.DAGTicks, "")
	if err != nil || back.Kind != slipway.DAGOnly {
		t.Fatalf("the return is %s, %v", back.Kind, err)
	}
	a.release(t)
	a.Await(t, running.Number, slipway.Failed)
	back = a.Await(t, back.Number, slipway.Failed)
	if !strings.Contains(back.Reason, "Return to #") || a.sales(t).Image != now.After.Image {
		t.Errorf("reason %q, state %+v", back.Reason, a.sales(t).State)
	}
}

func (a *app) returnOfImage(t *testing.T, to slipway.Deploy) slipway.Deploy {
	t.Helper()
	w, err := a.Engine.Return(t.Context(), a.Sales.ID, to.Number, a.Eve, a.tail(t).Version, deploytest.DAGTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// deployedBehind queues a DAG deploy.
func (a *app) deployedBehind(t *testing.T) {
	t.Helper()
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"between.py": dag("between")})
	a.Confirm(t, w.Number, a.Eve)
}

func (a *app) tail(t *testing.T) (d slipway.Deployment) {
	t.Helper()
	storetest.View(t, a.Store, func(tx *store.Tx) (err error) {
		d, _, err = tx.Projected(a.Sales.ID, a.Eve)
		return err
	})
	return d
}

// TestImageToRun: after a switch off that nothing here can roll out, the
// Deployment is not healthy until somebody says that Airflow runs the image, or
// an agent does, also after a restart of the portal.
func TestImageToRun(t *testing.T) {
	health := func(a *app) slipway.Health {
		h, _ := a.sales(t).Health(a.Engine.Components(a.Sales.ID), slipway.Refused{}, nil, a.Store.Now())
		return h
	}
	switchedOff := func(t *testing.T) (*app, *deploy.AgentPortal, slipway.Deploy) {
		a, p := elsewhere(t)
		a.agent(t, p, "scheduler-0", slipway.Sidecar, mounts)
		a.mountedThenOff(t)
		w := a.StagedImage(t, slipway.ImageAndDAG, "2")
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, r.Plan.Ticks()); err != nil {
			t.Fatal(err)
		}
		w = a.Await(t, w.Number, slipway.Deployed)
		if d := a.sales(t); d.ToRun != w.After.Image || health(a) != slipway.Unhealthy {
			t.Fatalf("to run is %q, want %q; %s", d.ToRun, w.After.Image, health(a))
		}
		return a, p, w
	}
	healthy := func(t *testing.T, a *app) {
		t.Helper()
		a.Eventually(t, "it is healthy", func() bool { return a.sales(t).ToRun == "" && health(a) == slipway.Healthy })
	}
	state := func(t *testing.T, a *app, digest string, by slipway.Actor) error {
		return a.Engine.StateImageRuns(t.Context(), a.Sales.ID, digest, by)
	}

	t.Run("somebody says so", func(t *testing.T) {
		a, _, w := switchedOff(t)
		wantKind(t, state(t, a, w.After.Image, a.Mia), slipway.Forbidden, "needs the Author role")
		wantKind(t, state(t, a, w.After.Image, a.Sam), slipway.NotFound, "no Deployment")
		wantKind(t, state(t, a, "sha256:0", a.Eve), slipway.Conflict, "Another image is wanted")
		for _, by := range []slipway.Actor{a.Eve, a.Ada} { // the second one had the button, too
			if err := state(t, a, w.After.Image, by); err != nil {
				t.Fatal(err)
			}
		}
		healthy(t, a)
		wantTrail(t, a, "image.runs", "deploy.confirm")
		if by := a.sales(t).Updater; by != a.Eve.Title() {
			t.Errorf("updated by %s", by)
		}
	})
	t.Run("an agent says so", func(t *testing.T) {
		a, p, _ := switchedOff(t)
		a.agent(t, p, "compose", slipway.Rollout, func(_ slipway.Desired, r *slipway.Report) { r.Image = "sha256:0" })
		if d := a.sales(t); d.ToRun == "" {
			t.Error("it runs another image, and counts as running")
		}
		want, err := p.Desired(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Report(t.Context(), slipway.Report{Component: "compose", Kind: slipway.Rollout, Image: want.Image, Revision: want.Revision}); err != nil {
			t.Fatal(err)
		}
		if d := a.sales(t); d.ToRun != "" {
			t.Errorf("to run is still %s", d.ToRun)
		}
	})
	t.Run("after a restart", func(t *testing.T) {
		a := applying(t)
		if err := a.Engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Root, ""); err != nil {
			t.Fatal(err)
		}
		a.mountedThenOff(t)
		w := a.StagedImage(t, slipway.ImageAndDAG, "2")
		r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, r.Plan.Ticks()); err != nil {
			t.Fatal(err)
		}
		w = a.Await(t, w.Number, slipway.Deployed)
		a.restart(t)
		a.Eventually(t, "it is not healthy", func() bool { return health(a) == slipway.Unhealthy })

		// The next image is not known to run either; one that a command applies is.
		next := a.DeployedImage(t, slipway.ImageAndDAG, "3", deploytest.Image{Runtime: "3.1-6", Packages: "three"})
		if d := a.sales(t); d.ToRun != next.After.Image {
			t.Errorf("to run is %q, want %q", d.ToRun, next.After.Image)
		}
		wantKind(t, state(t, a, w.After.Image, a.Eve), slipway.Conflict, "Another image is wanted")
		if err := a.Engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Root, "script"); err != nil {
			t.Fatal(err)
		}
		a.DeployedImage(t, slipway.ImageAndDAG, "4", deploytest.Image{Runtime: "3.1-6", Packages: "four"})
		healthy(t, a)
	})
}

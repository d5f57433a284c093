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
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// mountedThenOff deploys image 1 with DAGs, turns DAG-only deploys off and
// returns what was deployed. What has to follow takes the mounted DAGs away.
func (a *app) mountedThenOff(t *testing.T) slipway.Deploy {
	t.Helper()
	first := a.project(t, "1", runtime1, map[string]string{"a.py": dag("a")})
	first = a.await(t, first.Number, slipway.Deployed)
	a.turn(t, false)
	a.push(t, "2", runtime2.image(t))
	return first
}

// TestNothingAppliesTheImage: mounted DAGs stay until the image that carries
// others runs, or somebody says that he sees to it.
func TestNothingAppliesTheImage(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *app{
		"on this machine": func(t *testing.T) *app {
			a := applying(t)
			if err := a.engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Root, ""); err != nil {
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
			w := a.image(t, slipway.ImageAndDAG, "2")
			r, err := a.engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
			if err != nil || r.Refusal != nil || r.Plan.Ticks() != (slipway.Ticks{RunsImage: true}) {
				t.Fatalf("review %+v, %v, %v", r.Plan.Ticks(), r.Refusal, err)
			}
			_, err = a.engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, allTicks)
			wantKind(t, err, slipway.Invalid, "Nothing here can run the image: give the Deployment an apply command")
			if d := a.sales(t); !d.Mounted || d.Version != first.Version {
				t.Errorf("state %+v", d.State)
			}
			if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Eve, r.Base, r.Plan.Ticks()); err != nil {
				t.Fatal(err)
			}
			w = a.await(t, w.Number, slipway.Deployed)
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
	back := a.returns(t, mounted.Number)
	a.await(t, back, slipway.Deployed)
	r, err := a.engine.ReviewReturn(t.Context(), a.Sales.ID, carried.Number, a.Ada)
	if err != nil || !r.Plan.Ticks().RunsImage {
		t.Fatalf("review %+v, %v", r.Plan.Ticks(), err)
	}
	_, err = a.engine.Return(t.Context(), a.Sales.ID, carried.Number, a.Ada, r.Base, allTicks, "")
	wantKind(t, err, slipway.Invalid, "Nothing here can run the image")
	w, err := a.engine.Return(t.Context(), a.Sales.ID, carried.Number, a.Ada, r.Base, r.Plan.Ticks(), "")
	if err != nil {
		t.Fatal(err)
	}
	if w = a.await(t, w.Number, slipway.Deployed); !w.ByHand || a.sales(t).Mounted {
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
			a.store.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			a.run(t)
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
			w := a.image(t, slipway.ImageAndDAG, "2")
			a.confirm(t, w.Number, a.Eve)
			a.eventually(t, "its image is wanted, and an agent that leaves has left", func() bool {
				return !a.load(t, w.Number).RollingAt.IsZero() && (!leaves || len(a.engine.Components(a.Sales.ID)) == 0)
			})
			a.eventually(t, "it has ended", func() bool {
				ahead.Add(int64(time.Minute))
				return a.load(t, w.Number).Status.Ended()
			})
			w = a.await(t, w.Number, slipway.Failed)
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
	a.then(t, `while [ -e "$0/hold" ]; do sleep 0.05; done; exit 1`)
	a.hold(t)
	running, waiting := a.image(t, slipway.ImageAndDAG, "2"), a.image(t, slipway.ImageAndDAG, "2")
	a.confirm(t, running.Number, a.Eve)
	a.eventually(t, "it runs", func() bool { return len(a.applied(t)) == 2 })
	a.confirm(t, waiting.Number, a.Eve)
	if err := a.engine.SetApplyCommand(t.Context(), a.Sales.ID, a.Root, ""); err != nil {
		t.Fatal(err)
	}
	a.release(t)
	a.await(t, running.Number, slipway.Failed)
	waiting = a.await(t, waiting.Number, slipway.Failed)
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
	a.push(t, "1", runtime1.image(t))
	w := a.image(t, slipway.ImageOnly, "1")
	a.confirm(t, w.Number, a.Eve)
	a.eventually(t, "its image is wanted", func() bool { return wanted.Load().(slipway.Desired).Image != "" })
	time.Sleep(3 * time.Second) // in which it would be late
	if now := a.load(t, w.Number); now.Status != slipway.Deploying {
		t.Errorf("it is %s: %s", now.Status, now.Reason)
	}
	want := wanted.Load().(slipway.Desired)
	runs := slipway.Report{Component: "compose", Kind: slipway.Rollout, Image: want.Image, Revision: want.Revision}
	if err := p.Report(t.Context(), runs); err != nil {
		t.Fatal(err)
	}
	a.await(t, w.Number, slipway.Deployed)
}

// TestNoWayBack: where going back fails as well, the queue goes on.
func TestNoWayBack(t *testing.T) {
	a := applying(t)
	first := a.project(t, "1", runtime1, map[string]string{"a.py": dag("a")})
	a.await(t, first.Number, slipway.Deployed)
	name := filepath.Join(a.engine.MountDir(a.Sales), "image.env")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(name, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := a.project(t, "2", runtime2, map[string]string{"b.py": dag("b")})
	w = a.await(t, w.Number, slipway.Failed)
	if !strings.Contains(w.Reason, " Going back failed, too: ") {
		t.Errorf("reason %q", w.Reason)
	}
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
	again := a.project(t, "2", runtime2, map[string]string{"b.py": dag("b")})
	a.await(t, again.Number, slipway.Deployed)
}

// TestReturnToAnImageWhoseVersionExpired: the version that was there beside an
// image that carries the DAGs is not needed for the way back.
func TestReturnToAnImageWhoseVersionExpired(t *testing.T) {
	a := applying(t)
	first := a.mountedThenOff(t)
	carried := a.image(t, slipway.ImageAndDAG, "2")
	a.confirm(t, carried.Number, a.Eve)
	a.await(t, carried.Number, slipway.Deployed)
	a.turn(t, true)
	last := a.project(t, "2", runtime2, map[string]string{"b.py": dag("b")})
	a.await(t, last.Number, slipway.Deployed)
	last = a.imaged(t, slipway.ImageOnly, "3", made{runtime: "3.1-6", packages: "three"})
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.DropVersion(a.Sales.ID, first.Version) })
	if err := a.bundles.DropManifest(a.Sales.Namespace, first.Version); err != nil {
		t.Fatal(err)
	}
	a.restart(t) // with nothing in mind
	r, err := a.engine.ReviewReturn(t.Context(), a.Sales.ID, carried.Number, a.Ada)
	if err != nil || r.Refusal != nil {
		t.Fatalf("refusal %v, %v", r.Refusal, err)
	}
	w, err := a.engine.Return(t.Context(), a.Sales.ID, carried.Number, a.Ada, r.Base, r.Plan.Ticks(), "")
	if err != nil {
		t.Fatal(err)
	}
	a.await(t, w.Number, slipway.Deployed)
	if d := a.sales(t); d.Mounted || d.DAGDeploys || d.Version != last.After.Version || a.current(t) != "image" {
		t.Errorf("state %+v", d.State)
	}
}

// TestReturnJudgedAtItsTurn: a return that was one of DAGs alone must not bring
// an image without a rollout, as the image before it failed.
func TestReturnJudgedAtItsTurn(t *testing.T) {
	a := applying(t)
	old := a.project(t, "2", runtime2, map[string]string{"a.py": dag("a")})
	old = a.await(t, old.Number, slipway.Deployed)
	now := a.project(t, "3", made{runtime: "3.1-6", packages: "three"}, map[string]string{"c.py": dag("c")})
	now = a.await(t, now.Number, slipway.Deployed)
	a.then(t, `while [ -e "$0/hold" ]; do sleep 0.05; done; case $RUNTIME_VERSION in 3.1-5) exit 1;; esac`)
	a.hold(t)
	running := a.returnOfImage(t, old)
	a.eventually(t, "it runs", func() bool { return slices.Contains(a.applied(t)[2:], old.After.Image) })
	a.deployedBehind(t)
	back, err := a.engine.Return(t.Context(), a.Sales.ID, old.Number, a.Eve, a.tail(t).Version, allTicks, "")
	if err != nil || back.Kind != slipway.DAGOnly {
		t.Fatalf("the return is %s, %v", back.Kind, err)
	}
	a.release(t)
	a.await(t, running.Number, slipway.Failed)
	back = a.await(t, back.Number, slipway.Failed)
	if !strings.Contains(back.Reason, "Return to #") || a.sales(t).Image != now.After.Image {
		t.Errorf("reason %q, state %+v", back.Reason, a.sales(t).State)
	}
}

func (a *app) returnOfImage(t *testing.T, to slipway.Deploy) slipway.Deploy {
	t.Helper()
	w, err := a.engine.Return(t.Context(), a.Sales.ID, to.Number, a.Eve, a.tail(t).Version, allTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// deployedBehind queues a DAG deploy.
func (a *app) deployedBehind(t *testing.T) {
	t.Helper()
	w := a.staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"between.py": dag("between")})
	a.confirm(t, w.Number, a.Eve)
}

func (a *app) tail(t *testing.T) (d slipway.Deployment) {
	t.Helper()
	storetest.View(t, a.store, func(tx *store.Tx) (err error) {
		d, _, err = tx.Projected(a.Sales.ID, a.Eve)
		return err
	})
	return d
}

package deploy_test

import (
	"strings"
	"testing"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// twoStaged returns an app whose engine does not run, with two deploys of which
// the first is confirmed.
func twoStaged(t *testing.T) (a *app, one, two slipway.Deploy) {
	t.Helper()
	a = running(t)
	one = a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	two = a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	a.Stop()
	a.Build(t)
	return a, a.Confirm(t, one.Number, a.Eve), two
}

func TestSwitchWaitsItsTurn(t *testing.T) {
	a, one, two := twoStaged(t)
	_, err := a.Engine.Switch(t.Context(), a.Sales.ID, false, a.Eve, true)
	wantKind(t, err, slipway.Forbidden, "Owner role")
	waits, err := a.Engine.Switch(t.Context(), a.Sales.ID, false, a.Ada, true)
	if err != nil || !waits {
		t.Fatalf("switch waits %v, %v", waits, err)
	}
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, two.Number, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.Refusal, slipway.Conflict, "DAG-only deploys are not enabled for this Deployment.")
	_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, two.Number, a.Eve, r.Base, deploytest.DAGTicks)
	wantKind(t, err, slipway.Conflict, "DAG-only deploys are not enabled for this Deployment.")
	if d := a.sales(t); !d.DAGDeploys {
		t.Error("the switch did not wait")
	}
	a.Run(t)
	a.Await(t, one.Number, slipway.Deployed)
	a.Eventually(t, "the switch is off", func() bool { return !a.sales(t).DAGDeploys })
	d := a.sales(t)
	if !d.NeedsImage || !d.Mounted || d.Version != one.Version {
		t.Errorf("after the switch %+v", d.State)
	}
	a.WantMounted(t, map[string]string{"a.py": dag("1")})
	_, _, err = a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: 3, Name: "x", Merge: slipway.AddFiles})
	wantKind(t, err, slipway.Conflict, "DAG-only deploys are not enabled")
	if waits, err = a.Engine.Switch(t.Context(), a.Sales.ID, true, a.Ada, false); err != nil || waits {
		t.Errorf("switching back waits %v, %v", waits, err)
	}
	if d := a.sales(t); !d.DAGDeploys || d.NeedsImage || d.Before != nil {
		t.Errorf("after switching back %+v", d)
	}
	a.Confirm(t, two.Number, a.Eve)
	a.Await(t, two.Number, slipway.Deployed)
}

// A deploy that was confirmed behind a switch has no leave without it.
func TestSwitchCalledBack(t *testing.T) {
	a, _, two := twoStaged(t)
	for _, on := range []bool{false, true} {
		if _, err := a.Engine.Switch(t.Context(), a.Sales.ID, on, a.Ada, true); err != nil {
			t.Fatal(err)
		}
	}
	a.Confirm(t, two.Number, a.Eve)
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		queue, err := tx.Queue(a.Sales.ID)
		if err != nil || len(queue) != 4 {
			t.Fatalf("queue %v, %v", queue, err)
		}
		err = a.Engine.CancelSwitch(t.Context(), a.Sales.ID, queue[2].Switch.ID, a.Ada)
		if err != nil {
			t.Error(err)
		}
		err = a.Engine.CancelSwitch(t.Context(), a.Sales.ID, queue[2].Switch.ID, a.Ada)
		wantKind(t, err, slipway.Conflict, "no longer waiting")
		return nil
	})
	a.Run(t)
	two = a.Await(t, two.Number, slipway.Failed)
	if two.Reason != "DAG-only deploys are not enabled for this Deployment." || two.WentLive() {
		t.Errorf("two %+v", two)
	}
	a.Eventually(t, "its pack is gone", func() bool { return len(a.Packs(t)) == 1 })
	a.WantMounted(t, map[string]string{"a.py": dag("1")})
}

// TestSwitchesAndImages walks through the plain switch and what has to follow.
func TestSwitchesAndImages(t *testing.T) {
	a := applying(t)
	mounted := map[string]string{"a.py": dag("a")}
	first := a.ConfirmedProject(t, "1", deploytest.Runtime1, mounted)
	first = a.Await(t, first.Number, slipway.Deployed)

	// Turned off and on again, everything is as before.
	a.turn(t, false)
	if d := a.sales(t); !d.NeedsImage || !d.Mounted {
		t.Errorf("after the switch %+v", d.State)
	}
	a.WantMounted(t, mounted)
	a.turn(t, true)
	a.unchanged(t, first.After, first.After.Image, mounted)

	// Turned off for good, the mounted version stays until the image runs.
	a.turn(t, false)
	off := a.sales(t).State
	a.Push(t, "2", deploytest.Runtime2.Build(t))
	a.SetApplyScript(t, "exit 1")
	w := a.StagedImage(t, slipway.ImageAndDAG, "2")
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Failed)
	a.unchanged(t, off, first.After.Image, mounted)
	a.SetApplyScript(t, `readlink "$0/mounts/`+a.Sales.Namespace+`/current"`)
	w = a.StagedImage(t, slipway.ImageAndDAG, "2")
	a.Confirm(t, w.Number, a.Eve)
	w = a.Await(t, w.Number, slipway.Deployed)
	if d := a.sales(t); d.NeedsImage || d.Mounted || a.Current(t) != "image" {
		t.Errorf("state %+v, current %s", d.State, a.Current(t))
	}
	if text := a.log(t, w.Number); !strings.Contains(text, "versions/"+first.Version.Dir()) {
		t.Errorf("while the image was applied, current was another:\n%s", text)
	}
	// Back to the first: setting, image and DAGs.
	back, err := a.Engine.Return(t.Context(), a.Sales.ID, first.Number, a.Ada, a.sales(t).Version, deploytest.DAGTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	a.Await(t, back.Number, slipway.Deployed)
	a.unchanged(t, first.After, first.After.Image, mounted)
}

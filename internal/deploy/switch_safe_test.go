package deploy_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// safely prepares a safe switch and waits until it can be confirmed.
func (a *app) safely(t *testing.T, on bool) slipway.Deploy {
	t.Helper()
	w, err := a.engine.SwitchSafely(t.Context(), a.Sales.ID, on, a.Ada)
	if err != nil {
		t.Fatal(err)
	}
	return a.await(t, w.Number, slipway.Staged)
}

func TestSafeSwitchOff(t *testing.T) {
	a := applying(t)
	dags := map[string]string{"a.py": dag("a"), "lib/x.sh": "#!/bin/sh\n", "deep/er/b.py": dag("b"), "link.py": "-> a.py"}
	first := a.project(t, "1", runtime1, dags)
	first = a.await(t, first.Number, slipway.Deployed)

	w := a.safely(t, false)
	if before := a.sales(t); before.State != first.After {
		t.Errorf("preparing moved %+v", before.State)
	}
	if diff := cmp.Diff(dags, a.files(t, *w.Image)); diff != "" {
		t.Errorf("the image holds other files (-want +got):\n%s", diff)
	}
	r, err := a.engine.Review(t.Context(), a.Sales.ID, w.Number, a.Ada)
	if err != nil || r.Refusal != nil || r.Image == nil || !r.Image.Carries || r.Image.Files.Count != len(dags) || r.Image.Shared != len(runtime1.dags)+1 || len(r.Image.Fresh) != 1 {
		t.Fatalf("review %+v, refusal %v, %v", r.Image, r.Refusal, err)
	}
	_, err = a.engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Oli, r.Base, allTicks)
	wantKind(t, err, slipway.Forbidden, "Owner")
	if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, r.Base, slipway.Ticks{}); err != nil {
		t.Fatal(err)
	}
	w = a.await(t, w.Number, slipway.Deployed)
	d := a.sales(t)
	if d.DAGDeploys || d.NeedsImage || d.Mounted || d.Image != w.Image.Digest || d.Version != first.Version || d.Before != nil || d.Runtime != "3.1-4" {
		t.Errorf("afterwards %+v", d)
	}
	if a.current(t) != "image" || !strings.Contains(w.Description, "Turns off DAG-only deploys") {
		t.Errorf("current is %s, the row says %q", a.current(t), w.Description)
	}
	wantTrail(t, a, "switch.apply", "deploy.confirm", "switch.prepare")

	// The same input makes the same image.
	back, err := a.engine.Return(t.Context(), a.Sales.ID, first.Number, a.Ada, d.Version, allTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	a.await(t, back.Number, slipway.Deployed)
	a.wantMounted(t, dags)
	if again := a.safely(t, false); again.Image.Digest != w.Image.Digest || again.Tag == w.Tag {
		t.Errorf("built once more it is %s (%s), before %s (%s)", again.Image.Digest, again.Tag, w.Image.Digest, w.Tag)
	}
}

func TestSafeSwitchOn(t *testing.T) {
	a := applying(t)
	carried := made{runtime: "3.1-4", packages: "one", dags: map[string]string{"x.py": dag("x"), "dags/y.py": dag("y"), "__init__.py": ""}}
	a.turn(t, false)
	first := a.imaged(t, slipway.ImageAndDAG, "1", carried)
	if a.current(t) != "image" || a.sales(t).NeedsImage {
		t.Fatalf("state %+v, current %s", a.sales(t).State, a.current(t))
	}
	w := a.safely(t, true)
	r, err := a.engine.Review(t.Context(), a.Sales.ID, w.Number, a.Ada)
	if err != nil || r.Refusal != nil || r.Plan.Counts.Added != 3 || r.Plan.Ticks() != (slipway.Ticks{}) {
		t.Fatalf("review %+v, refusal %v, %v", r.Plan, r.Refusal, err)
	}
	if _, err := a.engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, r.Base, slipway.Ticks{}); err != nil {
		t.Fatal(err)
	}
	w = a.await(t, w.Number, slipway.Deployed)
	want := first.After
	want.DAGDeploys, want.Mounted, want.Version = true, true, w.Version
	if got := a.sales(t); got.State != want || got.Before != nil || w.After != want {
		t.Errorf("afterwards %+v, want %+v", got.State, want)
	}
	a.wantMounted(t, carried.dags)
	if diff := cmp.Diff([]string{first.After.Image, first.After.Image}, a.applied(t)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

func TestSafeSwitchFails(t *testing.T) {
	for name, on := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			a := applying(t)
			mounted := map[string]string{}
			if on {
				a.turn(t, false)
				a.imaged(t, slipway.ImageAndDAG, "1", runtime1)
			} else {
				mounted = map[string]string{"a.py": dag("a")}
				w := a.project(t, "1", runtime1, mounted)
				a.await(t, w.Number, slipway.Deployed)
			}
			before := a.sales(t)
			w := a.safely(t, on)
			a.then(t, `[ -e "$0/once" ] || { touch "$0/once"; exit 7; }`)
			a.confirm(t, w.Number, a.Ada)
			w = a.await(t, w.Number, slipway.Failed)
			if !strings.Contains(w.Reason, "exit status 7") {
				t.Errorf("reason %q", w.Reason)
			}
			a.unchanged(t, before.State, before.Image, mounted)
			if on && a.current(t) != "image" {
				t.Errorf("current is %s", a.current(t))
			}
		})
	}
}

func TestSafeSwitchRefused(t *testing.T) {
	a := applying(t)
	try := func(on bool, by slipway.Actor) error {
		_, err := a.engine.SwitchSafely(t.Context(), a.Sales.ID, on, by)
		return err
	}
	a.deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	wantKind(t, try(false, a.Oli), slipway.Forbidden, "Owner")
	wantKind(t, try(true, a.Ada), slipway.Conflict, "on already")
	wantKind(t, try(false, a.Ada), slipway.Conflict, "does not know which image")

	// An Owner says which image runs.
	digest := a.push(t, "1", runtime1.image(t))
	register := func(by slipway.Actor) error {
		_, err := a.engine.RegisterImage(t.Context(), a.Sales.ID, by, "1")
		return err
	}
	wantKind(t, register(a.Oli), slipway.Forbidden, "Owner")
	if err := register(a.Ada); err != nil {
		t.Fatal(err)
	}
	wantKind(t, register(a.Ada), slipway.Conflict, "knows which image")
	if d := a.sales(t); d.Image != digest || d.Runtime != "3.1-4" || !d.Mounted || len(a.applied(t)) != 0 {
		t.Errorf("registered %+v", d.State)
	}
	w := a.safely(t, false)

	// What comes in between makes it worthless, before it is confirmed and after.
	other := a.deployed(t, slipway.ReplaceAll, map[string]string{"b.py": dag("b")})
	_, err := a.engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, other.Version, allTicks)
	wantKind(t, err, slipway.Conflict, "Prepare it again")
	a.turn(t, false)
	wantKind(t, try(true, a.Ada), slipway.Conflict, "Switching back restores everything")

	// What has to follow a switch can be left to Slipway, too.
	w = a.safely(t, false)
	a.confirm(t, w.Number, a.Ada)
	a.await(t, w.Number, slipway.Deployed)
	if d := a.sales(t); d.NeedsImage || d.Mounted || d.DAGDeploys {
		t.Errorf("state %+v", d.State)
	}
	if diff := cmp.Diff(map[string]string{"b.py": dag("b")}, a.files(t, *w.Image)); diff != "" {
		t.Errorf("the image holds other files (-want +got):\n%s", diff)
	}
}

// TestSafeSwitchAtItsTurn: a safe switch that waits behind a deploy which is
// called back, or fails, would lose what it was made of.
func TestSafeSwitchAtItsTurn(t *testing.T) {
	a := unstarted(t)
	a.run(t)
	w := a.project(t, "1", runtime1, map[string]string{"a.py": dag("a")})
	w = a.await(t, w.Number, slipway.Deployed)
	a.then(t, `while [ -e "$0/hold" ]; do sleep 0.05; done; exit 9`)
	a.hold(t)
	failing := a.project(t, "2", runtime2, map[string]string{"b.py": dag("b")})
	a.eventually(t, "it runs", func() bool { return len(a.applied(t)) == 2 })
	waiting := a.staged(t, a.Eve, slipway.AddFiles, map[string]string{"c.py": dag("c")})
	a.confirm(t, waiting.Number, a.Eve)

	safe := a.safely(t, false)
	want := map[string]string{"b.py": dag("b"), "c.py": dag("c")} // what will be mounted by then
	if diff := cmp.Diff(want, a.files(t, *safe.Image)); diff != "" {
		t.Errorf("the image holds other files (-want +got):\n%s", diff)
	}
	a.confirm(t, safe.Number, a.Ada)
	a.release(t)
	a.await(t, failing.Number, slipway.Failed)
	a.await(t, waiting.Number, slipway.Deployed)
	if safe = a.await(t, safe.Number, slipway.Failed); !strings.Contains(safe.Reason, "Prepare it again") {
		t.Errorf("reason %q", safe.Reason)
	}
	if d := a.sales(t); !d.DAGDeploys || d.Image != w.After.Image {
		t.Errorf("state %+v", d.State)
	}
	a.wantMounted(t, map[string]string{"a.py": dag("a"), "c.py": dag("c")})
}

// TestImagesAreKept: what deploys need stays in the registry, and what none
// needs any more goes.
func TestImagesAreKept(t *testing.T) {
	a := applying(t)
	one := a.imaged(t, slipway.ImageOnly, "1", runtime1)
	two := a.imaged(t, slipway.ImageOnly, "2", runtime2)
	kept := func() (all map[string][]string) {
		storetest.View(t, a.store, func(tx *store.Tx) (err error) {
			all, err = tx.ImageRepositories()
			return err
		})
		return all
	}
	want := []string{one.After.Image, two.After.Image}
	sortStrings := func(all []string) map[string]bool {
		set := map[string]bool{}
		for _, s := range all {
			set[s] = true
		}
		return set
	}
	if err := a.engine.RetainImages(t.Context(), a.sales(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sortStrings(want), sortStrings(kept()[deploy.Repository(a.Sales)])); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	back, err := a.engine.Return(t.Context(), a.Sales.ID, one.Number, a.Eve, "", allTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	a.await(t, back.Number, slipway.Deployed)
	if !maps.Equal(sortStrings(want), sortStrings(kept()[deploy.Repository(a.Sales)])) {
		t.Errorf("kept after a return: %v", kept())
	}
	// A record that is gone makes a return impossible, in words.
	storetest.Update(t, a.store, func(tx *store.Tx) error { return tx.ForgetImages(slipway.Deployment{ID: a.Sales.ID}, tx.Now, tx.Now) })
	if len(kept()[deploy.Repository(a.Sales)]) != 2 {
		t.Errorf("the last ones are gone: %v", kept())
	}
	if err := a.engine.Delete(t.Context(), a.Sales.ID, a.Oli, a.Sales.Name); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, "its repositories are gone", func() bool {
		tags, err := a.engine.PushedTags(t.Context(), a.Sales)
		return err == nil && len(tags) == 0 && len(kept()) == 0
	})
	a.push(t, "late", runtime1.image(t)) // as if it had begun before the deletion
	a.stop()
	a.retainAside(t)
	if tags, err := a.engine.PushedTags(t.Context(), a.Sales); err != nil || len(tags) != 1 {
		t.Errorf("what came afterwards: %v, %v; want it set aside", tags, err)
	}
	a.later(slipway.OrphanLife)
	a.retainAside(t)
	if tags, err := a.engine.PushedTags(t.Context(), a.Sales); err != nil || len(tags) != 0 {
		t.Errorf("what came afterwards: %v, %v; want it gone after days", tags, err)
	}
}

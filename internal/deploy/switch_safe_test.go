package deploy_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/deploy"
	"slipway/internal/deploy/deploytest"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// safely prepares a safe switch and waits until it can be confirmed.
func (a *app) safely(t *testing.T, on bool) slipway.Deploy {
	t.Helper()
	w, err := a.Engine.SwitchSafely(t.Context(), a.Sales.ID, on, a.Ada)
	if err != nil {
		t.Fatal(err)
	}
	return a.Await(t, w.Number, slipway.Staged)
}

func TestSafeSwitchOff(t *testing.T) {
	a := applying(t)
	dags := map[string]string{"a.py": dag("a"), "lib/x.sh": "#!/bin/sh\n", "deep/er/b.py": dag("b"), "link.py": "-> a.py"}
	first := a.ConfirmedProject(t, "1", deploytest.Runtime1, dags)
	first = a.Await(t, first.Number, slipway.Deployed)

	w := a.safely(t, false)
	if before := a.sales(t); before.State != first.After {
		t.Errorf("preparing moved %+v", before.State)
	}
	if diff := cmp.Diff(dags, a.ImageFiles(t, *w.Image)); diff != "" {
		t.Errorf("the image holds other files (-want +got):\n%s", diff)
	}
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Ada)
	if err != nil || r.Refusal != nil || r.Image == nil || !r.Image.Carries || r.Image.Files.Count != len(dags) || r.Plan.Ticks() != (slipway.Ticks{}) || r.Image.Shared != len(deploytest.Runtime1.DAGs)+1 || len(r.Image.Fresh) != 1 {
		t.Fatalf("review %+v, refusal %v, %v", r.Image, r.Refusal, err)
	}
	_, err = a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Oli, r.Base, deploytest.DAGTicks)
	wantKind(t, err, slipway.Forbidden, "Owner")
	if _, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, r.Base, slipway.Ticks{}); err != nil {
		t.Fatal(err)
	}
	w = a.Await(t, w.Number, slipway.Deployed)
	d := a.sales(t)
	if d.DAGDeploys || d.NeedsImage || d.Mounted || d.Image != w.Image.Digest || d.Version != first.Version || d.Before != nil || d.Runtime != "3.1-4" {
		t.Errorf("afterwards %+v", d)
	}
	if a.Current(t) != "image" || !strings.Contains(w.Description, "Turns off DAG-only deploys") {
		t.Errorf("current is %s, the row says %q", a.Current(t), w.Description)
	}
	wantTrail(t, a, "switch.apply", "deploy.confirm", "switch.prepare")

	// The same input makes the same image.
	back, err := a.Engine.Return(t.Context(), a.Sales.ID, first.Number, a.Ada, d.Version, deploytest.DAGTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	a.Await(t, back.Number, slipway.Deployed)
	a.WantMounted(t, dags)
	if again := a.safely(t, false); again.Image.Digest != w.Image.Digest || again.Tag == w.Tag {
		t.Errorf("built once more it is %s (%s), before %s (%s)", again.Image.Digest, again.Tag, w.Image.Digest, w.Tag)
	}
}

func TestSafeSwitchOn(t *testing.T) {
	a := applying(t)
	carried := deploytest.Image{Runtime: "3.1-4", Packages: "one", DAGs: map[string]string{
		"x.py": dag("x"), "dags/y.py": dag("y"), "__init__.py": "", "dags/link.py": "-> /usr/local/airflow/dags/x.py",
	}}
	a.turn(t, false)
	first := a.DeployedImage(t, slipway.ImageAndDAG, "1", carried)
	if a.Current(t) != "image" || a.sales(t).NeedsImage {
		t.Fatalf("state %+v, current %s", a.sales(t).State, a.Current(t))
	}
	w := a.safely(t, true)
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Ada)
	if err != nil || r.Refusal != nil || len(r.Plan.Changes) != 0 || r.Plan.Counts.Unchanged != 4 || len(r.SameAs) != 0 || r.Same != "" || w.Counts.Added != 0 || r.Plan.Ticks() != (slipway.Ticks{}) {
		t.Fatalf("review %+v, refusal %v, %v", r.Plan, r.Refusal, err)
	}
	if _, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, r.Base, slipway.Ticks{}); err != nil {
		t.Fatal(err)
	}
	w = a.Await(t, w.Number, slipway.Deployed)
	want := first.After
	want.DAGDeploys, want.Mounted, want.Version = true, true, w.Version
	if got := a.sales(t); got.State != want || got.Before != nil || w.After != want {
		t.Errorf("afterwards %+v, want %+v", got.State, want)
	}
	if done, err := a.Engine.Done(t.Context(), a.Sales.ID, w.Number, a.Ada); err != nil || len(done.Plan.Changes) != 0 || w.Counts.Unchanged != 4 || w.Counts.Added != 0 {
		t.Errorf("afterwards %+v, counts %+v, %v; want no change", done.Plan, w.Counts, err)
	}
	carried.DAGs["dags/link.py"] = "-> ../x.py" // an absolute one would lead nowhere from a version
	a.WantMounted(t, carried.DAGs)
	if diff := cmp.Diff([]string{first.After.Image, first.After.Image}, a.applied(t)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

// TestSafeSwitchOnRefused: what a DAG bundle cannot hold is in the image, not in
// an archive that somebody packed.
func TestSafeSwitchOnRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		file, content, want string
	}{
		"a link out of the folder": {"a.py", "-> /usr/lib/packages.txt", "has the absolute target"},
		"a relative one":           {"a.py", "-> ../../../lib/packages.txt", "leaves the root"},
		"a circle":                 {"a.py", "-> a.py", "in a circle"},
		"another case":             {"X.py", dag("X"), "differ only in case"},
		"no UTF-8":                 {"\xff.py", dag("ff"), "is not UTF-8"},
		"a control character":      {"a\n.py", dag("a"), "control character"},
		"large":                    {"b.csv", strings.Repeat("x", 60<<10), "more than 50 KiB"},
		"many":                     {"", "", "more than 40 files"},
	} {
		t.Run(name, func(t *testing.T) {
			a := applying(t, func(c *deploy.Config) { c.Limits.Unpacked, c.Limits.Files = 50<<10, 40 })
			carried := deploytest.Image{Runtime: "3.1-4", Packages: "one", DAGs: map[string]string{"x.py": dag("x"), tt.file: tt.content}}
			for n := 0; tt.file == "" && n < 50; n++ {
				carried.DAGs[fmt.Sprintf("%d.py", n)] = dag("n")
			}
			delete(carried.DAGs, "")
			a.turn(t, false)
			a.DeployedImage(t, slipway.ImageAndDAG, "1", carried)
			before := a.sales(t)
			w, err := a.Engine.SwitchSafely(t.Context(), a.Sales.ID, true, a.Ada)
			if err != nil {
				t.Fatal(err)
			}
			w = a.Await(t, w.Number, slipway.Failed)
			for _, part := range []string{"The DAGs of the image cannot become a DAG bundle.", tt.want, "Here dags/ is the folder /usr/local/airflow/dags of the image"} {
				if !strings.Contains(w.Reason, part) {
					t.Errorf("%q, want %q in the reason", w.Reason, part)
				}
			}
			if strings.Contains(w.Reason, "rchive") || strings.Contains(w.Reason, "pload") || strings.Contains(w.Reason, "Pack") {
				t.Errorf("%q speaks of an archive", w.Reason)
			}
			if got := a.sales(t); got.State != before.State {
				t.Errorf("state %+v, want %+v", got.State, before.State)
			}
		})
	}
}

func TestSafeSwitchFails(t *testing.T) {
	for name, on := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			a := applying(t)
			mounted := map[string]string{}
			if on {
				a.turn(t, false)
				a.DeployedImage(t, slipway.ImageAndDAG, "1", deploytest.Runtime1)
			} else {
				mounted = map[string]string{"a.py": dag("a")}
				w := a.ConfirmedProject(t, "1", deploytest.Runtime1, mounted)
				a.Await(t, w.Number, slipway.Deployed)
			}
			before := a.sales(t)
			w := a.safely(t, on)
			a.SetApplyScript(t, `[ -e "$0/once" ] || { touch "$0/once"; exit 7; }`)
			a.Confirm(t, w.Number, a.Ada)
			w = a.Await(t, w.Number, slipway.Failed)
			if !strings.Contains(w.Reason, "exit status 7") {
				t.Errorf("reason %q", w.Reason)
			}
			a.unchanged(t, before.State, before.Image, mounted)
			if on && a.Current(t) != "image" {
				t.Errorf("current is %s", a.Current(t))
			}
		})
	}
}

func TestSafeSwitchRefused(t *testing.T) {
	a := applying(t)
	try := func(on bool, by slipway.Actor) error {
		_, err := a.Engine.SwitchSafely(t.Context(), a.Sales.ID, on, by)
		return err
	}
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	wantKind(t, try(false, a.Oli), slipway.Forbidden, "Owner")
	wantKind(t, try(true, a.Ada), slipway.Conflict, "on already")
	wantKind(t, try(false, a.Ada), slipway.Conflict, "does not know which image")

	// An Owner says which image runs.
	digest := a.Push(t, "1", deploytest.Runtime1.Build(t))
	register := func(by slipway.Actor) error {
		_, err := a.Engine.RegisterImage(t.Context(), a.Sales.ID, by, "1")
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
	other := a.Deployed(t, slipway.ReplaceAll, map[string]string{"b.py": dag("b")})
	_, err := a.Engine.Confirm(t.Context(), a.Sales.ID, w.Number, a.Ada, other.Version, deploytest.DAGTicks)
	wantKind(t, err, slipway.Conflict, "Prepare it again")
	a.turn(t, false)
	wantKind(t, try(true, a.Ada), slipway.Conflict, "Switching back restores everything")

	// What has to follow a switch can be left to Slipway, too.
	w = a.safely(t, false)
	a.Confirm(t, w.Number, a.Ada)
	a.Await(t, w.Number, slipway.Deployed)
	if d := a.sales(t); d.NeedsImage || d.Mounted || d.DAGDeploys {
		t.Errorf("state %+v", d.State)
	}
	if diff := cmp.Diff(map[string]string{"b.py": dag("b")}, a.ImageFiles(t, *w.Image)); diff != "" {
		t.Errorf("the image holds other files (-want +got):\n%s", diff)
	}
}

// TestSafeSwitchAtItsTurn: a safe switch that waits behind a deploy which is
// called back, or fails, would lose what it was made of.
func TestSafeSwitchAtItsTurn(t *testing.T) {
	a := unstarted(t)
	a.Run(t)
	w := a.ConfirmedProject(t, "1", deploytest.Runtime1, map[string]string{"a.py": dag("a")})
	w = a.Await(t, w.Number, slipway.Deployed)
	a.SetApplyScript(t, `while [ -e "$0/hold" ]; do sleep 0.05; done; exit 9`)
	a.hold(t)
	failing := a.ConfirmedProject(t, "2", deploytest.Runtime2, map[string]string{"b.py": dag("b")})
	a.Eventually(t, "it runs", func() bool { return len(a.applied(t)) == 2 })
	waiting := a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"c.py": dag("c")})
	a.Confirm(t, waiting.Number, a.Eve)

	safe := a.safely(t, false)
	want := map[string]string{"b.py": dag("b"), "c.py": dag("c")} // what will be mounted by then
	if diff := cmp.Diff(want, a.ImageFiles(t, *safe.Image)); diff != "" {
		t.Errorf("the image holds other files (-want +got):\n%s", diff)
	}
	a.Confirm(t, safe.Number, a.Ada)
	a.release(t)
	a.Await(t, failing.Number, slipway.Failed)
	a.Await(t, waiting.Number, slipway.Deployed)
	if safe = a.Await(t, safe.Number, slipway.Failed); !strings.Contains(safe.Reason, "Prepare it again") {
		t.Errorf("reason %q", safe.Reason)
	}
	if d := a.sales(t); !d.DAGDeploys || d.Image != w.After.Image {
		t.Errorf("state %+v", d.State)
	}
	a.WantMounted(t, map[string]string{"a.py": dag("a"), "c.py": dag("c")})
}

// TestImagesAreKept: what deploys need stays in the registry, and what none
// needs any more goes.
func TestImagesAreKept(t *testing.T) {
	a := applying(t)
	one := a.DeployedImage(t, slipway.ImageOnly, "1", deploytest.Runtime1)
	two := a.DeployedImage(t, slipway.ImageOnly, "2", deploytest.Runtime2)
	kept := func() (all map[string][]string) {
		storetest.View(t, a.Store, func(tx *store.Tx) (err error) {
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
	if err := a.Engine.RetainImages(t.Context(), a.sales(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sortStrings(want), sortStrings(kept()[deploy.Repository(a.Sales)])); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	back, err := a.Engine.Return(t.Context(), a.Sales.ID, one.Number, a.Eve, "", deploytest.DAGTicks, "")
	if err != nil {
		t.Fatal(err)
	}
	a.Await(t, back.Number, slipway.Deployed)
	if !maps.Equal(sortStrings(want), sortStrings(kept()[deploy.Repository(a.Sales)])) {
		t.Errorf("kept after a return: %v", kept())
	}
	// A record that is gone makes a return impossible, in words.
	storetest.Update(t, a.Store, func(tx *store.Tx) error { return tx.ForgetImages(slipway.Deployment{ID: a.Sales.ID}, tx.Now, tx.Now) })
	if len(kept()[deploy.Repository(a.Sales)]) != 2 {
		t.Errorf("the last ones are gone: %v", kept())
	}
	if err := a.Engine.Delete(t.Context(), a.Sales.ID, a.Oli, a.Sales.Name); err != nil {
		t.Fatal(err)
	}
	a.Eventually(t, "its repositories are gone", func() bool {
		tags, err := a.Engine.PushedTags(t.Context(), a.Sales)
		return err == nil && len(tags) == 0 && len(kept()) == 0
	})
	a.Push(t, "late", deploytest.Runtime1.Build(t)) // as if it had begun before the deletion
	a.Stop()
	a.retainAside(t)
	if tags, err := a.Engine.PushedTags(t.Context(), a.Sales); err != nil || len(tags) != 1 {
		t.Errorf("what came afterwards: %v, %v; want it set aside", tags, err)
	}
	a.later(slipway.OrphanLife)
	a.retainAside(t)
	if tags, err := a.Engine.PushedTags(t.Context(), a.Sales); err != nil || len(tags) != 0 {
		t.Errorf("what came afterwards: %v, %v; want it gone after days", tags, err)
	}
}

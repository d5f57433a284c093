package deploy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// crashed returns an app whose engine does not run, with deploy #1 live and #2
// confirmed.
func crashed(t *testing.T) (a *app, one, two slipway.Deploy) {
	t.Helper()
	a = running(t)
	one = a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1"), "b.py": dag("1")})
	two = a.Staged(t, a.Eve, slipway.AddFiles, map[string]string{"a.py": dag("2")})
	a.Stop()
	a.Build(t)
	return a, one, a.Confirm(t, two.Number, a.Eve)
}

func (a *app) save(t *testing.T, w slipway.Deploy) {
	t.Helper()
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		_, err := tx.SaveDeploy(w)
		return err
	})
}

func TestResume(t *testing.T) {
	after := map[string]string{"a.py": dag("2"), "b.py": dag("1")}
	for name, leave := range map[string]func(t *testing.T, a *app, one, two slipway.Deploy){
		"queued": func(*testing.T, *app, slipway.Deploy, slipway.Deploy) {},
		"deploying, before its manifest": func(t *testing.T, a *app, _, two slipway.Deploy) {
			two.Status = slipway.Deploying
			a.save(t, two)
		},
		"deploying, with a manifest but no record of it": func(t *testing.T, a *app, one, two slipway.Deploy) {
			two.Status = slipway.Deploying
			a.save(t, two)
			files, err := a.Engine.Files(t.Context(), a.Sales, one.Version)
			if err == nil { // what it will be in the end has other files
				_, err = a.Bundles.PutManifest(a.Sales.Namespace, slipway.Manifest{Version: two.Version, Files: files})
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, one, two := crashed(t)
			leave(t, a, one, two)
			a.Build(t)
			a.Run(t)
			two = a.Await(t, two.Number, slipway.Deployed)
			a.WantMounted(t, after)
			if d := a.sales(t); d.Version != two.Version || len(a.manifests(t)) != 2 || two.Counts.Changed != 1 {
				t.Errorf("%+v, manifests %v, counts %+v", d.State, a.manifests(t), two.Counts)
			}
		})
	}
}

func TestResumeWaitsForComponents(t *testing.T) {
	a, _, two := crashed(t)
	a.Run(t)
	a.Await(t, two.Number, slipway.Deployed)
	a.Stop()
	two = a.Load(t, two.Number) // live, but the crash came before the components were there
	two.Status, two.EndedAt = slipway.Deploying, time.Time{}
	a.save(t, two)
	live := two.LiveAt
	a.Build(t)
	a.Run(t)
	two = a.Await(t, two.Number, slipway.Deployed)
	if !two.LiveAt.Equal(live) || two.EndedAt.IsZero() {
		t.Errorf("live at %v, want %v: it went live once", two.LiveAt, live)
	}
}

// Leftovers of a crash go at the next start once they are old enough.
func TestStraysAreRemovedAtStart(t *testing.T) {
	const age = time.Hour
	for name, tt := range map[string]struct {
		path func(a *app, failed slipway.Deploy) []string
	}{
		"a pack": {func(a *app, _ slipway.Deploy) []string {
			return []string{"packs", a.Sales.Namespace, strings.Repeat("ab", 32) + ".tar.zst"}
		}},
		"the manifest of a deploy that failed": {func(a *app, failed slipway.Deploy) []string {
			return []string{"bundles", a.Sales.Namespace, failed.Version.Dir() + ".json.zst"}
		}},
		"an upload": {func(*app, slipway.Deploy) []string { return []string{"uploads", "01gone"} }},
		"a half-written image.env": {func(a *app, _ slipway.Deploy) []string {
			return []string{"mounts", a.Sales.Namespace, ".tmp-123"}
		}},
		"blocks": {func(*app, slipway.Deploy) []string { return []string{"uploads", "01gone.d", "block"} }},
	} {
		t.Run(name, func(t *testing.T) {
			a := running(t, func(c *deploy.Config) { c.LeftoverAge = age })
			a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
			w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
			if _, err := a.Engine.Cancel(t.Context(), a.Sales.ID, w.Number, a.Eve); err != nil {
				t.Fatal(err)
			}
			a.Stop()
			before := a.onDisk(t)
			path := filepath.Join(append([]string{a.Dir}, tt.path(a, w)...)...)
			a.put(t, path)
			for _, left := range []time.Duration{0, age - time.Minute} {
				a.ageTo(t, path, left)
				a.Build(t, a.Change...)
				if _, err := os.Stat(path); err != nil {
					t.Errorf("after %s: %v; want it there", left, err)
				}
			}
			a.ageTo(t, path, age+time.Minute)
			a.Build(t, a.Change...)
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("after more than %s: %v; want it gone", age, err)
			}
			if diff := cmp.Diff(before, a.onDisk(t)); diff != "" {
				t.Errorf("left otherwise:\n%s", diff)
			}
			a.Run(t)
			a.Eventually(t, "it is mounted again", func() bool { return len(a.Engine.Components(a.Sales.ID)) == 1 })
			a.WantMounted(t, map[string]string{"a.py": dag("1")})
		})
	}
}

func TestDeletedWhileDeploying(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"sub/a.py": dag("1")})
	a.block(t)
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	a.Upload(t, a.Eve, slipway.AddFiles, storetest.Archive(t, map[string]string{"c.py": dag("3")}))
	if _, _, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: 5, Name: "x", Merge: slipway.AddFiles}); err != nil {
		t.Fatal(err)
	}
	a.Confirm(t, w.Number, a.Eve)
	a.Await(t, w.Number, slipway.Deploying)
	err := a.Engine.Delete(t.Context(), a.Sales.ID, a.Eve, "sales-prod")
	wantKind(t, err, slipway.Forbidden, "Operator")
	err = a.Engine.Delete(t.Context(), a.Sales.ID, a.Oli, "sales")
	wantKind(t, err, slipway.Invalid, "Type the name")
	if err := a.Engine.Delete(t.Context(), a.Sales.ID, a.Oli, "sales-prod"); err != nil {
		t.Fatal(err)
	}
	_, err = a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	wantKind(t, err, slipway.NotFound, "")
	a.Eventually(t, "nothing is left of it", func() bool { return a.left(t) == 0 })
	if got := a.Engine.Components(a.Sales.ID); len(got) != 0 {
		t.Errorf("components %+v", got)
	}
}

// left counts the files, folders and records that belong to the Deployment.
func (a *app) left(t *testing.T) int {
	t.Helper()
	n := len(a.uploads(t)) + len(a.Names(t, "mounts")) + len(a.Names(t, "packs")) + len(a.Names(t, "bundles"))
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		deleted, err := tx.DeletedDeployments()
		n += len(deleted)
		return err
	})
	return n
}

func TestDeletionGoesOnAtStart(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"sub/a.py": dag("1")})
	a.Stop()
	a.Build(t)
	if err := a.Engine.Delete(t.Context(), a.Sales.ID, a.Ada, "sales-prod"); err != nil {
		t.Fatal(err)
	}
	if a.left(t) == 0 {
		t.Fatal("it was removed though nothing runs")
	}
	a.Build(t)
	a.Run(t)
	a.Eventually(t, "nothing is left of it", func() bool { return a.left(t) == 0 })
}

// block puts a file in place of a folder of the mount. heal brings the folder
// back.
func (a *app) block(t *testing.T) (heal func()) {
	t.Helper()
	versions := filepath.Join(a.Engine.MountDir(a.Sales), "versions")
	if err := os.Rename(versions, versions+"-away"); err != nil {
		t.Fatal(err)
	}
	for os.WriteFile(versions, nil, 0o600) != nil {
		if err := os.Remove(versions); err != nil { // an empty folder that the agent made meanwhile
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(versions); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(versions+"-away", versions); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMountErrorFailsStaysWantedAndHeals(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	heal := a.block(t)
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("2")})
	a.Confirm(t, w.Number, a.Eve)
	w = a.Await(t, w.Number, slipway.Failed)
	if !strings.Contains(w.Reason, "this-machine: Version "+w.Version.Short()+" cannot be mounted: ") || !strings.Contains(w.Reason, "It stays wanted") {
		t.Errorf("reason %q", w.Reason)
	}
	if d := a.sales(t); d.Version != w.Version || !w.WentLive() {
		t.Errorf("wanted %+v, live at %v", d.State, w.LiveAt)
	}
	heal()
	a.Eventually(t, "it is mounted", func() bool { return a.Mounted(t)["a.py"] == dag("2") })
	a.Eventually(t, "the error is over", func() bool { return a.Engine.Components(a.Sales.ID)[0].Error == "" })
	// The error before does not count against the next deploy.
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("3")})
	a.WantMounted(t, map[string]string{"a.py": dag("3")})
}

func TestMountTimeout(t *testing.T) {
	a := newApp(t, func(c *deploy.Config) { c.MountTimeout = 300 * time.Millisecond })
	elsewhere := a.elsewhere(t)
	a.Run(t)
	p := a.Engine.Portal(elsewhere)
	if err := p.Report(t.Context(), slipway.Report{Component: "worker-0", DAGs: slipway.FromImage}); err != nil {
		t.Fatal(err)
	}
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	a.Confirm(t, w.Number, a.Eve)
	w = a.Await(t, w.Number, slipway.Failed)
	if !strings.Contains(w.Reason, "within 300ms: worker-0 has the DAGs of its image. ") {
		t.Errorf("reason %q", w.Reason)
	}
}

func TestNoComponentConnected(t *testing.T) {
	a := newApp(t)
	a.elsewhere(t)
	a.Run(t)
	w := a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("1")})
	if w.Note != "Published. No component is connected." {
		t.Errorf("note %q", w.Note)
	}
}

// elsewhere makes the test's Deployment one that is not on this machine.
func (a *app) elsewhere(t *testing.T) slipway.Deployment {
	t.Helper()
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		d, err := slipway.NewDeployment(a.Workspace.ID, "elsewhere", false)
		if err != nil {
			return err
		}
		a.Sales, err = tx.AddDeployment(d)
		return err
	})
	return a.Sales
}

func TestReady(t *testing.T) {
	a := newApp(t)
	if a.Engine.Ready() == nil {
		t.Error("ready before it runs")
	}
	a.Run(t)
	a.Eventually(t, "it is ready", func() bool { return a.Engine.Ready() == nil })
	a.Stop()
	if a.Engine.Ready() == nil {
		t.Error("ready after it stopped")
	}
}

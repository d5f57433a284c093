package deploy_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// aged returns a running engine whose versions expire all the time, and what
// lets days pass.
func aged(t *testing.T) (a *app, pass func(days int)) {
	t.Helper()
	a = newApp(t, func(c *deploy.Config) { c.RetainEvery = 10 * time.Millisecond })
	var days atomic.Int64
	a.Store.Now = func() time.Time { return time.Now().AddDate(0, 0, int(days.Load())) }
	a.elsewhere(t) // no component is there but those that a test reports of
	a.Run(t)
	return a, func(n int) { days.Add(int64(n)) }
}

// kept returns the versions that are kept, by the number of their deploy.
func (a *app) kept(t *testing.T) map[int]slipway.Version {
	t.Helper()
	kept := map[int]slipway.Version{}
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		all, err := tx.BundleVersions(a.Sales.ID, 0, 1000)
		for _, v := range all {
			kept[v.Number] = v.Version
		}
		return err
	})
	return kept
}

// wantKept waits until only the versions of these deploys are kept, and no pack
// or manifest that none of them needs.
func (a *app) wantKept(t *testing.T, want ...int) {
	t.Helper()
	a.Eventually(t, fmt.Sprint("only ", want, " are kept"), func() bool {
		kept := a.kept(t)
		return slices.Equal(slices.Sorted(maps.Keys(kept)), want) && len(a.manifests(t)) == len(want) && a.unneeded(t, kept) == 0
	})
}

// unneeded returns how many packs on disk no kept version names, and fails if
// one is missing that one names.
func (a *app) unneeded(t *testing.T, kept map[int]slipway.Version) (n int) {
	t.Helper()
	needed := map[string]bool{}
	for _, v := range kept {
		files, err := a.Engine.Files(t.Context(), a.Sales, v)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			needed[f.Pack+".tar.zst"] = true
		}
	}
	for _, name := range a.Packs(t) {
		if !needed[name] {
			n++
		}
		delete(needed, name)
	}
	if len(needed) > 0 {
		t.Fatalf("packs are missing: %v", needed)
	}
	return n
}

// deployMany deploys n versions that have one file in common and one of their
// own each.
func (a *app) deployMany(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		a.Deployed(t, slipway.ReplaceAll, map[string]string{"own.py": dag(fmt.Sprint("own ", i)), "common.py": dag("common")})
	}
}

func (a *app) keepFor(t *testing.T, days int) {
	t.Helper()
	keep := func(s *slipway.Settings) error { s.KeepDays = days; return nil }
	if _, err := a.Engine.Edit(t.Context(), a.Sales.ID, a.Oli, keep); err != nil {
		t.Fatal(err)
	}
}

// worker reports that a component mounts the version of a deploy.
func (a *app) worker(t *testing.T, number int) {
	t.Helper()
	report := slipway.Report{Component: "worker-1", DAGs: slipway.FromBundle, Version: a.Load(t, number).Version}
	if err := a.Engine.Portal(a.Sales).Report(t.Context(), report); err != nil {
		t.Fatal(err)
	}
}

func TestVersionsExpire(t *testing.T) {
	a, pass := aged(t)
	a.deployMany(t, 14)
	pass(89)
	if err := a.Engine.RetainAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.wantKept(t, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
	pass(1)
	a.wantKept(t, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
	for n := range 14 {
		if w := a.Load(t, n+1); w.Status != slipway.Deployed || w.Counts.Files != 2 {
			t.Errorf("the history says %+v", w)
		}
	}
	r, err := a.Engine.ReviewReturn(t.Context(), a.Sales.ID, 4, a.Eve)
	if err == nil {
		err = r.Refusal
	}
	wantKind(t, err, slipway.Conflict, "no longer kept")
	a.Await(t, a.Return(t, 5), slipway.Deployed)
}

func TestWhatIsNeededStays(t *testing.T) {
	a, pass := aged(t)
	a.deployMany(t, 14)
	pass(40)
	a.worker(t, 3)
	one := a.Return(t, 1) // waits for the worker
	a.Eventually(t, "#1 is wanted", func() bool { return a.Load(t, one).WentLive() })
	two := a.Return(t, 2) // waits its turn
	a.keepFor(t, 30)
	a.wantKept(t, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)

	a.worker(t, one)
	a.Await(t, one, slipway.Deployed)
	a.Eventually(t, "#2 is wanted", func() bool { return a.Load(t, two).WentLive() })
	a.worker(t, two)
	a.Await(t, two, slipway.Deployed)
	a.wantKept(t, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
}

// What a crash leaves behind of an expired version goes at the next start.
func TestExpiryIsCutOff(t *testing.T) {
	a := newApp(t)
	a.elsewhere(t)
	a.Run(t)
	a.deployMany(t, 3)
	a.Stop()
	storetest.Update(t, a.Store, func(tx *store.Tx) error { return tx.DropVersion(a.Sales.ID, a.Load(t, 2).Version) })
	if len(a.manifests(t)) != 3 || len(a.Packs(t)) != 3 {
		t.Fatalf("manifests %q, packs %q, want all", a.manifests(t), a.Packs(t))
	}
	a.Build(t)
	a.Run(t)
	a.wantKept(t, 1, 3)
}

func TestVersionCosts(t *testing.T) {
	a, pass := aged(t)
	a.deployMany(t, 12)
	at := a.Store.Now()
	pass(20)
	a.worker(t, 2)
	a.keepFor(t, 10)
	a.wantKept(t, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	var all []slipway.Version
	for n := range 12 {
		all = append(all, a.Load(t, n+1).Version)
	}
	got, err := a.Engine.VersionCosts(t.Context(), a.Sales.ID, all)
	if err != nil || len(got) != 11 {
		t.Fatalf("%d costs, %v, want 11", len(got), err)
	}
	for n, want := range map[int]slipway.Hold{2: slipway.HoldMounted, 3: slipway.HoldLast, 12: slipway.HoldCurrent} {
		c := got[all[n-1]]
		size := a.size(t, "bundles", all[n-1].Dir()+".json.zst") + a.Load(t, n).Counts.NewBytes
		if c.Stored != size || c.Frees != size || c.Retention.Hold != want {
			t.Errorf("#%d: %+v, want %d bytes, held as %q", n, c, size, want)
		}
		if until := c.Retention.Until; (n == 12) != until.IsZero() || n == 2 && (until.Sub(at)-10*24*time.Hour).Abs() > time.Minute {
			t.Errorf("#%d stays until %v", n, until)
		}
	}
	if _, known := got[all[0]]; known {
		t.Error("what is gone has a cost")
	}
}

// size returns how many bytes a file of the test's Deployment has.
func (a *app) size(t *testing.T, kind, name string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(a.Dir, kind, a.Sales.Namespace, name))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

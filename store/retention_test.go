package store_test

import (
	"slices"
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// goesLive records that a deploy of a version of its own, or a return to an old
// one, is wanted from at on, and claims packs for it.
func goesLive(t *testing.T, st *store.Store, w storetest.World, at time.Time, to slipway.Version, packs ...string) (d slipway.Deploy) {
	t.Helper()
	st.Now = func() time.Time { return at }
	storetest.Update(t, st, func(tx *store.Tx) (err error) {
		now, err := tx.LoadDeployment(w.Sales.ID)
		if err != nil {
			return err
		}
		d, err = tx.AddDeploy(slipway.Deploy{Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: slipway.Queued, By: w.Eve, Version: to})
		if err != nil {
			return err
		}
		if to == "" {
			err = tx.AddVersion(w.Sales.ID, store.BundleVersion{Version: d.Version, Deploy: d.ID, Number: d.Number, Stored: 10})
		}
		if err != nil {
			return err
		}
		for _, p := range packs {
			if err := tx.AddPack(w.Sales.ID, store.Pack{SHA256: p, Size: 100}, nil); err != nil {
				return err
			}
		}
		if err := tx.ClaimPacks(d, packs); err != nil {
			return err
		}
		d.Base, now.Version, now.Mounted = now.Version, d.Version, true
		d.After, d.LiveAt, d.Status = now.State, tx.Now, slipway.Deployed
		if err := tx.SaveState(now); err != nil {
			return err
		}
		d, err = tx.SaveDeploy(d)
		return err
	})
	return d
}

func TestVersionsKnowWhenTheyWereReplaced(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return at.AddDate(0, 0, n) }
	one := goesLive(t, st, w, day(0), "", "p1")
	two := goesLive(t, st, w, day(1), "", "p1", "p2")
	three := goesLive(t, st, w, day(2), "", "p2", "p3", "p4")
	goesLive(t, st, w, day(3), one.Version)
	goesLive(t, st, w, day(4), three.Version)
	storetest.View(t, st, func(tx *store.Tx) error {
		for v, want := range map[slipway.Version]store.KeptVersion{
			one.Version:   {Version: one.Version, ReplacedAt: day(4), Stored: 10, Frees: 10},
			two.Version:   {Version: two.Version, ReplacedAt: day(2), Stored: 10, Frees: 10},
			three.Version: {Version: three.Version, ReplacedAt: day(2), Stored: 10, Frees: 210}, // wanted: its time does not matter
		} {
			if got, kept, err := tx.KeptVersion(w.Sales.ID, v); got != want || !kept || err != nil {
				t.Errorf("%+v, %v, %v, want %+v", got, kept, err, want)
			}
		}
		old, err := tx.ReplacedBefore(w.Sales.ID, day(3))
		if err != nil || len(old) != 2 || old[0].Version != two.Version || old[1].Version != three.Version {
			t.Errorf("replaced before: %+v, %v", old, err)
		}
		last, err := tx.LastVersions(w.Sales.ID, 2)
		if err != nil || !slices.Equal(last, []slipway.Version{one.Version, two.Version, three.Version}) {
			t.Errorf("last two: %q, %v, want two by their names and one by when it was wanted", last, err)
		}
		return nil
	})
	storetest.Update(t, st, func(tx *store.Tx) error {
		if err := tx.DropVersion(w.Sales.ID, two.Version); err != nil {
			return err
		}
		if gone, err := tx.DropUnusedPacks(w.Sales.ID); err != nil || len(gone) != 0 {
			t.Errorf("dropped %q, %v, want none: others need them", gone, err)
		}
		if err := tx.DropVersion(w.Sales.ID, three.Version); err != nil {
			return err
		}
		if gone, err := tx.DropUnusedPacks(w.Sales.ID); err != nil || !slices.Equal(gone, []string{"p2", "p3", "p4"}) {
			t.Errorf("dropped %q, %v", gone, err)
		}
		return nil
	})
}

func TestNeededVersions(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	storetest.Update(t, st, func(tx *store.Tx) error {
		for v, status := range map[slipway.Version]slipway.Status{
			"initialized": slipway.Initialized, "staged": slipway.Staged, "queued": slipway.Queued,
			"deployed": slipway.Deployed, "failed": slipway.Failed, "cancelled": slipway.Cancelled,
		} {
			_, err := tx.AddDeploy(slipway.Deploy{
				Deployment: w.Sales.ID, Kind: slipway.DAGOnly, Status: status, By: w.Eve,
				Version: v, Base: "base of " + v, After: slipway.State{Version: "after " + v},
			})
			if err != nil {
				return err
			}
		}
		got, err := tx.NeededVersions(w.Sales.ID)
		want := []slipway.Version{
			"after initialized", "after queued", "after staged", "base of initialized", "base of queued", "base of staged",
			"initialized", "queued", "staged",
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		return nil
	})
}

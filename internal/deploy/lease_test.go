package deploy_test

import (
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// The folders of a deleted Deployment stay while a backup may name them.
func TestBackupHoldsBackDeletion(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	var lease string
	storetest.Update(t, a.Store, func(tx *store.Tx) (err error) {
		lease, err = tx.TakeLease("backup", time.Minute)
		return err
	})
	if err := a.Engine.Delete(t.Context(), a.Sales.ID, a.Oli, "sales-prod"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // longer than the engine waits between two looks
	if n := len(a.Packs(t)); n != 1 {
		t.Errorf("%d packs, want 1", n)
	}
	storetest.Update(t, a.Store, func(tx *store.Tx) error { return tx.EndLease(lease) })
	a.Eventually(t, "the packs are gone", func() bool { return len(a.Packs(t)) == 0 })
}

// Versions that have expired stay while a backup may name them.
func TestBackupHoldsBackRetention(t *testing.T) {
	a, pass := aged(t)
	a.deployMany(t, slipway.DefaultKeepVersions+1)
	var lease string
	storetest.Update(t, a.Store, func(tx *store.Tx) (err error) {
		lease, err = tx.TakeLease("backup", 1000*24*time.Hour)
		return err
	})
	pass(slipway.DefaultKeepDays + 1)
	if err := a.Engine.RetainAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(a.kept(t)); n != slipway.DefaultKeepVersions+1 {
		t.Errorf("%d versions are kept, want all", n)
	}
	storetest.Update(t, a.Store, func(tx *store.Tx) error { return tx.EndLease(lease) })
	a.Eventually(t, "the first has expired", func() bool {
		return len(a.kept(t)) == slipway.DefaultKeepVersions && len(a.manifests(t)) == slipway.DefaultKeepVersions
	})
}

package store_test

import (
	"testing"

	"slipway/store"
	"slipway/store/storetest"
)

// The sums that the database keeps are those of the packs.
func TestStoredSums(t *testing.T) {
	st := storetest.Open(t)
	w := storetest.Seed(t, st)
	sums := func() (s store.Stored) {
		t.Helper()
		storetest.View(t, st, func(tx *store.Tx) error {
			all, err := tx.StoredSums()
			s = all[w.Sales.ID]
			return err
		})
		return s
	}
	storetest.Update(t, st, func(tx *store.Tx) error {
		for sha, size := range map[string]int64{"p1": 100, "p2": 20} {
			if err := tx.AddPack(w.Sales.ID, store.Pack{SHA256: sha, Size: size}, nil); err != nil {
				return err
			}
		}
		return tx.AddPack(w.Sales.ID, store.Pack{SHA256: "p1", Size: 100}, nil) // known already
	})
	if got, want := sums(), (store.Stored{Packs: 2, Bytes: 120}); got != want {
		t.Errorf("after two packs %+v, want %+v", got, want)
	}
	storetest.Update(t, st, func(tx *store.Tx) error {
		_, err := tx.DropUnusedPacks(w.Sales.ID)
		return err
	})
	if got := sums(); got != (store.Stored{}) {
		t.Errorf("without packs %+v", got)
	}
	storetest.Update(t, st, func(tx *store.Tx) error {
		if err := tx.AddPack(w.Sales.ID, store.Pack{SHA256: "p3", Size: 7}, nil); err != nil {
			return err
		}
		if err := tx.MarkDeleted(w.Sales.ID); err != nil {
			return err
		}
		return tx.RemoveDeployment(w.Sales.ID)
	})
	if got := sums(); got != (store.Stored{}) {
		t.Errorf("without the Deployment %+v", got)
	}
}

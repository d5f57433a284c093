package store_test

import (
	"testing"
	"time"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestAsides(t *testing.T) {
	st := storetest.Open(t)
	now := time.UnixMilli(1_000_000_000_000).UTC()
	st.Now = func() time.Time { return now }
	set := func(ns string) {
		storetest.Update(t, st, func(tx *store.Tx) error { return tx.AddOrphanedNamespace(ns) })
	}
	held := func() (held bool) {
		storetest.View(t, st, func(tx *store.Tx) (err error) {
			held, err = tx.EverythingOrphaned()
			return err
		})
		return held
	}
	set("gone-nova-0001")
	if held() {
		t.Error("held for a namespace alone")
	}
	set(slipway.Everything)
	first := now
	now = now.Add(slipway.OrphanLife - time.Millisecond)
	set("gone-nova-0001") // stays so since then
	set(slipway.Everything)
	if !held() {
		t.Error("not held to the end")
	}
	now = now.Add(time.Millisecond)
	if held() {
		t.Error("held when it is over")
	}
	storetest.View(t, st, func(tx *store.Tx) error {
		all, err := tx.OrphanedNamespaces()
		if len(all) != 2 || all[0] != (slipway.OrphanedNamespace{Since: first}) || all[1] != (slipway.OrphanedNamespace{Namespace: "gone-nova-0001", Since: first}) {
			t.Errorf("set aside: %+v", all)
		}
		return err
	})
}

// The number of starts tells an older database from the one that was used last.
func TestCountStart(t *testing.T) {
	for name, tt := range map[string]struct {
		last int64 // that was noted elsewhere; the database has counted 2
		made bool
		n    int64
		held bool
	}{
		"as noted":                        {last: 2, n: 3},
		"noted by nobody":                 {last: 0, n: 3},
		"the note was cut off by a crash": {last: 1, n: 3},
		"an older database":               {last: 5, n: 6, held: true},
		"a new one":                       {last: 5, n: 6, made: true},
	} {
		t.Run(name, func(t *testing.T) {
			st := storetest.Open(t)
			for want := range 2 {
				if n, whole, err := st.CountStart(t.Context(), int64(want), false); n != int64(want+1) || !whole || err != nil {
					t.Fatalf("start %d, whole %t, %v", n, whole, err)
				}
			}
			n, whole, err := st.CountStart(t.Context(), tt.last, tt.made)
			if n != tt.n || !whole || err != nil {
				t.Errorf("start %d, whole %t, %v; want %d", n, whole, err, tt.n)
			}
			storetest.View(t, st, func(tx *store.Tx) error {
				held, err := tx.EverythingOrphaned()
				if held != tt.held {
					t.Errorf("held %t, want %t", held, tt.held)
				}
				return err
			})
		})
	}
}

package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// Lists of blocks come back as they were kept, and names that stand in a list again
// take next to no space.
func TestBlocksOfABlob(t *testing.T) {
	st := storetest.Open(t)
	world := storetest.Seed(t, st)
	var w slipway.Deploy
	storetest.Update(t, st, func(tx *store.Tx) (err error) {
		d, err := storetest.AddDeployment(tx, world.Workspace.ID, "blobs")
		if err != nil {
			return err
		}
		w, err = tx.AddDeploy(slipway.Deploy{Deployment: d.ID, Kind: slipway.DAGOnly, Status: slipway.Initialized, By: world.Ada, Merge: slipway.ReplaceAll})
		return err
	})
	block := func(i int) store.Block {
		return store.Block{ID: fmt.Sprintf("%088d", i), Size: int64(i), SHA256: strings.Repeat("0123456789abcdef", 4)}
	}
	r := rand.New(rand.NewPCG(1, 2))
	lists := map[string]struct {
		blocks []store.Block
		most   int64 // bytes of the record
	}{
		"none":        {nil, 100},
		"one":         {[]store.Block{block(1)}, 300},
		"repeated":    {slices.Repeat([]store.Block{block(1)}, 50_000), 400},
		"alternating": {slices.Repeat([]store.Block{block(1), block(2)}, 25_000), 400_000},
	}
	for i := range 20 {
		var all []store.Block
		for range r.IntN(50) {
			all = append(all, slices.Repeat([]store.Block{block(r.IntN(1 + i))}, 1+r.IntN(3))...)
		}
		lists[fmt.Sprint("random ", i)] = struct {
			blocks []store.Block
			most   int64
		}{all, 50_000}
	}
	for name, tt := range lists {
		storetest.Update(t, st, func(tx *store.Tx) error {
			if err := tx.KeepBlob(store.Blob{Deploy: w.ID, Size: 7, SHA256: "s", MD5: "m", Blocks: tt.blocks}); err != nil {
				return err
			}
			got, err := tx.Blocks(w.ID)
			if err != nil {
				return err
			}
			if !slices.Equal(got, tt.blocks) {
				t.Errorf("%s: %d blocks came back, want %d", name, len(got), len(tt.blocks))
			}
			blob, found, err := tx.Blob(w.ID)
			if !found || blob.Size != 7 || blob.SHA256 != "s" || blob.MD5 != "m" {
				t.Errorf("%s: %+v, %v", name, blob, found)
			}
			if err != nil {
				return err
			}
			n, err := tx.RecordBytes(w.ID)
			if n > tt.most || n == 0 {
				t.Errorf("%s: a record of %d bytes, want at most %d", name, n, tt.most)
			}
			return err
		})
	}
}

package deploy

import (
	"context"

	"slipway/internal/bundle"
	"slipway/store"
)

// FsckBy is Fsck with so few contents in mind that it takes several rounds.
func FsckBy(ctx context.Context, limit int, st *store.Store, bundles *bundle.Store, dir string, report func(Damage)) (FsckTotals, error) {
	f := &fsck{store: st, bundles: bundles, dir: dir, started: st.Now(), limit: limit, tell: report}
	err := f.run(ctx)
	return f.totals, err
}

package deploy

import (
	"context"
	"slices"
	"strings"

	"slipway/internal/diff"
	"slipway/internal/slipway"
	"slipway/store"
)

// compareMax is how many recorded changes are summed up to compare two
// versions. Beyond it reading both manifests is cheaper.
const compareMax = 4000

// Compare returns what lies between two versions of d, "" for nothing. Where
// the deploys between them are recorded, that costs as much as they changed,
// else as much as the versions hold.
func (e *Engine) Compare(ctx context.Context, d slipway.Deployment, from, to slipway.Version) (slipway.Comparison, error) {
	changes, known, err := e.recorded(ctx, d, from, to)
	if err != nil {
		return slipway.Comparison{}, err
	}
	if known {
		return slipway.Compare(changes), nil
	}
	old, err := e.filesOf(d.Namespace, from)
	if err != nil {
		return slipway.Comparison{}, err
	}
	next, err := e.filesOf(d.Namespace, to)
	return slipway.Compare(slipway.Changes(old, next)), err
}

// recorded sums up what the deploys between two versions did, in either
// direction.
func (e *Engine) recorded(ctx context.Context, d slipway.Deployment, from, to slipway.Version) (changes []slipway.Change, known bool, err error) {
	if from == to {
		return nil, true, nil
	}
	var steps [][]slipway.Change
	back := false
	err = e.store.View(ctx, func(tx *store.Tx) (err error) {
		if steps, known, err = tx.Steps(d.ID, from, to, compareMax); known || err != nil {
			return err
		}
		back = true
		steps, known, err = tx.Steps(d.ID, to, from, compareMax)
		return err
	})
	changes = slipway.SumChanges(steps)
	if back {
		changes = slipway.Back(changes)
	}
	return changes, known, err
}

// DiffBetween compares the contents of a file that Compare found changed
// between two versions, with so many unchanged lines around each change; 0 for
// the usual few.
func (e *Engine) DiffBetween(ctx context.Context, d slipway.Deployment, from, to slipway.Version, c slipway.Change, around int) (slipway.FileDiff, error) {
	var err error
	if c.Old, err = e.located(ctx, d, from, c.Old); err != nil {
		return slipway.FileDiff{}, err
	}
	if c.New, err = e.located(ctx, d, to, c.New); err != nil {
		return slipway.FileDiff{}, err
	}
	if c.Op == slipway.Renamed { // the contents are equal
		return slipway.FileDiff{Path: c.Path, OldSize: c.Old.Size, NewSize: c.New.Size, OldSHA256: c.Old.SHA256, NewSHA256: c.New.SHA256}, nil
	}
	return e.diff(ctx, d, c, max(around, diff.Context))
}

// located returns f of version v with the place of its content: as it is
// recorded, else as the manifest says.
func (e *Engine) located(ctx context.Context, d slipway.Deployment, v slipway.Version, f slipway.File) (slipway.File, error) {
	if f.SHA256 == "" || f.Pack != "" {
		return f, nil
	}
	stored := false
	err := e.store.View(ctx, func(tx *store.Tx) (err error) {
		f.Place, stored, err = tx.Content(d.ID, f.SHA256)
		return err
	})
	if err != nil || stored {
		return f, err
	}
	files, err := e.filesOf(d.Namespace, v)
	if err != nil {
		return f, err
	}
	if i, ok := slices.BinarySearchFunc(files, f.Path, func(f slipway.File, path string) int { return strings.Compare(f.Path, path) }); ok {
		f = files[i]
	}
	return f, nil
}
